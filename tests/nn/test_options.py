"""Options of layers and functions that the golden numbers leave out."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.testing import gradgradcheck

F = nn.functional
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_a_norm_of_any_order_divides_to_length_one(p):
    x = RNG.normal(size=(3, 4))
    np.testing.assert_allclose(np.linalg.norm(F.normalize(x, p), p, axis=1), np.ones(3))
    assert gradgradcheck(lambda x: F.normalize(x, p), x)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_convolution_pads_with_what_is_there(mode):
    layer = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode, rng=0)
    x = RNG.normal(size=(2, 2, 5, 6))
    name = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)), mode=name)
    np.testing.assert_allclose(layer(x).data, F.conv2d(padded, layer.weight, layer.bias).data)
    assert f"padding_mode='{mode}'" in repr(layer)


def test_one_image_without_a_batch_is_made_larger_too():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, rng=0)
    x = RNG.normal(size=(2, 3, 4))
    np.testing.assert_allclose(layer(x).data, layer(x[None]).data[0])


@pytest.mark.parametrize(("stride", "dilation", "extra"), [(3, 1, 2), (1, 2, 1), (2, 3, (1, 2))])
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(stride, dilation, extra):
    w = RNG.normal(size=(2, 3, 2, 3))
    x = RNG.normal(size=(1, 2, 3, 4))
    up = F.conv_transpose2d(x, w, stride=stride, padding=1, output_padding=extra, dilation=dilation)
    y = RNG.normal(size=up.shape)
    down = F.conv2d(y, w, stride=stride, padding=1, dilation=dilation)
    np.testing.assert_allclose(np.sum(up * y), np.sum(x * down[:, :, :3, :4]))


def test_reprs_show_what_is_not_usual():
    shown = {
        nn.Conv2d(1, 2, 3, stride=2, bias=False): "stride=(2, 2), bias=False",
        nn.LSTM(2, 3, num_layers=2, bidirectional=True): "num_layers=2, bidirectional=True",
        nn.GRUCell(2, 3): "GRUCell(2, 3)",
        nn.MaxPool2d(2): "kernel_size=2, stride=2, padding=0, dilation=1",
        nn.Embedding(3, 2, padding_idx=-1): "padding_idx=2",
        nn.BatchNorm1d(3): "num_features=3",
        nn.Dropout(0.1): "p=0.1",
    }
    for module, text in shown.items():
        assert text in repr(module)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_sequence_without_a_batch_may_start_from_a_state(name, batch_first):
    layer = getattr(nn, name)(3, 4, batch_first=batch_first, rng=0)
    x, states = RNG.normal(size=(5, 3)), tuple(RNG.normal(size=(1, 4)) for _ in range(2))
    one = states if name == "LSTM" else states[0]
    many = tuple(s[:, None] for s in states) if name == "LSTM" else states[0][:, None]
    axis = 0 if batch_first else 1
    alone, last = layer(x, one)
    batch, _ = layer(np.expand_dims(x, axis), many)
    np.testing.assert_allclose(alone.data, np.squeeze(batch.data, axis))
    assert (last[0] if name == "LSTM" else last).shape == (1, 4)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_a_cell_takes_one_sample(name):
    cell, x = getattr(nn, name)(3, 4, rng=0), RNG.normal(size=3)
    first = cell(x)
    again = cell(x, first)
    batch = cell(x[None], tuple(s[None] for s in first) if name == "LSTMCell" else first[None])
    one, many = (again[0], batch[0]) if name == "LSTMCell" else (again, batch)
    np.testing.assert_allclose(one.data, many.data[0])


def test_dropout_acts_on_attention_and_between_layers_in_training_only():
    x = rg.Tensor(np.ones((5, 2, 4)))
    attention = nn.MultiheadAttention(4, 2, dropout=0.5, rng=0)
    layers = nn.LSTM(4, 4, num_layers=2, dropout=0.5, rng=0)
    for call in (lambda: attention(x, x, x)[0], lambda: layers(x)[0]):
        assert not np.array_equal(call().data, call().data)
    attention.eval(), layers.eval()
    for call in (lambda: attention(x, x, x)[0], lambda: layers(x)[0]):
        np.testing.assert_array_equal(call().data, call().data)
    one, two = (F.scaled_dot_product_attention(x, x, x, dropout_p=0.5, rng=s) for s in (0, 1))
    assert not np.array_equal(one.data, two.data)
    np.testing.assert_array_equal(F.dropout(x, 1.0).data, np.zeros(x.shape))


def test_attention_takes_one_kind_of_mask():
    x = np.ones((3, 4))
    with pytest.raises(ValueError, match="not both"):
        F.scaled_dot_product_attention(x, x, x, np.ones((3, 3), bool), is_causal=True)


def test_packed_weights_also_serve_three_different_inputs():
    attention = nn.MultiheadAttention(4, 2, batch_first=True, rng=0)
    x = rg.Tensor(RNG.normal(size=(2, 3, 4)))
    together, _ = attention(x, x, x)
    apart, _ = attention(x, x + 0, x + 0)
    np.testing.assert_allclose(together.data, apart.data)


def test_a_loss_of_target_gradients_has_them():
    x, y = RNG.uniform(0.1, 0.9, size=(2, 4))
    weight = np.array([1.0, 2.0, 0.5, 3.0])
    for loss in (F.mse_loss, F.huber_loss, F.l1_loss):
        assert gradgradcheck(loss, x, y)
    assert gradgradcheck(lambda x, y: F.binary_cross_entropy(x, y, weight), x, y)
    assert gradgradcheck(
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, weight, weight[::-1].copy()), x, y
    )


def test_smooth_l1_with_beta_0_is_l1():
    x, y = RNG.normal(size=(2, 5))
    assert F.smooth_l1_loss(x, y, beta=0.0) == F.l1_loss(x, y)


def test_a_variance_may_lack_the_last_axis():
    x, y, var = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.uniform(0.5, 1, size=3)
    assert F.gaussian_nll_loss(x, y, var) == F.gaussian_nll_loss(x, y, var[:, None])


def test_long_rows_are_normalized_as_exactly_as_short_ones():
    x = RNG.normal(3.0, 2.0, size=(2, 1000))
    out = F.layer_norm(x, (1000,), eps=0.0)
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(out.var(axis=1), 1)
    assert gradgradcheck(lambda x: F.layer_norm(x, (1000,)), x, directions=1)


def test_modules_and_parameters_are_registered_by_name():
    module = nn.Module()
    module.register_parameter("weight", nn.Parameter([1.0]))
    module.register_parameter("bias", None)
    module.add_module("0", nn.Linear(1, 1))
    assert list(module.state_dict()) == ["weight", "0.weight", "0.bias"]
    assert len(list(module.buffers())) == 0
    assert module.float().weight.dtype == np.float32


def test_an_activation_may_be_made_with_other_arguments_by_a_subclass():
    class Shifted(nn.ELU):
        def __init__(self, by):
            super().__init__(alpha=2.0)
            self.by = by

        def forward(self, input):
            return super().forward(input - self.by)

    layer = Shifted(1.0)
    np.testing.assert_allclose(layer(np.zeros(1)), 2 * np.expm1(-1.0))
    assert "by=1.0" in repr(layer)
    assert "alpha=2.0" in repr(layer)
