"""Losses that are minus the logarithm of a probability. The formulas are PyTorch's."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from retrograd.engine import Constants, Tensor, TensorLike, TensorT, defvjp, primitive
from retrograd.nn.functional.losses import (
    as_floats,
    check_same_shape,
    reduce_loss,
    share_gradient,
)
from retrograd.special.logistic import logsigmoid, sigmoid

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "kl_div",
    "poisson_nll_loss",
]  # fmt: skip

TINY = Constants(math.exp(-100), 1.0)  # keeps log above -100, PyTorch's bound
EPSILON = 9.999999960041972e-13  # 1e-12 as float32 has it, PyTorch's


@primitive
def binary_cross_entropy(
    input: TensorT, target: TensorLike, weight: TensorLike | None = None, reduction: str = "mean"
) -> TensorT:
    """Return the mean binary cross entropy of probabilities.

    `-(target * log(input) + (1 - target) * log(1 - input))`, where logarithms stop at -100, so that
    the loss is finite at 0 and 1. Where `input` is the output of `sigmoid`, `backward` takes the
    two in one formula, `(input - target)`, which holds even where rounding made `input` 0 or 1;
    still, `binary_cross_entropy_with_logits` is the more exact.

    Args:
        input: probabilities from 0 to 1, of any shape.
        target: what they should be, from 0 to 1, of the same shape.
        weight: what to multiply each element's loss by, broadcasting with `input`, or None. The
            mean still divides by the number of elements.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the shapes differ, the reduction is none of the above, or `input` is found to
            hold something else than probabilities.

    >>> float(F.binary_cross_entropy(np.array([0.5]), np.array([1.0])).round(4))
    0.6931
    """
    if input.shape != target.shape:
        check_same_shape("binary_cross_entropy", input, target)
    if target.dtype is not input.dtype:
        target = as_floats(target, input)
    tiny, one = TINY[input.dtype]
    yes, no = np.log(input + tiny), np.log((one - input) + tiny)
    if weight is None and reduction != "none":
        total = -(np.vdot(target, yes) + np.vdot(one - target, no))
        if total.__class__ is not Tensor and total != total and np.any(np.abs(input - 0.5) > 0.5):
            raise ValueError(
                "binary_cross_entropy takes probabilities from 0 to 1: put a sigmoid before it, or "
                "use binary_cross_entropy_with_logits"
            )
        return total / input.size if reduction == "mean" else total
    return -reduce_loss(target * yes + (1 - target) * no, reduction, weight)


def _bce_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    slope = (input - target) / np.maximum(input * (1 - input), EPSILON)
    return slope * share_gradient(g, input, reduction, weight)


def _bce_dtarget(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    slope = np.log(1 - input + math.exp(-100)) - np.log(input + math.exp(-100))
    return slope * share_gradient(g, input, reduction, weight)


def _bce_dweight(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    loss: Any = binary_cross_entropy(input, target, reduction="none")
    return share_gradient(g, input, reduction) * loss


def _bce_through_sigmoid(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """Return the gradient of the logits of which `input` is the sigmoid."""
    slope = (input - target) * g
    if reduction == "mean":
        (part,) = _part_of(input.size)[input.dtype]
        slope = slope * part
    return slope if weight is None else slope * weight


@functools.cache
def _part_of(size: int) -> Constants:
    """Return an element's share in a mean of `size` elements."""
    return Constants(1 / max(size, 1))


defvjp(binary_cross_entropy, _bce_dx, _bce_dtarget, _bce_dweight,
       through={sigmoid: _bce_through_sigmoid})  # fmt: skip


@primitive
def binary_cross_entropy_with_logits(
    input: TensorT, target: TensorLike, weight: TensorLike | None = None,
    pos_weight: TensorLike | None = None, reduction: str = "mean",
) -> TensorT:  # fmt: skip
    """Return the mean `binary_cross_entropy` of `sigmoid(input)`, exact for large logits too.

    `-(pos_weight * target * logsigmoid(input) + (1 - target) * logsigmoid(-input))`.

    Args:
        input: logits, any numbers, of any shape.
        target: probabilities from 0 to 1, of the same shape.
        weight: what to multiply each element's loss by, broadcasting with `input`, or None. The
            mean still divides by the number of elements.
        pos_weight: what to multiply the loss of positive targets by, broadcasting with `input`, or
            None. Above 1 it makes up for positives that are few.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the shapes differ, or the reduction is none of the above.

    >>> float(F.binary_cross_entropy_with_logits(np.array([-1000.0]), np.array([1.0])))
    1000.0
    """
    check_same_shape("binary_cross_entropy_with_logits", input, target)
    target = as_floats(target, input)
    # logsigmoid(-x) is logsigmoid(x) - x: one logarithm does for both terms
    scale: Any = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    return reduce_loss((1 - target) * input - scale * logsigmoid(input), reduction, weight)


def _logits_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, pos_weight: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    p = sigmoid(input)
    if pos_weight is None:
        slope = p - target
    else:
        slope = (1 - target) * p - pos_weight * target * (1 - p)
    return share_gradient(g, input, reduction, weight) * slope


def _logits_dtarget(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, pos_weight: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    slope = -input if pos_weight is None else -input - (pos_weight - 1) * logsigmoid(input)
    return share_gradient(g, input, reduction, weight) * slope


def _logits_dweight(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, pos_weight: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    loss: Any = binary_cross_entropy_with_logits(input, target, None, pos_weight, "none")
    return share_gradient(g, input, reduction) * loss


def _logits_dpos_weight(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, pos_weight: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    return share_gradient(g, input, reduction, weight) * -target * logsigmoid(input)


defvjp(binary_cross_entropy_with_logits,
       _logits_dx, _logits_dtarget, _logits_dweight, _logits_dpos_weight)  # fmt: skip


def kl_div(
    input: TensorT, target: TensorLike, reduction: str = "mean", log_target: bool = False
) -> TensorT:
    """Return the Kullback-Leibler divergence of `exp(input)` from the distribution `target`.

    `target * (log(target) - input)`, which is 0 where the target is 0. As in PyTorch "mean" divides
    by the number of all elements; "batchmean" is what mathematics calls the divergence.

    Args:
        input: logarithms of probabilities, such as `log_softmax` gives, of any shape.
        target: probabilities, of a shape that broadcasts with that of `input`.
        reduction: "mean" or "sum" of all elements, "batchmean" for the sum divided by the length of
            axis 0, or "none": each by itself.
        log_target: whether `target` holds logarithms too.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the reduction is none of the above.

    Kullback and Leibler 1951, "On information and sufficiency".

    >>> float(F.kl_div(np.log([0.5, 0.5]), np.array([1.0, 0.0]), reduction="sum").round(4))
    0.6931
    """
    values: Any
    target = as_floats(target, input)
    if log_target:
        values = np.exp(target) * (target - input)
    else:
        values = target * np.log(np.where(target == 0, 1.0, target)) - target * input
    if reduction == "batchmean":
        return np.sum(values) / (input.shape[0] if input.ndim else 1)
    return reduce_loss(values, reduction)


def poisson_nll_loss(
    input: TensorT, target: TensorLike, log_input: bool = True, full: bool = False,
    eps: float = 1e-8, reduction: str = "mean",
) -> TensorT:  # fmt: skip
    """Return the mean of minus the log-probability of counts, drawn at the predicted rates.

    `rate - target * log(rate)`, the negative logarithm of a Poisson distribution without the term
    `log(target!)`, which no prediction changes.

    Args:
        input: logarithms of rates, of any shape; the rates themselves unless `log_input`.
        target: counts, of a shape that broadcasts with that of `input`.
        log_input: whether `input` holds logarithms.
        full: whether to add that term for counts above 1, by Stirling's approximation
            `target * log(target) - target + log(2 * pi * target) / 2`.
        eps: is added to rates before their logarithm is taken, if not `log_input`.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the reduction is none of the above.

    >>> float(F.poisson_nll_loss(np.array([0.0]), np.array([2.0])))
    1.0
    """
    target = as_floats(target, input)
    rate, log = (np.exp(input), input) if log_input else (input, np.log(input + eps))
    values = rate - target * log
    if full:
        many: Any = np.maximum(target, 1.0)
        stirling = many * np.log(many) - many + 0.5 * np.log(2 * math.pi * many)
        values = values + np.where(target > 1, stirling, 0.0)
    return reduce_loss(values, reduction)


@primitive(looks_through=False)
def variance_from(var: Any, eps: float) -> Any:
    """Return variances of at least `eps`; gradients go through as if nothing was done."""
    if np.any(var < 0):
        raise ValueError(f"gaussian_nll_loss takes var from 0, it has {np.min(var)}")
    return np.maximum(var, eps)


defvjp(variance_from, lambda g, out, var, eps: g)


def _has_one_short_axis(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether a shape is the wanted one, but for an axis of length 1."""
    if len(shape) != len(wanted):
        return False
    return [m for m, n in zip(shape, wanted, strict=True) if m != n] == [1]


def gaussian_nll_loss(
    input: TensorT, target: TensorLike, var: TensorLike | float, full: bool = False,
    eps: float = 1e-6, reduction: str = "mean",
) -> TensorT:  # fmt: skip
    """Return the mean of minus the log-density of normal distributions with predicted variance.

    `(log(var) + (input - target)**2 / var) / 2`: a net that also predicts how sure it is.

    Args:
        input: predicted means, of any shape.
        target: what was drawn, of the same shape.
        var: predicted variances, from 0: of that shape; with 1 for one of the axes, or without the
            last axis, where one variance is for all of the axis; or a number for all. Those below
            `eps` count as `eps`, and have the gradient that `eps` would have.
        full: whether to add the constant `log(2 * pi) / 2`.
        eps: the least variance.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if `var` has none of these shapes or is negative somewhere, or the reduction is
            none of the above.

    Nix and Weigend 1994, "Estimating the mean and variance of the target probability distribution".

    >>> float(F.gaussian_nll_loss(np.array([2.0]), np.array([0.0]), np.array([1.0])))
    2.0
    """
    spread: Any = var
    if isinstance(var, (int, float)):
        spread = np.full(input.shape, var, input.dtype)
    shape, wanted = spread.shape, input.shape
    if shape == wanted[:-1] and shape != wanted:
        spread = np.expand_dims(spread, -1)
    elif shape != wanted and not _has_one_short_axis(shape, wanted):
        raise ValueError(
            f"gaussian_nll_loss takes var {wanted}, with 1 for one of the axes, or without the "
            f"last one, not {shape}"
        )
    spread = variance_from(as_floats(spread, input), eps)
    values = 0.5 * (np.log(spread) + np.square(input - as_floats(target, input)) / spread)
    return reduce_loss(values + 0.5 * math.log(2 * math.pi) if full else values, reduction)
