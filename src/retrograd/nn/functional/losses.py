"""Losses, torch's formulas. `reduction` is "mean", "sum" or "none" (a value for each element)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import Constants, primitive
from retrograd.nn.functional.activations import sigmoid
from retrograd.registry import defvjp, defvjp_through

TINY = Constants(math.exp(-100), 1.0)  # keeps log above -100, torch's bound
EPSILON = 9.999999960041972e-13  # torch's 1e-12, which it holds in float32


def reduced(values: Any, reduction: str) -> Any:
    """Return the mean or sum of the values, or the values."""
    if reduction == "mean":
        return np.sum(values) / values.size
    if reduction == "sum":
        return np.sum(values)
    if reduction == "none":
        return values
    raise ValueError(f'reduction must be "mean", "sum" or "none", not {reduction!r}')


def share(g: Any, values: Any, reduction: str) -> Any:
    """Return the gradient of each of the reduced values."""
    return g / values.size if reduction == "mean" else g


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

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
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

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.binary_cross_entropy(np.array([0.5]), np.array([1.0])).round(4))
    0.6931
    """
    if input.shape != target.shape:
        same_shape("binary_cross_entropy", input, target)
    tiny, one = TINY[input.dtype]
    yes, no = np.log(input + tiny), np.log((one - input) + tiny)
    if weight is None and reduction != "none":
        total = -(np.vdot(target, yes) + np.vdot(1 - target, no))
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
    slope = (input - target) * (g / input.size if reduction == "mean" else g)
    return slope if weight is None else slope * weight


defvjp(binary_cross_entropy, _bce_dx, _bce_dy, None)
defvjp_through(binary_cross_entropy, sigmoid, _bce_through_sigmoid)


@primitive
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    """Return the binary cross entropy of `sigmoid(input)`, accurate for large logits.

    `pos_weight` multiplies the loss of positive targets, `weight` all; both broadcast.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.binary_cross_entropy_with_logits(np.array([-1000.0]), np.array([1.0])))
    1000.0
    """
    same_shape("binary_cross_entropy_with_logits", input, target)
    # log(1 + exp(-x)) = max(-x, 0) + log1p(exp(-|x|))
    softened = np.maximum(-input, 0.0) + np.log1p(np.exp(-np.abs(input)))
    scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    values = (1 - target) * input + scale * softened
    return reduced(values if weight is None else values * weight, reduction)


def _logits_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, pos_weight: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    p = sigmoid(input)
    if pos_weight is None:
        slope = p - target
    else:
        slope = (1 - target) - (1 + (pos_weight - 1) * target) * (1 - p)
    slope = slope * share(g, input, reduction)
    return slope if weight is None else slope * weight


def _logits_dy(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, pos_weight: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    slope = -input
    if pos_weight is not None:
        softened = np.maximum(-input, 0.0) + np.log1p(np.exp(-np.abs(input)))
        slope = slope + (pos_weight - 1) * softened
    slope = slope * share(g, input, reduction)
    return slope if weight is None else slope * weight


defvjp(binary_cross_entropy_with_logits, _logits_dx, _logits_dy, None, None)
