"""Normalization: every kind brings rows of a matrix to mean 0 and variance 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import Tensor, primitive, wrap
from retrograd.mode import no_grad
from retrograd.nn.functional.linear import ones
from retrograd.registry import defvjp_shared


def _row_mean(x: Any) -> Any:
    n = x.shape[1]
    if n >= 512:  # here, summing pairwise costs no more than a product and is more exact
        return np.mean(x, axis=1, keepdims=True)
    return np.matmul(x, ones(n, x.dtype)[:, None]) * (1 / n)


def _standard(x: Any, eps: float, centered: bool) -> tuple[Any, Any]:
    """Return the rows, and what they were multiplied by."""
    if centered:
        x = x - _row_mean(x)
    scale = 1 / np.sqrt(_row_mean(x * x) + eps)
    return x * scale, scale


@primitive
def standardize(x: Any, weight: Any, bias: Any, eps: float, centered: bool = True) -> Any:
    """Return rows of mean 0 (or without `centered` as it is) and mean square 1, scaled, shifted."""
    out, _ = _standard(x, eps, centered)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _standardize_g(
    g: Any, out: Any, x: Any, weight: Any, bias: Any, eps: float, centered: bool = True
) -> Any:
    standard, scale = _standard(x, eps, centered)
    return g, standard, scale, g * standard


def _standardize_dx(
    parts: Any, out: Any, x: Any, weight: Any, bias: Any, eps: float, centered: bool = True
) -> Any:
    g, standard, scale, along = parts
    if weight is None:
        mean, slope = _row_mean(g), _row_mean(along)
    else:
        column = weight[:, None] * (1 / x.shape[1])
        mean, slope = np.matmul(g, column), np.matmul(along, column)
        g = g * weight
    g = g - standard * slope
    return (g - mean if centered else g) * scale


def _column_sum(g: Any) -> Any:
    return np.matmul(ones(g.shape[0], g.dtype), g)


defvjp_shared(
    standardize,
    _standardize_g,
    _standardize_dx,
    lambda parts, *_, **options: _column_sum(parts[3]),
    lambda parts, *_, **options: _column_sum(parts[0]),
)


def layer_norm(
    input: Any, normalized_shape: tuple[int, ...] | list[int], weight: Any = None,
    bias: Any = None, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Return `input` with mean 0 and variance 1 over its last axes, of `normalized_shape`.

    Then scaled by `weight` and shifted by `bias`, of that shape. `eps` is added to the variance.

    >>> F.layer_norm(np.array([[1.0, 3.0]]), (2,)).round(4)
    array([[-1.,  1.]])
    """
    return _over_last("layer_norm", input, normalized_shape, weight, bias, eps, True)


def rms_norm(
    input: Any, normalized_shape: tuple[int, ...] | list[int], weight: Any = None,
    eps: float | None = None,
) -> Any:  # fmt: skip
    """Return `input` with mean square 1 over its last axes, as `layer_norm`.

    `eps` is by default that of the dtype.

    >>> F.rms_norm(np.array([[1.0, 7.0]]), (2,)).round(4)
    array([[0.2, 1.4]])
    """
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    return _over_last("rms_norm", input, normalized_shape, weight, None, eps, False)


def _over_last(
    name: str, input: Any, over: Any, weight: Any, bias: Any, eps: float, centered: bool
) -> Any:
    over = tuple(over)
    if not over or input.shape[-len(over) :] != over:
        raise ValueError(f"{name} over {over} of an input {input.shape}: the last axes differ")
    for what, array in (("weight", weight), ("bias", bias)):
        if array is not None and array.shape != over:
            raise ValueError(f"{name} takes a {what} {over}, not {array.shape}")
    n = math.prod(over)
    if len(over) > 1:
        weight, bias = (None if a is None else a.reshape(n) for a in (weight, bias))
    out = standardize(input.reshape((-1, n)), weight, bias, eps=eps, centered=centered)
    return out.reshape(input.shape)


def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Return `input` `(N, C, ...)` with mean 0 and variance 1 over each group of channels.

    Then scaled by `weight` and shifted by `bias` `(C,)`. Raises ValueError unless `num_groups`
    divides C.

    >>> F.group_norm(np.array([[1.0, 3.0, 5.0, 5.0]]), 2).round(4)
    array([[-1.,  1.,  0.,  0.]])
    """
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise ValueError(f"group_norm of {num_groups} groups of axis 1 of {input.shape}")
    rows = input.reshape((input.shape[0] * num_groups, -1))
    out = standardize(rows, None, None, eps=eps).reshape((*input.shape[:2], -1))
    return _by_channel(out, weight, bias).reshape(input.shape)


def _by_channel(x: Any, weight: Any, bias: Any) -> Any:
    x = x if weight is None else x * weight[:, None]
    return x if bias is None else x + bias[:, None]


def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: Any = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Return `input` `(N, C, ...)` with mean 0 and variance 1 over each channel.

    Then scaled by `weight` and shifted by `bias` `(C,)`. In training the mean and variance are the
    batch's, and `running_mean` and `running_var` (arrays or Tensors, `(C,)`), unless None, move
    towards them by `momentum`, in place. Otherwise they are the running ones. Raises ValueError for
    training on one value a channel.

    >>> F.batch_norm(np.array([[1.0], [3.0]]), None, None, training=True).round(4)
    array([[-1.],
           [ 1.]])
    """
    if input.ndim < 2:
        raise ValueError(f"batch_norm takes an input (N, C, ...), not {input.shape}")
    if not training:
        if isinstance(input, Tensor):
            # so that a compiled function reads anew what training has changed
            running_mean, running_var = Tensor(running_mean), Tensor(running_var)
        column = (-1,) + (1,) * (input.ndim - 2)
        scale = 1 / np.sqrt(running_var + eps)
        scale = scale if weight is None else scale * weight
        shift = (0.0 if bias is None else bias) - running_mean * scale
        return input * scale.reshape(column) + shift.reshape(column)
    channels = input.shape[1]
    rows = np.transpose(input, (1, *range(2, input.ndim), 0)).reshape((channels, -1))
    count = rows.shape[1]
    if count < 2:
        raise ValueError(f"batch_norm: training takes more than one value a channel: {input.shape}")
    if running_mean is not None:
        with no_grad():
            mean = _row_mean(rows)
            var = np.sum(np.square(rows - mean), axis=1) * (1 / (count - 1))
            for running, value in ((running_mean, mean[:, 0]), (running_var, var)):
                # the compiler sees a write through a Tensor
                held = running if isinstance(running, Tensor) else wrap(running)
                held *= 1 - momentum
                held += momentum * value
    out = _by_channel(standardize(rows, None, None, eps=eps), weight, bias)
    out = out.reshape((channels, *input.shape[2:], -1))
    return np.transpose(out, (input.ndim - 1, *range(input.ndim - 1)))
