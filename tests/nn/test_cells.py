import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_a_cell_takes_one_sample(name):
    cell, x = getattr(nn, name)(3, 4, rng=0), RNG.normal(size=3)
    first = cell(x)
    again = cell(x, first)
    batch = cell(x[None], tuple(s[None] for s in first) if name == "LSTMCell" else first[None])
    one, many = (again[0], batch[0]) if name == "LSTMCell" else (again, batch)
    np.testing.assert_allclose(one.data, many.data[0])


def test_the_steps_of_cells_are_those_of_their_layers():
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    for layer, cell in (
        (nn.RNN(3, 5, rng=0), nn.RNNCell(3, 5)),
        (nn.LSTM(3, 5, rng=0), nn.LSTMCell(3, 5)),
        (nn.GRU(3, 5, rng=0), nn.GRUCell(3, 5)),
    ):
        cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
        out, _ = layer(x)
        state = None
        for t in range(4):
            state = cell(x[t], state)
            hidden = state[0] if isinstance(state, tuple) else state
            np.testing.assert_allclose(hidden.data, out.data[t], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.GRUCell(3, 4)(x(2, 4)), r"\(N, 3\), not \(2, 4\)"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize(("name", "gates"), [("RNNCell", 1), ("LSTMCell", 4), ("GRUCell", 3)])
def test_parameters_have_the_names_and_shapes_that_the_docstring_tells(name, gates):
    state = getattr(nn, name)(3, 4).state_dict()
    assert {key: array.shape for key, array in state.items()} == {
        "weight_ih": (gates * 4, 3), "weight_hh": (gates * 4, 4), "bias_ih": (gates * 4,),
        "bias_hh": (gates * 4,),
    }  # fmt: skip
    assert list(getattr(nn, name)(3, 4, bias=False).state_dict()) == ["weight_ih", "weight_hh"]
