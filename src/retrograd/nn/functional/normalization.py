"""Normalization: each kind brings the rows of a matrix to mean 0 and variance 1.

They differ in what is a row: a sample's last axes, a group of its channels, or a channel of the
whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.engine import (
    Tensor,
    TensorLike,
    TensorT,
    defvjp_joint,
    no_grad,
    primitive,
    wrap,
)
from retrograd.nn.functional.linear import ones
from retrograd.nn.functional.windows import batch_first, batch_last

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]

# From this length of a row on, NumPy's mean, which is more exact, costs no more than a product.
LONG_ROW = 512


def _row_mean(x: Any) -> Any:
    """Return the mean of each row, as a column."""
    n = x.shape[1]
    if n >= LONG_ROW:
        return np.mean(x, axis=1, keepdims=True)
    return np.matmul(x, ones(n, x.dtype)[:, None]) * (1 / max(n, 1))


def _column_sum(x: Any) -> Any:
    return np.matmul(ones(len(x), x.dtype), x)


def _standard_rows(x: Any, eps: float, centered: bool) -> tuple[Any, Any]:
    """Return the rows with mean 0 and mean square 1, and what they were multiplied by."""
    if centered:
        x = x - _row_mean(x)
    scale = 1 / np.sqrt(_row_mean(x * x) + eps)
    return x * scale, scale


@primitive
def standardize(x: Any, weight: Any, bias: Any, eps: float, centered: bool = True) -> Any:
    """Return rows of mean 0 and mean square 1, times `weight` plus `bias`, a number a column.

    `x` is `(rows, n)`, `weight` and `bias` are `(n,)` or None. `eps` is added to the mean square.
    Unless `centered`, the mean stays in.
    """
    out, _ = _standard_rows(x, eps, centered)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _standardize_gradients(
    needed: Sequence[int], g: Any, out: Any, x: Any, weight: Any, bias: Any, eps: float,
    centered: bool = True,
) -> list[Any]:  # fmt: skip
    """Return the gradients of `x`, `weight` and `bias` that are needed.

    With the standard rows s, the gradient of `x` is `scale * (h - mean(h) - s * mean(h * s))` where
    `h = g * weight`: what changes the mean or the mean square of a row has no effect.
    """
    standard, scale = _standard_rows(x, eps, centered)
    along = g * standard

    def dx() -> Any:
        if weight is None:
            h, mean, slope = g, _row_mean(g), _row_mean(along)
        else:
            column = weight[:, None] * (1 / max(x.shape[1], 1))
            h, mean, slope = g * weight, np.matmul(g, column), np.matmul(along, column)
        h = h - standard * slope
        return (h - mean if centered else h) * scale

    gradients = (dx, lambda: _column_sum(along), lambda: _column_sum(g))
    return [gradients[i]() for i in needed]


defvjp_joint(standardize, _standardize_gradients, arrays=3)


def layer_norm(
    input: TensorT, normalized_shape: tuple[int, ...] | list[int],
    weight: TensorLike | None = None, bias: TensorLike | None = None, eps: float = 1e-5,
) -> TensorT:  # fmt: skip
    """Return `input` with mean 0 and variance 1 over its last axes, then scaled and shifted.

    `(input - mean) / sqrt(variance + eps) * weight + bias`, with the mean and the (biased) variance
    of the elements along those axes: each sample for itself.

    Args:
        input: `(..., *normalized_shape)`.
        normalized_shape: the lengths of the last axes of `input`, over which to normalize.
        weight: what to multiply by, of shape `normalized_shape`, or None.
        bias: what to add, of shape `normalized_shape`, or None.
        eps: is added to the variance, so that rows of equal elements do not divide by 0.

    Returns:
        A Tensor of the shape of `input`; an array if all are arrays.

    Raises:
        ValueError: if the last axes of `input` have other lengths, or `weight` or `bias` another
            shape.

    Ba, Kiros and Hinton 2016, "Layer normalization".

    >>> F.layer_norm(np.array([[1.0, 3.0]]), (2,)).round(4)
    array([[-1.,  1.]])
    """
    return _over_last_axes("layer_norm", input, normalized_shape, weight, bias, eps, True)


def rms_norm(
    input: TensorT, normalized_shape: tuple[int, ...] | list[int],
    weight: TensorLike | None = None, eps: float | None = None,
) -> TensorT:  # fmt: skip
    """Return `input` with mean square 1 over its last axes, then scaled.

    `input / sqrt(mean(input**2) + eps) * weight`: `layer_norm` without the mean.

    Args:
        input: `(..., *normalized_shape)`.
        normalized_shape: the lengths of the last axes of `input`, over which to normalize.
        weight: what to multiply by, of shape `normalized_shape`, or None.
        eps: is added to the mean square; None is the smallest step from 1 in the dtype of `input`.

    Returns:
        A Tensor of the shape of `input`; an array if all are arrays.

    Raises:
        ValueError: if the last axes of `input` have other lengths, or `weight` another shape.

    Zhang and Sennrich 2019, "Root mean square layer normalization".

    >>> F.rms_norm(np.array([[1.0, 7.0]]), (2,)).round(4)
    array([[0.2, 1.4]])
    """
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    return _over_last_axes("rms_norm", input, normalized_shape, weight, None, eps, False)


def _over_last_axes(
    name: str, input: Any, over: Any, weight: Any, bias: Any, eps: float, centered: bool
) -> Any:
    over = tuple(over)
    if not over or input.shape[-len(over) :] != over:
        raise ValueError(f"{name} over {over} of {input.shape}: the last axes differ")
    for what, array in (("weight", weight), ("bias", bias)):
        if array is not None and array.shape != over:
            raise ValueError(f"{name} takes a {what} {over}, not {array.shape}")
    n = math.prod(over)
    if len(over) > 1:
        weight, bias = (None if a is None else a.reshape(n) for a in (weight, bias))
    rows = math.prod(input.shape[: -len(over)])
    out = standardize(input.reshape((rows, n)), weight, bias, eps=eps, centered=centered)
    return out.reshape(input.shape)


def group_norm(
    input: TensorT, num_groups: int, weight: TensorLike | None = None,
    bias: TensorLike | None = None, eps: float = 1e-5,
) -> TensorT:  # fmt: skip
    """Return `input` with mean 0 and variance 1 over groups of channels, then scaled and shifted.

    The mean and the (biased) variance are those of the elements of a sample in a group of
    `C / num_groups` channels that lie side by side: each sample for itself.

    Args:
        input: `(N, C, ...)`.
        num_groups: how many groups to make of the channels; must divide C.
        weight: what to multiply each channel by, `(C,)`, or None.
        bias: what to add to each channel, `(C,)`, or None.
        eps: is added to the variance, so that groups of equal elements do not divide by 0.

    Returns:
        A Tensor of the shape of `input`; an array if all are arrays.

    Raises:
        ValueError: if `input` has fewer than two axes, or `num_groups` does not divide C.

    Wu and He 2018, "Group normalization".

    >>> F.group_norm(np.array([[1.0, 3.0, 5.0, 5.0]]), 2).round(4)
    array([[-1.,  1.,  0.,  0.]])
    """
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise ValueError(f"group_norm of {num_groups} groups of axis 1 of {input.shape}")
    n = math.prod(input.shape[1:])
    rows = input.reshape((input.shape[0] * num_groups, n // num_groups))
    out = standardize(rows, None, None, eps=eps).reshape(
        (*input.shape[:2], math.prod(input.shape[2:]))
    )
    return _scale_channels(out, weight, bias).reshape(input.shape)


def _scale_channels(x: Any, weight: Any, bias: Any) -> Any:
    """Return `x` with its last axis but one, the channels, scaled and shifted."""
    x = x if weight is None else x * weight[:, None]
    return x if bias is None else x + bias[:, None]


def batch_norm(
    input: TensorT, running_mean: TensorLike | None, running_var: TensorLike | None,
    weight: TensorLike | None = None, bias: TensorLike | None = None, training: bool = False,
    momentum: float | TensorLike = 0.1, eps: float = 1e-5,
) -> TensorT:  # fmt: skip
    """Return `input` with mean 0 and variance 1 over each channel, then scaled and shifted.

    `(input - mean) / sqrt(variance + eps) * weight + bias`. In `training` the mean and the (biased)
    variance are those of the batch, all elements of a channel together; the running ones move
    towards them: `running = (1 - momentum) * running + momentum * batch`, where the variance of the
    batch is the unbiased one (divided by the number of elements less 1), as in PyTorch. Otherwise
    the running ones are used, and stay.

    Args:
        input: `(N, C, ...)`.
        running_mean: `(C,)`, written into in `training`; None there if no running values are kept.
        running_var: `(C,)`, likewise.
        weight: what to multiply each channel by, `(C,)`, or None.
        bias: what to add to each channel, `(C,)`, or None.
        training: whether to use the mean and variance of this batch.
        momentum: how far the running values go towards those of the batch: a number, or an array or
            Tensor `()`, from 0 to 1.
        eps: is added to the variance, so that channels of equal elements do not divide by 0.

    Returns:
        A Tensor of the shape of `input`; an array if all are arrays.

    Raises:
        ValueError: if `input` has fewer than two axes, or, in training, a channel one value only.

    Ioffe and Szegedy 2015, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift".

    >>> F.batch_norm(np.array([[1.0], [3.0]]), None, None, training=True).round(4)
    array([[-1.],
           [ 1.]])
    """
    if input.ndim < 2:
        raise ValueError(f"batch_norm takes an input (N, C, ...), not {input.shape}")
    if not training:
        return _by_running_values(input, running_mean, running_var, weight, bias, eps)
    channels = input.shape[1]
    n = math.prod(input.shape[2:], start=input.shape[0])  # elements of a channel
    rows = batch_last(input).reshape((channels, n))
    if n == 1:
        raise ValueError(f"batch_norm trains on more than one value a channel, not {input.shape}")
    if running_mean is not None and n:
        _move_running_values(running_mean, running_var, rows, momentum)
    out = _scale_channels(standardize(rows, None, None, eps=eps), weight, bias)
    return batch_first(out.reshape((channels, *input.shape[2:], input.shape[0])))


def instance_norm(
    input: TensorT, running_mean: TensorLike | None = None, running_var: TensorLike | None = None,
    weight: TensorLike | None = None, bias: TensorLike | None = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5,
) -> TensorT:  # fmt: skip
    """Return `input` with mean 0 and variance 1 over each channel of each sample, then scaled.

    `(input - mean) / sqrt(variance + eps) * weight + bias`, with the mean and the (biased) variance
    of the elements of a channel in a sample: `group_norm` with a group for every channel. Running
    values, if there are some, move towards the means of theirs over the batch, as in `batch_norm`.

    Args:
        input: `(N, C, ...)` with an axis behind the channels.
        running_mean: `(C,)`, written into with `use_input_stats`; None if no running values are
            kept.
        running_var: `(C,)`, likewise.
        weight: what to multiply each channel by, `(C,)`, or None.
        bias: what to add to each channel, `(C,)`, or None.
        use_input_stats: whether to use mean and variance of the input, or the running ones.
        momentum: how far the running values go towards those of the input, from 0 to 1.
        eps: is added to the variance, so that channels of equal elements do not divide by 0.

    Returns:
        A Tensor of the shape of `input`; an array if all are arrays.

    Raises:
        ValueError: if `input` has fewer than three axes, or, with `use_input_stats`, a channel of a
            sample has one value only.

    Ulyanov et al. 2016, "Instance normalization: the missing ingredient for fast stylization".

    >>> F.instance_norm(np.array([[[1.0, 3.0], [5.0, 25.0]]])).round(4)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    if input.ndim < 3:
        raise ValueError(f"instance_norm takes an input (N, C, L, ...), not {input.shape}")
    if not use_input_stats:
        return _by_running_values(input, running_mean, running_var, weight, bias, eps)
    samples, channels = input.shape[:2]
    rows = input.reshape((samples, channels, math.prod(input.shape[2:])))
    if rows.shape[2] < 2:
        raise ValueError(f"instance_norm takes more than one value a channel, not {input.shape}")
    if running_mean is not None and samples:
        with no_grad():
            means = np.mean(rows, axis=(0, 2))
            variances = np.mean(np.var(rows, axis=2, ddof=1), axis=0)
        move_towards(running_mean, means, momentum)
        move_towards(running_var, variances, momentum)
    return group_norm(input, channels, weight, bias, eps)


def move_towards(running: Any, value: Any, momentum: Any) -> None:
    """Write a running value that has moved towards another one."""
    # the compiler sees writes through Tensors
    target = running if isinstance(running, Tensor) else wrap(running)
    with no_grad():
        target *= 1 - momentum
        target += momentum * value


def _by_running_values(
    input: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, eps: float
) -> Any:
    if isinstance(input, Tensor):
        # a compiled function reads Tensors anew in each call, and arrays but once
        running_mean, running_var = Tensor(running_mean), Tensor(running_var)
    scale = 1 / np.sqrt(running_var + eps)
    scale = scale if weight is None else scale * weight
    shift = (0.0 if bias is None else bias) - running_mean * scale
    column = (-1,) + (1,) * (input.ndim - 2)
    return input * scale.reshape(column) + shift.reshape(column)


def _move_running_values(running_mean: Any, running_var: Any, rows: Any, momentum: Any) -> None:
    """Write the running values of channels, whose elements are the rows, in place."""
    with no_grad():
        mean = _row_mean(rows)
        var = np.sum(np.square(rows - mean), axis=1) * (1 / (rows.shape[1] - 1))
        for running, value in ((running_mean, mean[:, 0]), (running_var, var)):
            move_towards(running, value, momentum)
