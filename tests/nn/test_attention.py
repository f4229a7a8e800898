import copy

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


def test_packed_weights_also_serve_three_different_inputs():
    attention = nn.MultiheadAttention(4, 2, batch_first=True, rng=0)
    x = rg.Tensor(RNG.normal(size=(2, 3, 4)))
    together, _ = attention(x, x, x)
    apart, _ = attention(x, x + 0, x + 0)
    np.testing.assert_allclose(together.data, apart.data)


def test_copies_of_an_encoder_layer_draw_their_own_dropout():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2)
    x = np.ones((2, 3, 4))
    rg.manual_seed(0)
    first = encoder(x).data
    rg.manual_seed(0)
    np.testing.assert_array_equal(encoder(x).data, first)
    assert not np.allclose(encoder(x).data, first)
    assert copy.deepcopy(encoder).layers[0].dropout.rng is None


def test_layers_of_an_encoder_draw_from_one_generator():
    layer = rg.nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5, rng=0)
    encoder = rg.nn.TransformerEncoder(layer, 2)
    first, second = (each.dropout1.rng for each in encoder.layers)
    assert first is second is layer.dropout1.rng


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.MultiheadAttention(6, 4), "4 heads of 6"),
        (lambda: nn.MultiheadAttention(4, 2)(x(3, 1, 4), x(3, 2, 4), x(3, 2, 4)), r"\(T, N, 4\)"),
        (
            lambda: nn.MultiheadAttention(4, 2)(
                *[x(3, 1, 4)] * 3, attn_mask=np.zeros((2, 3), bool)
            ),
            r"not \(2, 3\)",
        ),
        (
            lambda: nn.MultiheadAttention(4, 2)(
                *[x(3, 1, 4)] * 3, key_padding_mask=np.zeros((3, 1), bool)
            ),
            r"\(1, 3\), not \(3, 1\)",
        ),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), "tanh"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_dropout_acts_on_attention_in_training_only():
    x = rg.Tensor(np.ones((5, 2, 4)))
    attention = nn.MultiheadAttention(4, 2, dropout=0.5, rng=0)
    assert not np.array_equal(attention(x, x, x)[0].data, attention(x, x, x)[0].data)
    attention.eval()
    np.testing.assert_array_equal(attention(x, x, x)[0].data, attention(x, x, x)[0].data)


def test_a_mask_of_integers_is_refused_as_it_would_mask_nothing():
    mask = np.tril(np.ones((3, 3), int))
    for masks in ({"attn_mask": mask}, {"key_padding_mask": np.zeros((1, 3), int)}):
        with pytest.raises(TypeError, match=r"booleans.*not int\d+"):
            nn.MultiheadAttention(4, 2)(*[x(3, 1, 4)] * 3, **masks)


def test_attention_without_a_batch_is_that_of_a_batch_of_one():
    for batch_first in (False, True):
        attention = nn.MultiheadAttention(4, 2, batch_first=batch_first, rng=0)
        alone, axis = RNG.normal(size=(3, 4)), 0 if batch_first else 1
        padding = np.array([False, True, False])
        out, weights = attention(alone, alone, alone, padding)
        batch = np.expand_dims(alone, axis)
        many, many_weights = attention(batch, batch, batch, padding[None])
        np.testing.assert_allclose(out.data, np.squeeze(many.data, axis))
        np.testing.assert_allclose(weights.data, many_weights.data[0])
        assert (weights.data[:, 1] == 0).all()


def test_a_query_that_may_attend_to_nothing_gets_weights_of_zero():
    attention = nn.MultiheadAttention(4, 2, batch_first=True, rng=0)
    q = RNG.normal(size=(1, 3, 4))
    mask = np.array([[True] * 3, [False] * 3, [True, False, True]])
    _, weights = attention(q, q, q, attn_mask=mask)
    np.testing.assert_array_equal(weights.data[0, 0], np.zeros(3))
    np.testing.assert_allclose(weights.data[0, 2], [0.0, 1.0, 0.0])


@pytest.mark.parametrize("norm_first", [False, True])
def test_an_encoder_layer_is_made_of_its_parts_as_its_docstring_says(norm_first):
    layer = nn.TransformerEncoderLayer(4, 2, 8, norm_first=norm_first, rng=0).eval()
    src = RNG.normal(size=(3, 2, 4))

    def attend(x):
        return layer.self_attn(x, x, x)[0]

    def feed(x):
        return layer.linear2(F.relu(layer.linear1(x)))

    if norm_first:
        after = src + attend(layer.norm1(src))
        expected = after + feed(layer.norm2(after))
    else:
        after = layer.norm1(src + attend(src))
        expected = layer.norm2(after + feed(after))
    np.testing.assert_allclose(layer(src).data, expected.data)


def test_the_layers_of_an_encoder_are_copies_of_their_own():
    layer = nn.TransformerEncoderLayer(4, 2, 8, rng=0)
    encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(4))
    first, second = encoder.layers
    assert len({id(first.linear1.weight), id(second.linear1.weight), id(layer.linear1.weight)}) == 3
    np.testing.assert_array_equal(first.linear1.weight.data, layer.linear1.weight.data)
    out = encoder.eval()(RNG.normal(size=(3, 2, 4)))
    np.testing.assert_allclose(out.data.mean(axis=-1), np.zeros((3, 2)), atol=1e-12)
