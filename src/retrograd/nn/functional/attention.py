"""Attention.

Inside, weights are transposed, `(..., S, T)` for S keys and T queries: to reduce along the last
axis is NumPy's slow case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.engine import TensorLike, TensorT, defvjp, defvjp_joint, primitive
from retrograd.nn.functional.dropping import dropout
from retrograd.nn.functional.linear import ones
from retrograd.random import RngLike

__all__ = ["scaled_dot_product_attention"]


def _sum_over_keys(x: Any) -> Any:
    """Return the sum over the keys, which stay as an axis of length 1."""
    return np.matmul(ones(x.shape[-2], x.dtype), x)[..., None, :]


@primitive
def weigh(query: Any, key: Any, mask: Any, scale: float) -> Any:
    """Return `softmax(key @ query.T * scale + mask)` over the keys: `(..., S, T)`.

    `query` is `(..., T, E)`, `key` `(..., S, E)`, and `mask`, or None, broadcasts with the result.
    A query that may attend to no key (the mask is minus infinity for all) has weights 0.
    """
    scores = np.matmul(key, np.swapaxes(query * scale, -1, -2))
    scores = scores if mask is None else scores + mask
    top = np.max(scores, axis=-2, keepdims=True)
    if mask is not None:
        top = np.maximum(top, float(np.finfo(scores.dtype).min))
    powers = np.exp(scores - top)
    # A sum has the 1 of the largest score in it, or is 0 where all is masked.
    total = _sum_over_keys(powers)
    return powers / (total if mask is None else np.maximum(total, 0.5))


def _weigh_gradients(
    needed: Sequence[int], g: Any, out: Any, query: Any, key: Any, mask: Any, scale: float
) -> list[Any]:
    dscores = out * (g - _sum_over_keys(g * out))
    gradients = (
        lambda: np.matmul(np.swapaxes(dscores, -1, -2), key) * scale,
        lambda: np.matmul(dscores, query) * scale,
        lambda: dscores,
    )
    return [gradients[i]() for i in needed]


defvjp_joint(weigh, _weigh_gradients, arrays=3)


@primitive
def mixture(weights: Any, value: Any) -> Any:
    """Return the values `(..., S, D)` mixed by transposed weights `(..., S, T)`: `(..., T, D)`."""
    return np.matmul(np.swapaxes(weights, -1, -2), value)


defvjp(
    mixture,
    lambda g, out, weights, value: np.matmul(value, np.swapaxes(g, -1, -2)),
    lambda g, out, weights, value: np.matmul(weights, g),
)


def additive_mask(mask: Any, dtype: Any, allowed: bool) -> Any:
    """Return a mask as numbers to add to scores; in a boolean one, `allowed` means may attend."""
    if mask.dtype.kind == "f":
        return mask
    if mask.dtype.kind != "b":  # adding 0 and 1 would mask nothing
        raise TypeError(
            f"an attention mask is of booleans or of floats, not {mask.dtype}: use .astype(bool)"
        )
    return np.where(mask == allowed, 0.0, -math.inf).astype(dtype)


def causal(queries: int, keys: int, dtype: Any) -> Any:
    """Return the mask `(queries, keys)` that lets a query see keys up to its own place."""
    return additive_mask(np.tril(np.ones((queries, keys), bool)), np.dtype(dtype), True)


def scaled_dot_product_attention(
    query: TensorT, key: TensorLike, value: TensorLike, attn_mask: TensorLike | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
    rng: RngLike = None,
) -> TensorT:  # fmt: skip
    """Return for each query the mean of the values, weighed by how well their keys fit it.

    `softmax(query @ key.T * scale + attn_mask) @ value`, the softmax over the keys. T is the number
    of queries, S that of keys and values; the axes before, such as batch and heads, broadcast.

    Args:
        query: `(..., T, E)`.
        key: `(..., S, E)`.
        value: `(..., S, D)`.
        attn_mask: broadcasts with `(..., T, S)`; numbers are added to the scores, of booleans True
            means that the query may attend to the key. None hides nothing. A query that may attend
            to no key gives 0.
        dropout_p: the probability with which a weight is set to 0, as by `dropout`. It always acts:
            give 0 when a net is evaluated.
        is_causal: whether a query sees only the keys up to its own place, in place of a mask.
        scale: what to multiply scores by; None is `1 / sqrt(E)`.
        rng: where dropout draws from: a Generator, a seed, or None for the default generator.

    Returns:
        A Tensor `(..., T, D)`; an array if all are arrays.

    Raises:
        ValueError: if shapes do not fit, or both a mask and `is_causal` are given.
        TypeError: if the mask is of integers.

    Vaswani et al. 2017, "Attention is all you need".

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
    mask: Any = None
    if attn_mask is not None:
        mask = np.swapaxes(additive_mask(attn_mask, query.dtype, True), -1, -2)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    weights = weigh(query, key, mask, scale=scale)
    if dropout_p:
        weights = dropout(weights, dropout_p, rng=rng)
    return mixture(weights, value)
