"""Attention, weights transposed to `(..., S, T)`: to reduce the last axis is NumPy's slow case."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.doors import primitive
from retrograd.nn.functional.dense import dropout, ones
from retrograd.random import RngLike
from retrograd.registry import defvjp, defvjp_shared


def _over_keys(x: Any) -> Any:
    return np.matmul(ones(x.shape[-2], x.dtype), x)[..., None, :]


@primitive
def weigh(query: Any, key: Any, mask: Any, scale: float) -> Any:
    """Return `softmax(key @ query.T * scale + mask)` over the keys; 0 for a query without any."""
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


defvjp_shared(
    weigh,
    lambda g, out, query, key, mask, scale: out * (g - _over_keys(g * out)),
    lambda g, out, query, key, mask, scale: np.matmul(np.swapaxes(g, -1, -2), key) * scale,
    lambda g, out, query, key, mask, scale: np.matmul(g, query) * scale,
    lambda g, out, query, key, mask, scale: +g,
)
defvjp(
    mixture,
    lambda g, out, weights, value: np.matmul(value, np.swapaxes(g, -1, -2)),
    lambda g, out, weights, value: np.matmul(weights, g),
)


def added(mask: Any, dtype: Any, allowed: bool) -> Any:
    """Return a mask as numbers to add to scores; true means `allowed`."""
    if mask.dtype.kind == "f":
        return mask
    if mask.dtype.kind != "b":  # adding 0 and 1 would mask nothing
        raise TypeError(
            f"an attention mask is of booleans or of floats, not {mask.dtype}: use .astype(bool)"
        )
    return np.where(mask == allowed, 0.0, -math.inf).astype(dtype)


def causal(queries: int, keys: int, dtype: Any) -> Any:
    """Return the mask that lets a query see its place and those before."""
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
