"""Recurrent layers: a loop over time in each direction, forward and backward.

Each function runs one layer over `x` `(T, N, I)` from the state `h` `(N, H)` and returns all that
the steps made as one array `(T, rows, N)`, the hidden states in its last H rows. The batch is the
last axis, so that gates are blocks of rows. Weights have PyTorch's layouts: `w_ih`
`(gates * H, I)`, `w_hh` `(gates * H, H)`, both biases `(gates * H,)` or None.

Backward, one walk through the loop gives the gradients of what goes through the activations; all
products with the weights follow, one each.

Sigmoids are computed as `0.5 + 0.5 * tanh(x / 2)`: one call makes all gates.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.engine import defvjp_joint, primitive
from retrograd.nn.functional.linear import ones

__all__ = ["gru", "lstm", "rnn"]


_transposed = operator.attrgetter("T")


def _project_input(x: Any, weight: Any, *biases: Any) -> Any:
    """Return `weight @ x` plus the biases for all times: `(T, N, I)` to `(rows, T, N)`."""
    steps, batch, size = x.shape
    out = np.matmul(weight, x.reshape((steps * batch, size)).T)
    present = [b for b in biases if b is not None]
    if present:
        out = out + sum(present[1:], present[0])[:, None]
    return out.reshape((out.shape[0], steps, batch))


def _as_matrix(x: Any) -> Any:
    """Return `(T, rows, N)` as a matrix `(rows, T * N)`."""
    steps, rows, batch = x.shape
    return np.swapaxes(x, 0, 1).reshape((rows, steps * batch))


def _states_before(first: Any, states: Any) -> Any:
    """Return the state before each step, `(T, H, N)`, from the first `(N, H)` and those after."""
    return np.concatenate([first.T[None], states[:-1]])


def _stack_steps(parts: list[Any], steps: int) -> Any:
    """Return arrays `(rows, N)`, as many for each step, as one `(T, rows, N)`."""
    joined = np.concatenate(parts)
    return joined.reshape((steps, joined.shape[0] // steps, joined.shape[1]))


def _reverse_steps(parts: list[Any], steps: int) -> Any:
    """Return what a walk back through the steps made as a matrix `(rows, T * N)`, first to last."""
    return _as_matrix(_stack_steps(parts, steps)[::-1])


def _layer_gradients(
    needed: Sequence[int], x: Any, h: Any, w_ih: Any, out: Any, from_x: Any, from_h: Any,
    *first_states: Any,
) -> list[Any]:  # fmt: skip
    """Return the needed gradients of a layer's arrays: x, the states, both weights, both biases.

    Args:
        needed: the positions of those arrays.
        x: the input `(T, N, I)`.
        h: the first hidden state `(N, H)`.
        w_ih: the weight of the input.
        out: what the layer returned.
        from_x: the gradient of what the input gives with its weight and bias, `(rows, T * N)`.
        from_h: the gradient of what the state gives with its weight and bias, `(rows, T * N)`.
        *first_states: the gradients of the first states, `(H, N)`.
    """

    def dw_hh() -> Any:
        before = _states_before(h, out[:, -h.shape[1] :])
        return np.matmul(from_h, _as_matrix(before).T)

    gradients: tuple[Callable[[], Any], ...] = (
        lambda: np.matmul(from_x.T, w_ih).reshape(x.shape),
        *(functools.partial(_transposed, g) for g in first_states),
        lambda: np.matmul(from_x, x.reshape((-1, x.shape[2]))),
        dw_hh,
        lambda: np.matmul(from_x, ones(from_x.shape[1], from_x.dtype)),
        lambda: np.matmul(from_h, ones(from_h.shape[1], from_h.dtype)),
    )
    return [gradients[i]() for i in needed]


@primitive
def rnn(
    x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, nonlinearity: str = "tanh"
) -> Any:
    """Return the hidden states `h = tanh(w_ih @ x + b_ih + w_hh @ h + b_hh)`: `(T, H, N)`.

    With `nonlinearity="relu"`, a relu for the tanh. (Elman 1990, "Finding structure in time".)
    """
    projected, h, parts = _project_input(x, w_ih, b_ih, b_hh), h.T, []
    for t in range(len(x)):
        z = np.matmul(w_hh, h) + projected[:, t]
        h = np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0.0)
        parts.append(h)
    return _stack_steps(parts, len(x))


def _rnn_gradients(
    needed: Sequence[int], g: Any, out: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any,
    b_hh: Any, nonlinearity: str = "tanh",
) -> list[Any]:  # fmt: skip
    slope = 1 - out * out if nonlinearity == "tanh" else (out > 0).astype(out.dtype)
    back, dh, dzs = w_hh.T, 0.0, []
    for t in reversed(range(len(x))):
        dz = (g[t] + dh) * slope[t]
        dh = np.matmul(back, dz)
        dzs.append(dz)
    dz = _reverse_steps(dzs, len(x))
    return _layer_gradients(needed, x, h, w_ih, out, dz, dz, dh)


defvjp_joint(rnn, _rnn_gradients, arrays=6)


@primitive
def lstm(x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    """Return the gates i, f, g, o, the cell states and the hidden states: `(T, 6 * H, N)`.

    `c = f * c + i * g` and `h = o * tanh(c)`, where i, f and o are sigmoids and g is a tanh of
    `w_ih @ x + b_ih + w_hh @ h + b_hh`. (Hochreiter and Schmidhuber 1997, "Long short-term
    memory"; the forget gate f: Gers et al. 2000.)
    """
    n = h.shape[1]
    scale, shift = (
        ones(n, x.dtype, (0.5, 0.5, 1, 0.5))[:, None],
        ones(n, x.dtype, (0.5, 0.5, 0, 0.5))[:, None],
    )
    projected = _project_input(x, w_ih, b_ih, b_hh) * scale[:, :, None]
    weight, h, c, parts = w_hh * scale, h.T, c.T, []
    for t in range(len(x)):
        gates = np.tanh(np.matmul(weight, h) + projected[:, t]) * scale + shift
        c = gates[n : 2 * n] * c + gates[:n] * gates[2 * n : 3 * n]
        h = gates[3 * n :] * np.tanh(c)
        parts += [gates, c, h]
    return _stack_steps(parts, len(x))


def _lstm_gradients(
    needed: Sequence[int], g: Any, out: Any, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any,
    b_ih: Any, b_hh: Any,
) -> list[Any]:  # fmt: skip
    n = h.shape[1]
    gates, cells = out[:, : 4 * n], out[:, 4 * n : 5 * n]
    forget, squashed = gates[:, n : 2 * n], np.tanh(cells)
    # what the gradients of c and h are multiplied by on their way to the gates
    slope = (gates - ones(n, x.dtype, (0, 0, -1, 0))[:, None]) * (1 - gates)
    factor = slope * np.concatenate(
        [gates[:, 2 * n : 3 * n], _states_before(c, cells), gates[:, :n], squashed], axis=1
    )
    to_cell = gates[:, 3 * n :] * (1 - squashed * squashed)
    direct = g[:, : 4 * n] * slope
    back, dh, dc, dzs = w_hh.T, 0.0, 0.0, []
    for t in reversed(range(len(x))):
        dh = g[t, 5 * n :] + dh
        dc = g[t, 4 * n : 5 * n] + dc + dh * to_cell[t]
        dz = np.concatenate([dc, dc, dc, dh]) * factor[t] + direct[t]
        dh = np.matmul(back, dz)
        dc = dc * forget[t]
        dzs.append(dz)
    dz = _reverse_steps(dzs, len(x))
    return _layer_gradients(needed, x, h, w_ih, out, dz, dz, dh, dc)


defvjp_joint(lstm, _lstm_gradients, arrays=7)


@primitive
def gru(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    """Return the gates r and z, what r acts on, the news n and the hidden states: `(T, 5 * H, N)`.

    `h = (1 - z) * n + z * h`, where r and z are sigmoids of `w_ih @ x + b_ih + w_hh @ h + b_hh`,
    and n is a tanh of the same with r times what comes from h and its bias, as in PyTorch. (Cho et
    al. 2014, "Learning phrase representations using RNN encoder-decoder".)
    """
    n = h.shape[1]
    projected, h, parts = _project_input(x, w_ih, b_ih), h.T, []
    for t in range(len(x)):
        own = np.matmul(w_hh, h)
        if b_hh is not None:
            own = own + b_hh[:, None]
        gates = np.tanh((own[: 2 * n] + projected[: 2 * n, t]) * 0.5) * 0.5 + 0.5
        news = np.tanh(gates[:n] * own[2 * n :] + projected[2 * n :, t])
        h = news + gates[n:] * (h - news)
        parts += [gates, own[2 * n :], news, h]
    return _stack_steps(parts, len(x))


def _gru_gradients(
    needed: Sequence[int], g: Any, out: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any,
    b_hh: Any,
) -> list[Any]:  # fmt: skip
    n = h.shape[1]
    gates, own, news = out[:, : 2 * n], out[:, 2 * n : 3 * n], out[:, 3 * n : 4 * n]
    reset, keep = gates[:, :n], gates[:, n:]
    slope, bend, last = gates * (1 - gates), 1 - news * news, _states_before(h, out[:, 4 * n :])
    back, dh, from_x, from_h = w_hh.T, 0.0, [], []
    for t in reversed(range(len(x))):
        dh = g[t, 4 * n :] + dh
        dn = (dh * (1 - keep[t]) + g[t, 3 * n : 4 * n]) * bend[t]
        do = dn * reset[t] + g[t, 2 * n : 3 * n]
        dr = dn * own[t]
        drz = (np.concatenate([dr, dh * (last[t] - news[t])]) + g[t, : 2 * n]) * slope[t]
        from_x += [drz, dn]
        from_h += [drz, do]
        dh = np.matmul(back, np.concatenate([drz, do])) + dh * keep[t]
    through_x, through_h = _reverse_steps(from_x, len(x)), _reverse_steps(from_h, len(x))
    return _layer_gradients(needed, x, h, w_ih, out, through_x, through_h, dh)


defvjp_joint(gru, _gru_gradients, arrays=6)
