"""Losses with a margin, of scores of classes and of signs. The formulas are PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.checks import ensure, one_of
from retrograd.engine import TensorLike, TensorT
from retrograd.nn.functional.activations import relu
from retrograd.nn.functional.classes import one_hot
from retrograd.nn.functional.losses import check_same_shape, reduce_loss
from retrograd.special.logistic import logsigmoid

__all__ = ["multi_margin_loss", "soft_margin_loss"]


def soft_margin_loss(input: TensorT, target: TensorLike, reduction: str = "mean") -> TensorT:
    """Return the mean of `log(1 + exp(-target * input))`: of scores whose sign should be right.

    Args:
        input: scores, of any shape.
        target: the signs that they should have, 1 or -1, of the same shape.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the shapes differ, or the reduction is none of the above.

    >>> F.soft_margin_loss(np.array([0.0, 1000.0]), np.array([1, -1]), "none").round(4)
    array([6.931e-01, 1.000e+03])
    """
    check_same_shape("soft_margin_loss", input, target)
    return reduce_loss(-logsigmoid(target.astype(input.dtype) * input), reduction)


def multi_margin_loss(
    input: TensorT, target: TensorLike, p: int = 1, margin: float = 1.0,
    weight: TensorLike | None = None, reduction: str = "mean",
) -> TensorT:  # fmt: skip
    """Return the mean of how far the right class is from being above all others by a margin.

    For one sample it is the mean over all C classes j but the right one y (the sum divided by C)
    of `weight[y] * max(0, margin - input[y] + input[j]) ** p`.

    Args:
        input: scores `(N, C)`, or `(C,)` for one sample.
        target: the right classes, integers `(N,)`, or `()`.
        p: 1 or 2.
        margin: by how much the right class should be above.
        weight: a factor for each class, `(C,)`, or None.
        reduction: "mean" or "sum" of all samples, or "none": each by itself.

    Returns:
        A Tensor `()`, or `(N,)` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if `p` or the reduction is none of the above, shapes do not fit, or a class
            number is none of the classes.
        TypeError: if the target holds no integers.

    Weston and Watkins 1999, "Support vector machines for multi-class pattern recognition".

    >>> float(F.multi_margin_loss(np.array([[1.0, 3.0]]), np.array([0])))
    1.5
    """
    one_of("p", p, 1, 2, where="multi_margin_loss")
    ensure(
        input.ndim in (1, 2) and target.shape == input.shape[:-1],
        "target", f"one class a sample of {input.shape}", target.shape, "multi_margin_loss",
    )  # fmt: skip
    x: Any = input
    right: Any = one_hot(target, x.shape[-1]).astype(x.dtype)
    above = relu(margin - np.sum(x * right, axis=-1, keepdims=True) + x)
    above = above if p == 1 else np.square(above)
    if weight is not None:
        ensure(weight.shape == x.shape[-1:], "weight", f"of shape {x.shape[-1:]}", weight.shape,
               "multi_margin_loss")  # fmt: skip
        above = above * np.matmul(right, weight)[..., None]
    losses = np.sum(above * (1 - right), axis=-1) * (1 / x.shape[-1])
    return reduce_loss(losses, reduction)
