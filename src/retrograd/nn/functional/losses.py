"""Losses of numbers, and how every loss is reduced. The formulas are PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.engine import TensorLike, TensorT, defvjp, primitive

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


def reduce_loss(values: Any, reduction: str, weight: Any = None) -> Any:
    """Return the mean or sum of the values, each times its weight, or the values themselves."""
    if weight is not None:
        weighed = values * weight
        if weighed.shape != values.shape:
            raise ValueError(f"a weight of shape {weight.shape} for losses of {values.shape}")
        values = weighed
    if reduction == "mean":
        return np.sum(values) / values.size
    if reduction == "sum":
        return np.sum(values)
    if reduction == "none":
        return values
    raise ValueError(f'reduction must be "mean", "sum" or "none", not {reduction!r}')


def share_gradient(g: Any, values: Any, reduction: str, weight: Any = None) -> Any:
    """Return the gradient of each value, where `g` is that of what `reduce_loss` made of them."""
    g = g / values.size if reduction == "mean" else g
    return g if weight is None else g * weight


def check_same_shape(name: str, input: Any, target: Any) -> None:
    """Raise ValueError unless both have one shape: broadcasting here is nearly always a mistake."""
    if input.shape != target.shape:
        raise ValueError(
            f"{name} takes input and target of one shape, got {input.shape} and {target.shape}: "
            "reshape one of them"
        )


def as_floats(target: Any, input: Any) -> Any:
    """Return whole numbers in the dtype of `input`, which they would widen; floats as they are."""
    if target.dtype is input.dtype or target.dtype.kind in "fc":
        return target
    return target.astype(input.dtype if input.dtype.kind in "fc" else float)


@primitive
def mse_loss(input: TensorT, target: TensorLike, reduction: str = "mean") -> TensorT:
    """Return the mean squared error, the mean of `(input - target)**2`.

    Args:
        input: predictions, of any shape.
        target: what they should be, of the same shape: unlike PyTorch's, it does not broadcast.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the shapes differ, or the reduction is none of the above.

    >>> float(F.mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    2.0
    """
    check_same_shape("mse_loss", input, target)
    target = as_floats(target, input)
    return reduce_loss(np.square(input - target), reduction)


# fmt: off
defvjp(mse_loss,
       lambda g, out, input, target, reduction="mean":
       share_gradient(g, input, reduction) * 2 * (input - target),
       lambda g, out, input, target, reduction="mean":
       share_gradient(g, input, reduction) * 2 * (target - input))
# fmt: on


def l1_loss(input: TensorT, target: TensorLike, reduction: str = "mean") -> TensorT:
    """Return the mean absolute error, the mean of `abs(input - target)`; its slope at 0 is 0.

    Args:
        input: predictions, of any shape.
        target: what they should be, of the same shape: unlike PyTorch's, it does not broadcast.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the shapes differ, or the reduction is none of the above.

    >>> float(F.l1_loss(np.array([1.0, 4.0]), np.array([1.0, 1.0])))
    1.5
    """
    check_same_shape("l1_loss", input, target)
    return reduce_loss(np.abs(input - as_floats(target, input)), reduction)


@primitive
def huber_loss(
    input: TensorT, target: TensorLike, reduction: str = "mean", delta: float = 1.0
) -> TensorT:
    """Return the mean Huber loss: a parabola for small errors, a line for large ones.

    With `d = abs(input - target)` it is `d**2 / 2` up to `delta`, and beyond it
    `delta * (d - delta / 2)`: outliers pull no harder than `delta`.

    Args:
        input: predictions, of any shape.
        target: what they should be, of the same shape: unlike PyTorch's, it does not broadcast.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.
        delta: the error from which on the loss is a line, above 0.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the shapes differ, or the reduction is none of the above.

    Huber 1964, "Robust estimation of a location parameter".

    >>> F.huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    check_same_shape("huber_loss", input, target)
    difference = input - as_floats(target, input)
    if difference.dtype.kind == "c":
        raise TypeError(f"huber_loss takes real numbers, not {difference.dtype}")
    size = np.abs(difference)
    near = np.minimum(size, delta)
    return reduce_loss(near * (size - 0.5 * near), reduction)


# fmt: off
defvjp(huber_loss,
       lambda g, out, input, target, reduction="mean", delta=1.0:
       share_gradient(g, input, reduction) * np.clip(input - target, -delta, delta),
       lambda g, out, input, target, reduction="mean", delta=1.0:
       share_gradient(g, input, reduction) * np.clip(target - input, -delta, delta))
# fmt: on


def smooth_l1_loss(
    input: TensorT, target: TensorLike, reduction: str = "mean", beta: float = 1.0
) -> TensorT:
    """Return the mean smooth L1 loss: `l1_loss` with its corner at 0 rounded off.

    With `d = abs(input - target)` it is `d**2 / (2 * beta)` below `beta`, and from there on
    `d - beta / 2`: the `huber_loss` with `delta=beta`, divided by `beta`.

    Args:
        input: predictions, of any shape.
        target: what they should be, of the same shape: unlike PyTorch's, it does not broadcast.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.
        beta: the error from which on the loss is a line; 0 makes it the `l1_loss`.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the shapes differ, `beta` is negative, or the reduction is none of the above.

    Girshick 2015, "Fast R-CNN".

    >>> F.smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss takes beta from 0, not {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction=reduction, delta=beta) / beta
