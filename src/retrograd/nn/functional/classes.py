"""Losses of class scores: `input` is `(N, C, ...)` or `(C,)`, the classes on axis 1 or the only."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from retrograd.core import Tensor, primitive
from retrograd.mode import MODE
from retrograd.nn.functional.activations import log_softmax
from retrograd.nn.functional.losses import reduced
from retrograd.registry import defvjp


def class_axis(input: Any) -> int:
    """Return the axis of the classes."""
    return 1 if input.ndim > 1 else 0


def along_classes(values: Any, input: Any) -> Any:
    """Return one value a class in the shape that broadcasts with `input`."""
    return values.reshape((-1,) + (1,) * (input.ndim - class_axis(input) - 1))


@functools.lru_cache(maxsize=64)
def numbers(n: int) -> Any:
    """Return a constant vector of the numbers below `n`."""
    vector = np.arange(n)
    vector.flags.writeable = False
    return vector


def hits(input: Any, target: Any, ignore_index: int) -> Any:
    """Return where an element's class is the target: `(N, C, ...)` and `(N, ...)`."""
    classes = along_classes(numbers(input.shape[class_axis(input)]), input)
    hit = (target[:, None] if input.ndim > 1 else target[None]) == classes
    if 0 <= ignore_index < classes.size:
        hit = hit & (classes != ignore_index)
    return hit


def check_classes(name: str, input: Any, target: Any, weight: Any, ignore_index: int) -> None:
    """Raise unless `target` holds class numbers for `input`, and `weight` a number a class."""
    axis = class_axis(input)
    if not input.ndim or target.shape != input.shape[:axis] + input.shape[axis + 1 :]:
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
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """Return minus the log-probability of the target class.

    `input` is `(N, C)`, `(C,)` or `(N, C, ...)`, `target` holds class numbers and has no class
    axis. `weight` `(C,)` weighs the classes, and their mean; targets of `ignore_index` count as
    nothing. Raises ValueError for other shapes, TypeError for targets that are not integers and
    IndexError for a class that does not exist.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.nll_loss(np.log([[0.5, 0.25, 0.25]]), np.array([0])).round(4))
    0.6931
    """
    check_classes("nll_loss", input, target, weight, ignore_index)
    return picked_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


@primitive
def picked_loss(
    input: Any, target: Any, weight: Any, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return what `nll_loss` does, of arguments that were checked."""
    scores = -input if weight is None else -input * along_classes(weight, input)
    losses = np.where(hits(input, target, ignore_index), scores, 0.0)
    if reduction == "mean":
        return np.sum(losses) / total_weight(input, target, weight, ignore_index)
    return reduced(np.sum(losses, axis=class_axis(input)), reduction)


def total_weight(input: Any, target: Any, weight: Any, ignore_index: int) -> Any:
    """Return what the losses are divided by for their mean."""
    if weight is not None:
        hit = hits(input, target, ignore_index)
        return np.sum(np.where(hit, along_classes(weight, input), 0.0))
    return np.sum((target != ignore_index).astype(input.dtype))


def _picked_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any, ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    if reduction == "mean":
        g = g / total_weight(input, target, weight, ignore_index)
    elif reduction == "none":
        g = g[:, None] if input.ndim > 1 else g[None]
    if weight is not None:
        g = g * along_classes(weight, input)
    return np.where(hits(input, target, ignore_index), -g, 0.0)


defvjp(picked_loss, _picked_dx, None, None)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Return the cross entropy of logits and of class numbers or class probabilities.

    `input` is `(N, C)`, `(C,)` or `(N, C, ...)`; `target` holds class numbers and has no class
    axis, or probabilities and has the shape of `input`. `weight` `(C,)` weighs the classes.
    `label_smoothing` is the part of the target that all classes share. Raises as `nll_loss`.

    >>> import numpy as np, retrograd as rg
    >>> loss = rg.nn.functional.cross_entropy(rg.Tensor([[0.0, 0.0]]), np.array([1]))
    >>> round(loss.item(), 4)
    0.6931
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy takes label_smoothing from 0 to 1, not {label_smoothing}")
    axis = class_axis(input)
    scores = log_softmax(input, axis=axis)
    number = input.shape[axis] if input.ndim else 1
    if target.dtype.kind == "f" and target.shape == input.shape:
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / number
        losses = scores * target
        if weight is not None:
            losses = losses * along_classes(weight, input)
        losses = -np.sum(losses, axis=axis)
        return np.sum(losses) * (number / input.size) if reduction == "mean" else reduced(
            losses, reduction)  # fmt: skip
    check_classes("cross_entropy", input, target, weight, ignore_index)
    hard = picked_loss(scores, target, weight, ignore_index=ignore_index, reduction=reduction)
    if not label_smoothing:
        return hard
    smooth = -scores if weight is None else -scores * along_classes(weight, input)
    smooth = np.sum(smooth, axis=axis) * (target != ignore_index).astype(input.dtype)
    if reduction == "mean":
        smooth = np.sum(smooth) / total_weight(input, target, weight, ignore_index)
    else:
        smooth = reduced(smooth, reduction)
    return (1 - label_smoothing) * hard + (label_smoothing / number) * smooth


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Return the divergence of log-probabilities `input` from probabilities `target`.

    Targets are log-probabilities with `log_target`. `reduction="batchmean"` divides by the length
    of axis 0, as the definition has it; "mean" divides by all elements.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.kl_div(np.log([0.5, 0.5]), np.array([1.0, 0.0]), reduction="sum").round(4))
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
