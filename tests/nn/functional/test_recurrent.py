import numpy as np
import pytest

from retrograd.nn.functional.recurrent import gru, lstm, rnn
from retrograd.testing import gradgradcheck

RNG = np.random.default_rng(0)
STEPS, N, INPUTS, H = 4, 2, 3, 5


def arrays(gates, states):
    shapes = [
        (STEPS, N, INPUTS),
        *[(N, H)] * states,
        (gates * H, INPUTS),
        (gates * H, H),
        *[(gates * H,)] * 2,
    ]
    return [RNG.normal(size=shape) * 0.5 for shape in shapes]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_an_rnn_is_a_tanh_of_what_input_and_state_give():
    x, h, w_ih, w_hh, b_ih, b_hh = given = arrays(1, 1)
    out = rnn(*given)
    for t in range(STEPS):
        h = np.tanh(x[t] @ w_ih.T + b_ih + h @ w_hh.T + b_hh)
        np.testing.assert_allclose(out[t], h.T)


def test_an_lstm_keeps_a_cell_behind_its_gates():
    x, h, c, w_ih, w_hh, b_ih, b_hh = given = arrays(4, 2)
    out = lstm(*given)
    for t in range(STEPS):
        i, f, g, o = np.split(x[t] @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(out[t, -2 * H : -H], c.T)
        np.testing.assert_allclose(out[t, -H:], h.T)


def test_a_gru_lets_news_in_where_its_gate_is_open():
    x, h, w_ih, w_hh, b_ih, b_hh = given = arrays(3, 1)
    out = gru(*given)
    for t in range(STEPS):
        own, from_x = h @ w_hh.T + b_hh, x[t] @ w_ih.T + b_ih
        r, z = np.split(sigmoid(own + from_x)[:, : 2 * H], 2, axis=1)
        n = np.tanh(from_x[:, 2 * H :] + r * own[:, 2 * H :])
        h = (1 - z) * n + z * h
        np.testing.assert_allclose(out[t, -H:], h.T)


@pytest.mark.parametrize(("layer", "gates", "states"), [(rnn, 1, 1), (lstm, 4, 2), (gru, 3, 1)])
def test_each_array_has_its_gradient(layer, gates, states):
    assert gradgradcheck(layer, *arrays(gates, states), directions=1)
