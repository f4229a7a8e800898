"""Class numbers, and losses of class scores.

Scores are `(N, C, ...)` or `(C,)`: the classes are on axis 1, or the only one. The losses'
formulas are PyTorch's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.engine import (
    Tensor,
    TensorLike,
    TensorT,
    defvjp,
    escape,
    is_recording,
    nograd,
    primitive,
)
from retrograd.nn.functional.losses import reduce_loss
from retrograd.special.logistic import log_softmax

__all__ = ["cross_entropy", "nll_loss", "one_hot"]


def one_hot(tensor: TensorT, num_classes: int = -1) -> TensorT:
    """Return class numbers as vectors that are 1 at the number and 0 elsewhere.

    Args:
        tensor: class numbers, integers `(...)` of any shape.
        num_classes: how many classes there are, K; -1 makes the largest number the last class.

    Returns:
        A Tensor of integers, `(..., K)`; an array for an array.

    Raises:
        TypeError: if the numbers are no integers.
        ValueError: if a number is none of 0 to K - 1, or K is to be found and there is no number.

    >>> F.one_hot(np.array([1, 0]), 3)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot takes class numbers as integers, not {tensor.dtype}")
    if num_classes == -1:
        if not tensor.size:
            raise ValueError("one_hot of nothing: num_classes must be given")
        if is_recording():
            why = "the next run may have more classes. Pass their number: one_hot(t, 10)."
            escape("one_hot without num_classes", tensor, why)
        num_classes = int(tensor.max()) + 1
    # a compiled function must not branch on values
    known = not is_recording() and tensor.size
    if known and not 0 <= int(tensor.min()) <= int(tensor.max()) < num_classes:
        raise ValueError(f"one_hot takes class numbers from 0 to {num_classes - 1}")
    hit: Any = tensor[..., None] == np.arange(num_classes)
    return hit.astype(np.int64)


def _by_class(x: Any, weight: Any) -> Any:
    """Return `x` times a weight `(C,)` for each class, or `x` if that is None."""
    return x if weight is None else x * weight.reshape((-1,) + (1,) * (x.ndim - 2))


@primitive(looks_through=False)
def class_hits(
    target: Any, classes: int, ndim: int, ignore_index: int, by_class: bool = False
) -> Any:
    """Return where an element of scores, which have `ndim` axes, is of the target class.

    With `by_class` all samples of a class lie side by side, for two axes alone.
    """
    numbers = np.arange(classes).reshape((-1,) + (1,) * (ndim - 2))
    if by_class:
        hit = (numbers[:, None] == target).T
    else:
        hit = (target[:, None] if target.ndim else target) == numbers
    if 0 <= ignore_index < classes:
        hit &= numbers != ignore_index
    if np.count_nonzero(hit) < target.size:
        wrong = target[((target < 0) | (target >= classes)) & (target != ignore_index)]
        if wrong.size:
            raise IndexError(f"a loss of {classes} classes got class number {wrong[0]}")
    return hit


nograd(class_hits)


def _hits(input: Any, target: Any, ignore_index: int) -> Any:
    classes = input.shape[:2][-1]
    if input.ndim == 2:
        # it goes together with the scores, so it lies as they do; those of a linear map lie so
        first, second = (input._array if isinstance(input, Tensor) else input).strides
        if first < second:
            return class_hits(target, classes, 2, ignore_index, True)
    return class_hits(target, classes, input.ndim, ignore_index)


def _check_classes(name: str, input: Any, target: Any, weight: Any) -> None:
    axis = min(input.ndim - 1, 1)
    if axis < 0 or target.shape != input.shape[:axis] + input.shape[axis + 1 :]:
        raise ValueError(
            f"{name} takes input (N, C, ...) and class numbers (N, ...), not {input.shape} and "
            f"{target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name} takes class numbers as integers, not {target.dtype}")
    number = input.shape[axis]
    if weight is not None and weight.shape != (number,):
        raise ValueError(f"{name} takes a weight a class, ({number},), not {weight.shape}")


def nll_loss(
    input: TensorT, target: TensorLike, weight: TensorLike | None = None,
    ignore_index: int = -100, reduction: str = "mean",
) -> TensorT:  # fmt: skip
    """Return the mean of minus the log-probability of the target class.

    `-weight[target] * input[target]`; the mean divides by the sum of the weights.

    Args:
        input: logarithms of probabilities, such as `log_softmax` gives: `(N, C)`, `(C,)` for one
            sample, or `(N, C, ...)` for a prediction at each place.
        target: class numbers from 0 to C - 1: `(N,)`, `()` or `(N, ...)`.
        weight: how much each class counts, `(C,)`, also in the mean; None is 1.
        ignore_index: targets of this number do not count, nor in the mean. It may lie outside the
            classes.
        reduction: "mean" or "sum" of all samples, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `target` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if shapes do not fit, or the reduction is none of the above.
        TypeError: if targets are no integers.
        IndexError: if a target is none of the classes.

    >>> float(F.nll_loss(np.log([[0.5, 0.25, 0.25]]), np.array([0])).round(4))
    0.6931
    """
    _check_classes("nll_loss", input, target, weight)
    return picked_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


@primitive
def picked_loss(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    """Return what `nll_loss` does, of arguments that were checked."""
    losses = np.where(_hits(input, target, ignore_index), _by_class(-input, weight), 0.0)
    if reduction == "mean":
        return np.sum(losses) / _total_weight(input, target, weight, ignore_index)
    return reduce_loss(np.sum(losses, axis=min(input.ndim - 1, 1)), reduction)


def _total_weight(input: Any, target: Any, weight: Any, ignore_index: int) -> Any:
    """Return what the sum of losses is divided by for their mean."""
    if weight is None:
        return np.sum((target != ignore_index).astype(input.dtype))
    return np.sum(_by_class(_hits(input, target, ignore_index).astype(input.dtype), weight))


def _picked_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any, ignore_index: int, reduction: str
) -> Any:
    if reduction == "mean":
        g = g / _total_weight(input, target, weight, ignore_index)
    elif g.ndim:
        g = g[:, None]
    return _by_class(np.where(_hits(input, target, ignore_index), -g, 0.0), weight)


def _picked_dweight(
    g: Any, out: Any, input: Any, target: Any, weight: Any, ignore_index: int, reduction: str
) -> Any:
    losses = -input
    if reduction == "mean":  # the weights are also what the mean divides by
        losses = losses - out
        g = g / _total_weight(input, target, weight, ignore_index)
    elif g.ndim:
        g = g[:, None]
    parts = np.where(_hits(input, target, ignore_index), g * losses, 0.0)
    return np.sum(parts, axis=tuple(i for i in range(input.ndim) if i != min(input.ndim - 1, 1)))


defvjp(picked_loss, _picked_dx, None, _picked_dweight)


def cross_entropy(
    input: TensorT, target: TensorLike, weight: TensorLike | None = None,
    ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0,
) -> TensorT:  # fmt: skip
    """Return the mean cross entropy of logits: the `nll_loss` of `log_softmax(input)`.

    `-log(exp(input[target]) / sum(exp(input)))` for one sample; put no softmax before it.

    Args:
        input: logits, any numbers: `(N, C)`, `(C,)` for one sample, or `(N, C, ...)` for a
            prediction at each place.
        target: class numbers from 0 to C - 1: `(N,)`, `()` or `(N, ...)`. Or probabilities of the
            classes, of the shape of `input`.
        weight: how much each class counts, `(C,)`, or None. With class numbers the mean divides by
            the sum of the weights, with probabilities by the number of samples.
        ignore_index: targets of this number do not count, nor in the mean. It may lie outside the
            classes. With probabilities it must stay negative.
        reduction: "mean" or "sum" of all samples, or "none": each by itself.
        label_smoothing: from 0 to 1: the part of the target that all classes share evenly, in place
            of the target class.

    Returns:
        A Tensor `()`, or `(N, ...)` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if shapes do not fit, or an option is none of the above.
        TypeError: if targets are no integers, and no probabilities of the shape of `input`.
        IndexError: if a target is none of the classes.

    Label smoothing: Szegedy et al. 2016, "Rethinking the Inception architecture".

    >>> float(F.cross_entropy(np.array([[0.0, 0.0]]), np.array([1])).round(4))
    0.6931
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy takes {label_smoothing=} from 0 to 1")
    soft = target.dtype.kind == "f" and target.shape == input.shape
    if not soft:
        _check_classes("cross_entropy", input, target, weight)
    elif ignore_index >= 0:
        raise ValueError(
            f"cross_entropy takes {ignore_index=} with class numbers only: for probabilities give "
            'the samples that do not count a weight of 0 (reduction="none"), or leave them out'
        )
    axis = min(input.ndim - 1, 1)
    scores = log_softmax(input, axis=axis)
    if not (soft or label_smoothing):
        return picked_loss(scores, target, weight, ignore_index=ignore_index, reduction=reduction)
    shares: Any = target if soft else _hits(input, target, ignore_index).astype(input.dtype)
    if label_smoothing:
        shares = shares * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    values: Any = -np.sum(_by_class(scores * shares, weight), axis=axis)
    if not soft:
        values = np.where(target != ignore_index, values, 0.0)
        if reduction == "mean":
            return np.sum(values) / _total_weight(input, target, weight, ignore_index)
    return reduce_loss(values, reduction)
