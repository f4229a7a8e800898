import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


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


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.LSTM(3, 4)(x(5, 2, 2)), r"\(T, N, 3\) or \(T, 3\), not \(5, 2, 2\)"),
        (lambda: nn.LSTM(3, 4)(x(5, 2, 3), (x(1, 2, 4), x(1, 2, 3))), r"\(1, 2, 4\)"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), "sin"),
        (lambda: nn.GRU(3, 4)(x(0, 2, 3)), "no steps"),
        (lambda: nn.LSTM(3, 4, dropout=2.0), "2.0"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_dropout_acts_between_layers_in_training_only():
    x = rg.Tensor(np.ones((5, 2, 4)))
    layers = nn.LSTM(4, 4, num_layers=2, dropout=0.5, rng=0)
    assert not np.array_equal(layers(x)[0].data, layers(x)[0].data)
    layers.eval()
    np.testing.assert_array_equal(layers(x)[0].data, layers(x)[0].data)


@pytest.mark.parametrize(("name", "gates"), [("RNN", 1), ("LSTM", 4), ("GRU", 3)])
def test_parameters_have_the_names_shapes_and_bounds_that_the_docstring_tells(name, gates):
    layer = getattr(nn, name)(3, 4, num_layers=2, bidirectional=True, rng=0)
    shapes = {key: array.shape for key, array in layer.state_dict().items()}
    for suffix, features in (("l0", 3), ("l0_reverse", 3), ("l1", 8), ("l1_reverse", 8)):
        assert shapes.pop(f"weight_ih_{suffix}") == (gates * 4, features)
        assert shapes.pop(f"weight_hh_{suffix}") == (gates * 4, 4)
        assert shapes.pop(f"bias_ih_{suffix}") == (gates * 4,)
        assert shapes.pop(f"bias_hh_{suffix}") == (gates * 4,)
    assert not shapes
    assert all(np.abs(p.data).max() <= 0.5 for p in layer.parameters())


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_two_halves_of_a_sequence_are_the_whole_if_the_state_is_handed_on(name):
    layer, x = getattr(nn, name)(3, 4, num_layers=2, rng=0), RNG.normal(size=(6, 2, 3))
    whole, end = layer(x)
    first, state = layer(x[:3])
    second, last = layer(x[3:], state)
    np.testing.assert_allclose(np.concatenate([first, second]).data, whole.data)
    for one, other in zip(last, end, strict=True):
        np.testing.assert_allclose(one.data, other.data)


def test_an_rnn_may_have_relu_for_its_nonlinearity():
    layer, x = nn.RNN(3, 4, nonlinearity="relu", rng=0), RNG.normal(size=(1, 2, 3))
    out, _ = layer(x)
    state = x[0] @ layer.weight_ih_l0.data.T + layer.bias_ih_l0.data + layer.bias_hh_l0.data
    np.testing.assert_allclose(out.data[0], np.maximum(state, 0))
