"""Losses, torch's formulas. `reduction` is "mean", "sum" or "none" (a value for each element)."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from retrograd.core import Constants, Tensor, primitive
from retrograd.mode import MODE
from retrograd.nn.functional.activations import log_softmax, logsigmoid, sigmoid
from retrograd.registry import defvjp, defvjp_through

TINY = Constants(math.exp(-100), 1.0)  # keeps log above -100, torch's bound
EPSILON = 9.999999960041972e-13  # torch's 1e-12, which it holds in float32


def reduced(values: Any, reduction: str, weight: Any = None) -> Any:
    """Return the mean or sum of the weighted values, or the values."""
    values = values if weight is None else values * weight
    if reduction == "mean":
        return np.sum(values) / values.size
    if reduction == "sum":
        return np.sum(values)
    if reduction == "none":
        return values
    raise ValueError(f'reduction must be "mean", "sum" or "none", not {reduction!r}')


def share(g: Any, values: Any, reduction: str, weight: Any = None) -> Any:
    """Return the gradient of each of the reduced values."""
    g = g / values.size if reduction == "mean" else g
    return g if weight is None else g * weight


def same_shape(name: str, input: Any, target: Any) -> None:
    """Raise ValueError unless both have one shape: broadcasting here is nearly always a mistake."""
    if input.shape != target.shape:
        raise ValueError(
            f"{name} takes an input and a target of one shape, got {input.shape} and "
            f"{target.shape}; reshape one of them"
        )


@primitive
def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return the squared difference of `input` and `target`, which have one shape.

    >>> float(mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    2.0
    """
    same_shape("mse_loss", input, target)
    return reduced(np.square(input - target), reduction)


def _mse_dx(g: Any, out: Any, input: Any, target: Any, reduction: str = "mean") -> Any:
    return share(g, input, reduction) * 2 * (input - target)


defvjp(mse_loss, _mse_dx, lambda *args, **kwargs: -_mse_dx(*args, **kwargs))


@primitive
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """Return `-(target * log(input) + (1 - target) * log(1 - input))` for probabilities.

    The logarithms stop at -100, so that the loss is finite at 0 and 1. `weight` broadcasts.

    >>> float(binary_cross_entropy(np.array([0.5]), np.array([1.0])).round(4))
    0.6931
    """
    if input.shape != target.shape:
        same_shape("binary_cross_entropy", input, target)
    tiny, one = TINY[input.dtype]
    yes, no = np.log(input + tiny), np.log((one - input) + tiny)
    if weight is None and reduction != "none":
        total = -(np.vdot(target, yes) + np.vdot(one - target, no))
        return total / input.size if reduction == "mean" else total
    values = target * yes + (1 - target) * no
    return -reduced(values if weight is None else values * weight, reduction)


def _bce_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    slope = (input - target) / np.maximum(input * (1 - input), EPSILON)
    slope = slope * share(g, input, reduction)
    return slope if weight is None else slope * weight


def _bce_dy(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    tiny, one = TINY[input.dtype]
    slope = np.log((one - input) + tiny) - np.log(input + tiny)
    slope = slope * share(g, input, reduction)
    return slope if weight is None else slope * weight


def _bce_through_sigmoid(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    slope = (input - target) * g
    if reduction == "mean":
        (share_of_one,) = share_of(input.size)[input.dtype]
        slope = slope * share_of_one
    return slope if weight is None else slope * weight


@functools.cache
def share_of(size: int) -> Constants:
    """Return what one of so many elements has in their mean."""
    return Constants(1 / max(size, 1))


defvjp(binary_cross_entropy, _bce_dx, _bce_dy, None)
defvjp_through(binary_cross_entropy, sigmoid, _bce_through_sigmoid)


@primitive
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    """Return the binary cross entropy of `sigmoid(input)`, accurate for large logits.

    `pos_weight` multiplies the loss of positive targets, `weight` all; both broadcast.

    >>> float(binary_cross_entropy_with_logits(np.array([-1000.0]), np.array([1.0])))
    1000.0
    """
    same_shape("binary_cross_entropy_with_logits", input, target)
    scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    return reduced((1 - target) * input - scale * logsigmoid(input), reduction, weight)


def _logits_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, pos_weight: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    p = sigmoid(input)
    slope = p - target if pos_weight is None else (1 - target) * p - pos_weight * target * (1 - p)
    return share(g, input, reduction, weight) * slope


# fmt: off
defvjp(binary_cross_entropy_with_logits, _logits_dx,
       lambda g, out, input, target, weight=None, pos_weight=None, reduction="mean":
       share(g, input, reduction, weight) *
       (-input if pos_weight is None else -input - (pos_weight - 1) * logsigmoid(input)),
       None, None)
# fmt: on


# Losses of class scores: `input` is `(N, C, ...)`, the classes on axis 1.


def by_class(x: Any, weight: Any) -> Any:
    """Return `x` `(N, C, ...)` times the weights of the classes, if there are any."""
    return x if weight is None else x * weight.reshape((-1,) + (1,) * (x.ndim - 2))


@functools.lru_cache(maxsize=64)
def numbers(n: int) -> Any:
    """Return a constant vector of the numbers below `n`."""
    vector = np.arange(n)
    vector.flags.writeable = False
    return vector


def hits(input: Any, target: Any, ignore_index: int) -> Any:
    """Return where an element's class is the target: `(N, C, ...)` and `(N, ...)`."""
    classes = numbers(input.shape[1]).reshape((-1,) + (1,) * (input.ndim - 2))
    hit = target[:, None] == classes
    return hit & (classes != ignore_index) if 0 <= ignore_index < classes.size else hit


def check_classes(name: str, input: Any, target: Any, weight: Any, ignore_index: int) -> None:
    """Raise unless `target` holds class numbers for `input`, and `weight` a number a class."""
    axis = min(input.ndim - 1, 1)
    if axis < 0 or target.shape != input.shape[:axis] + input.shape[axis + 1 :]:
        raise ValueError(
            f"{name} takes input (N, C, ...) and class numbers (N, ...); got {input.shape} and "
            f"{target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name} takes class numbers as integers, not {target.dtype}")
    number = input.shape[axis]
    if weight is not None and weight.shape != (number,):
        raise ValueError(f"{name} takes a weight a class, ({number},), not {weight.shape}")
    if MODE.get().tape is None and target.size:
        array = target._data if isinstance(target, Tensor) else target
        wrong = (array < 0) | (array >= number)
        if np.count_nonzero(wrong) and (bad := array[wrong & (array != ignore_index)]).size:
            raise IndexError(f"{name} of {number} classes got the class number {bad[0]}")


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return minus the log-probability of the target class.

    `input` is `(N, C)`, `(C,)` or `(N, C, ...)`, `target` holds class numbers and has no class
    axis. `weight` `(C,)` weighs the classes, and their mean; targets of `ignore_index` count as
    nothing. Raises ValueError for other shapes, TypeError for targets that are not integers and
    IndexError for a class that does not exist.

    >>> float(nll_loss(np.log([[0.5, 0.25, 0.25]]), np.array([0])).round(4))
    0.6931
    """
    check_classes("nll_loss", input, target, weight, ignore_index)
    if input.ndim == 1:
        loss = nll_loss(input[None], target[None], weight, ignore_index, reduction)
        return loss[0] if reduction == "none" else loss
    return picked_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


@primitive
def picked_loss(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    """Return what `nll_loss` does, of arguments that were checked."""
    losses = np.where(hits(input, target, ignore_index), by_class(-input, weight), 0.0)
    if reduction == "mean":
        return np.sum(losses) / total_weight(input, target, weight, ignore_index)
    return reduced(np.sum(losses, axis=1), reduction)


def total_weight(input: Any, target: Any, weight: Any, ignore_index: int) -> Any:
    """Return what the losses are divided by for their mean."""
    if weight is None:
        return np.sum((target != ignore_index).astype(input.dtype))
    return np.sum(by_class(hits(input, target, ignore_index).astype(input.dtype), weight))


def _picked_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any, ignore_index: int, reduction: str
) -> Any:
    if reduction == "mean":
        g = g / total_weight(input, target, weight, ignore_index)
    elif reduction == "none":
        g = g[:, None]
    return by_class(np.where(hits(input, target, ignore_index), -g, 0.0), weight)


defvjp(picked_loss, _picked_dx, None, None)


def cross_entropy(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """Return the cross entropy of logits and of class numbers or class probabilities.

    `input` is `(N, C)`, `(C,)` or `(N, C, ...)`; `target` holds class numbers and has no class
    axis, or probabilities and has the shape of `input`. `weight` `(C,)` weighs the classes.
    `label_smoothing` is the part of the target that all classes share. Raises as `nll_loss`.

    >>> float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1])).round(4))
    0.6931
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy takes label_smoothing from 0 to 1, not {label_smoothing}")
    soft = target.dtype.kind == "f" and target.shape == input.shape
    if not soft:
        check_classes("cross_entropy", input, target, weight, ignore_index)
    if input.ndim == 1:
        options = (weight, ignore_index, reduction, label_smoothing)
        loss = cross_entropy(input[None], target[None], *options)
        return loss[0] if reduction == "none" else loss
    scores, number = log_softmax(input, axis=1), input.shape[1]
    if soft:
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / number
        return reduced(-np.sum(by_class(scores * target, weight), axis=1), reduction)
    hard = picked_loss(scores, target, weight, ignore_index=ignore_index, reduction=reduction)
    if not label_smoothing:
        return hard
    smooth = np.sum(by_class(-scores, weight), axis=1) * (target != ignore_index)
    if reduction == "mean":
        smooth = np.sum(smooth) / total_weight(input, target, weight, ignore_index)
    else:
        smooth = reduced(smooth, reduction)
    return (1 - label_smoothing) * hard + (label_smoothing / number) * smooth


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Return the divergence of log-probabilities `input` from probabilities `target`.

    Targets are log-probabilities with `log_target`. `reduction="batchmean"` divides by the length
    of axis 0, as the definition has it; "mean" divides by all elements.

    >>> float(kl_div(np.log([0.5, 0.5]), np.array([1.0, 0.0]), reduction="sum").round(4))
    0.6931
    """
    if log_target:
        values = np.exp(target) * (target - input)
    else:
        zero = target == 0
        values = target * np.log(np.where(zero, 1.0, target)) - target * input
    if reduction == "batchmean":
        return np.sum(values) / (input.shape[0] if input.ndim else 1)
    return reduced(values, reduction)
