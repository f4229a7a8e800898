"""Recurrent layers, and attention.

A recurrent function runs a layer over `x` `(T, N, I)` from the state `(N, H)`, and returns all that
the steps made, `(T, rows, N)`, the hidden state in the last H rows: gates are blocks of rows.
Sigmoids are `0.5 + 0.5 * tanh(x / 2)`: one call makes all gates.

Attention has its weights transposed to `(..., S, T)`: to reduce the last axis is NumPy's slow case.
"""

import math
from typing import Any

import numpy as np

from retrograd.engine import defvjp, defvjp_joint, primitive, shared
from retrograd.nn.functional.dense import dropout, ones
from retrograd.random import RngLike


def _from_input(x: Any, weight: Any, *biases: Any) -> Any:
    steps, batch, _ = x.shape
    made = np.matmul(weight, np.transpose(x.reshape((steps * batch, -1))))
    given = [b for b in biases if b is not None]
    if given:
        made = made + sum(given[1:], given[0])[:, None]
    return made.reshape((-1, steps, batch))


def _as_matrix(x: Any) -> Any:  # (T, rows, N) to (rows, T * N)
    return np.swapaxes(x, 0, 1).reshape((x.shape[1], -1))


def _before(first: Any, states: Any) -> Any:
    return np.concatenate([np.transpose(first)[None], states[:-1]])


def _packed(made: list[Any], steps: int) -> Any:
    return np.concatenate(made).reshape((steps, -1, made[0].shape[1]))


def _in_time(made: list[Any], steps: int) -> Any:
    return _as_matrix(_packed(made, steps)[::-1])


def _define(cell: Any, walk: Any, dx: Any, states: int = 1) -> None:
    """Give a cell its rule.

    `walk` goes back through the loop and returns the gradients `(rows, T * N)` of what input and
    state give with their weights, and those of the first states, transposed.
    """
    starts = [lambda g, *_, **__: np.transpose(g[2]), lambda g, *_, **__: np.transpose(g[3])]
    joint = shared(
        walk, dx, *starts[:states],
        lambda g, out, x, *_, **__: np.matmul(g[0], x.reshape((-1, x.shape[2]))),
        lambda g, out, x, h, *_, **__:
            np.matmul(g[1], np.transpose(_as_matrix(_before(h, out[:, -h.shape[1]:])))),
        lambda g, *_, **__: np.matmul(g[0], ones(g[0].shape[1], g[0].dtype)),
        lambda g, *_, **__: np.matmul(g[1], ones(g[1].shape[1], g[1].dtype)),
    )  # fmt: skip
    defvjp_joint(cell, joint, arrays=6 + states - 1)


def _to_input(g: Any, x: Any, w_ih: Any) -> Any:
    return np.matmul(np.transpose(g[0]), w_ih).reshape(x.shape)


@primitive
def rnn(
    x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, nonlinearity: str = "tanh"
) -> Any:
    """Return the hidden states `h = tanh(w_ih @ x + w_hh @ h + biases)`, or relu for tanh."""
    given, h, made = _from_input(x, w_ih, b_ih, b_hh), np.transpose(h), []
    for t in range(len(x)):
        z = np.matmul(w_hh, h) + given[:, t]
        h = np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0.0)
        made.append(h)
    return _packed(made, len(x))


def _rnn_g(
    g: Any, out: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, *_: Any, nonlinearity: str = "tanh"
) -> Any:
    slope = 1 - out * out if nonlinearity == "tanh" else (out > 0).astype(out.dtype)
    back, dh, dzs = np.transpose(w_hh), 0.0, []
    for t in reversed(range(len(x))):
        dz = (g[t] + dh) * slope[t]
        dh = np.matmul(back, dz)
        dzs.append(dz)
    dz = _in_time(dzs, len(x))
    return dz, dz, dh


_define(rnn, _rnn_g, lambda g, out, x, h, w_ih, w_hh, b_ih, b_hh, nonlinearity="tanh":
       _to_input(g, x, w_ih))  # fmt: skip


@primitive
def lstm(x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    """Return the gates i, f, g, o, the cell states c and the hidden states h.

    `c = f * c + i * g` and `h = o * tanh(c)`, with i, f, o sigmoids and g a tanh of what `rnn` has.
    """
    n = h.shape[1]
    scale, shift = (
        ones(n, x.dtype, (0.5, 0.5, 1, 0.5))[:, None],
        ones(n, x.dtype, (0.5, 0.5, 0, 0.5))[:, None],
    )
    given = _from_input(x, w_ih, b_ih, b_hh) * scale[:, :, None]
    weight, h, c, made = w_hh * scale, np.transpose(h), np.transpose(c), []
    for t in range(len(x)):
        gates = np.tanh(np.matmul(weight, h) + given[:, t]) * scale + shift
        c = gates[n : 2 * n] * c + gates[:n] * gates[2 * n : 3 * n]
        h = gates[3 * n :] * np.tanh(c)
        made += [gates, c, h]
    return _packed(made, len(x))


def _lstm_g(g: Any, out: Any, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, *_: Any) -> Any:
    n = h.shape[1]
    gates, cells = out[:, : 4 * n], out[:, 4 * n : 5 * n]
    forget, squashed = gates[:, n : 2 * n], np.tanh(cells)
    # what dc and dh meet on their way to the gates
    slope = (gates - ones(n, x.dtype, (0, 0, -1, 0))[:, None]) * (1 - gates)
    factor = slope * np.concatenate(
        [gates[:, 2 * n : 3 * n], _before(c, cells), gates[:, :n], squashed], axis=1
    )
    to_cell = gates[:, 3 * n :] * (1 - squashed * squashed)
    direct = g[:, : 4 * n] * slope
    back, dh, dc, dzs = np.transpose(w_hh), 0.0, 0.0, []
    for t in reversed(range(len(x))):
        dh = g[t, 5 * n :] + dh
        dc = g[t, 4 * n : 5 * n] + dc + dh * to_cell[t]
        dz = np.concatenate([dc, dc, dc, dh]) * factor[t] + direct[t]
        dh = np.matmul(back, dz)
        dc = dc * forget[t]
        dzs.append(dz)
    dz = _in_time(dzs, len(x))
    return dz, dz, dh, dc


_define(lstm, _lstm_g, lambda g, out, x, h, c, w_ih, w_hh, b_ih, b_hh: _to_input(g, x, w_ih), 2)


@primitive
def gru(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    """Return the gates r, z, what r acts on, the news n and the hidden states h.

    `h = (1 - z) * n + z * h`, with r and z sigmoids of what `rnn` has, and n its tanh with r times
    what comes from h.
    """
    n = h.shape[1]
    given, h, made = _from_input(x, w_ih, b_ih), np.transpose(h), []
    for t in range(len(x)):
        own = np.matmul(w_hh, h)
        if b_hh is not None:
            own = own + b_hh[:, None]
        gates = np.tanh((own[: 2 * n] + given[: 2 * n, t]) * 0.5) * 0.5 + 0.5
        news = np.tanh(gates[:n] * own[2 * n :] + given[2 * n :, t])
        h = news + gates[n:] * (h - news)
        made += [gates, own[2 * n :], news, h]
    return _packed(made, len(x))


def _gru_g(g: Any, out: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, *_: Any) -> Any:
    n = h.shape[1]
    gates, own, news = out[:, : 2 * n], out[:, 2 * n : 3 * n], out[:, 3 * n : 4 * n]
    reset, keep = gates[:, :n], gates[:, n:]
    slope, bend, last = gates * (1 - gates), 1 - news * news, _before(h, out[:, 4 * n :])
    back, dh, from_x, from_h = np.transpose(w_hh), 0.0, [], []
    for t in reversed(range(len(x))):
        dh = g[t, 4 * n :] + dh
        dn = (dh * (1 - keep[t]) + g[t, 3 * n : 4 * n]) * bend[t]
        do = dn * reset[t] + g[t, 2 * n : 3 * n]
        dr = dn * own[t]
        drz = (np.concatenate([dr, dh * (last[t] - news[t])]) + g[t, : 2 * n]) * slope[t]
        from_x += [drz, dn]
        from_h += [drz, do]
        dh = np.matmul(back, np.concatenate([drz, do])) + dh * keep[t]
    return _in_time(from_x, len(x)), _in_time(from_h, len(x)), dh


_define(gru, _gru_g, lambda g, out, x, h, w_ih, w_hh, b_ih, b_hh: _to_input(g, x, w_ih))


# Attention


def _over_keys(x: Any) -> Any:
    return np.matmul(ones(x.shape[-2], x.dtype), x)[..., None, :]


@primitive
def weigh(query: Any, key: Any, mask: Any, scale: float) -> Any:
    """Return `softmax(key @ query.T * scale + mask)` over keys; 0 for a query without any."""
    scores = np.matmul(key, np.swapaxes(query * scale, -1, -2))
    scores = scores if mask is None else scores + mask
    top = np.max(scores, axis=-2, keepdims=True)
    if mask is not None:
        top = np.maximum(top, float(np.finfo(scores.dtype).min))
    powers = np.exp(scores - top)
    total = _over_keys(powers)  # has a 1 in it, or is 0
    return powers / (total if mask is None else np.maximum(total, 0.5))


@primitive
def mixture(weights: Any, value: Any) -> Any:
    """Return the values `(..., S, D)` mixed by the weights."""
    return np.matmul(np.swapaxes(weights, -1, -2), value)


defvjp_joint(
    weigh,
    shared(
        lambda g, out, query, key, mask, scale: out * (g - _over_keys(g * out)),
        lambda g, out, query, key, mask, scale: np.matmul(np.swapaxes(g, -1, -2), key) * scale,
        lambda g, out, query, key, mask, scale: np.matmul(g, query) * scale,
        lambda g, out, query, key, mask, scale: g,
    ),
    arrays=3,
)
defvjp(
    mixture,
    lambda g, out, weights, value: np.matmul(value, np.swapaxes(g, -1, -2)),
    lambda g, out, weights, value: np.matmul(weights, g),
)


def added(mask: Any, dtype: Any, allowed: bool) -> Any:
    """Return a mask as numbers to add; true means `allowed`."""
    if mask.dtype.kind == "f":
        return mask
    if mask.dtype.kind != "b":  # adding 0 and 1 would mask nothing
        raise TypeError(
            f"an attention mask is of booleans or of floats, not {mask.dtype}: use .astype(bool)"
        )
    return np.where(mask == allowed, 0.0, -math.inf).astype(dtype)


def causal(queries: int, keys: int, dtype: Any) -> Any:
    """Return the mask that lets a query see keys up to its place."""
    return added(np.tril(np.ones((queries, keys), bool)), np.dtype(dtype), True)


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, rng: RngLike = None,
) -> Any:  # fmt: skip
    """Return `softmax(query @ key.T * scale + attn_mask) @ value` (Vaswani et al. 2017).

    `query` `(..., T, E)`, `key` `(..., S, E)` and `value` `(..., S, D)` give `(..., T, D)`.
    `attn_mask` broadcasts with `(..., T, S)`: numbers are added, true means may attend; a query
    without a key gives 0. `scale` is by default `1 / sqrt(E)`. `dropout_p` always acts.

    >>> x = np.array([[1.0], [1.0]])
    >>> F.scaled_dot_product_attention(x, x, x)
    array([[1.], [1.]])
    """
    if query.shape[-1:] != key.shape[-1:] or key.shape[-2:-1] != value.shape[-2:-1]:
        raise ValueError(
            "scaled_dot_product_attention takes query (..., T, E), key (..., S, E) and value "
            f"(..., S, D), not {query.shape}, {key.shape} and {value.shape}"
        )
    if is_causal:
        if attn_mask is not None:
            raise ValueError("scaled_dot_product_attention takes attn_mask or is_causal, not both")
        attn_mask = causal(query.shape[-2], key.shape[-2], query.dtype)
    mask = None if attn_mask is None else np.swapaxes(added(attn_mask, query.dtype, True), -1, -2)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    weights = weigh(query, key, mask, scale=scale)
    if dropout_p:
        weights = dropout(weights, dropout_p, rng=rng)
    return mixture(weights, value)
