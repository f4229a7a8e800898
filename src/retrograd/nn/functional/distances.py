"""Distances of numbers and of vectors, and the losses made of them; `reduction` as in `losses`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.nn.functional.activations import relu
from retrograd.nn.functional.losses import reduced, same_shape, share
from retrograd.registry import defvjp


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return the distance of `input` and `target`, which have one shape; its slope at 0 is 0.

    >>> float(l1_loss(np.array([1.0, 4.0]), np.array([1.0, 1.0])))
    1.5
    """
    same_shape("l1_loss", input, target)
    return reduced(np.abs(input - target), reduction)


@primitive
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Return half the squared difference, beyond `delta` a line: `delta * (|d| - delta / 2)`.

    >>> huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    same_shape("huber_loss", input, target)
    size = np.abs(input - target)
    near = np.minimum(size, delta)
    return reduced(near * (size - 0.5 * near), reduction)


def _huber_dx(
    g: Any, out: Any, input: Any, target: Any, reduction: str = "mean", delta: float = 1.0
) -> Any:
    return share(g, input, reduction) * np.clip(input - target, -delta, delta)


defvjp(huber_loss, _huber_dx, lambda *args, **options: -_huber_dx(*args, **options))


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Return the `huber_loss` with `delta = beta`, divided by `beta`; for `beta=0` the `l1_loss`.

    >>> smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss takes beta of at least 0, not {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction=reduction, delta=beta) / beta


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Return minus the log-probability of counts `target` at rates `exp(input)`.

    Without `log_input`, `input` is the rate itself, and `eps` keeps its logarithm finite. `full`
    adds Stirling's approximation of `log(target!)` where the count is above 1.

    >>> float(poisson_nll_loss(np.array([0.0]), np.array([2.0])))
    1.0
    """
    if log_input:
        values = np.exp(input) - target * input
    else:
        values = input - target * np.log(input + eps)
    if full:
        many = np.maximum(target, 1.0)
        stirling = many * np.log(many) - many + 0.5 * np.log(2 * math.pi * many)
        values = values + np.where(target > 1, stirling, 0.0)
    return reduced(values, reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Return minus the log-density of `target` at mean `input` and variance `var`.

    `var` has the shape of `input`, or 1 on the last axis, or lacks that axis; it counts as at
    least `eps`. `full` adds the constant `log(2 pi) / 2`.

    >>> float(gaussian_nll_loss(np.array([2.0]), np.array([0.0]), np.array([1.0])))
    2.0
    """
    if var.shape == input.shape[:-1] and var.shape != input.shape:
        var = np.expand_dims(var, -1)
    elif var.shape not in (input.shape, (*input.shape[:-1], 1)):
        raise ValueError(f"gaussian_nll_loss takes var {input.shape}, not {var.shape}")
    var = np.maximum(var, eps)
    values = 0.5 * (np.log(var) + np.square(input - target) / var)
    return reduced(values + 0.5 * math.log(2 * math.pi) if full else values, reduction)


@primitive
def length(x: Any, p: float = 2.0, axis: int = -1) -> Any:
    """Return the p-norm over `axis`, which stays with length 1; the slope at 0 is 0."""
    if p == math.inf:
        return np.max(np.abs(x), axis=axis, keepdims=True)
    powers = x * x if p == 2 else np.abs(x) ** p
    return np.sum(powers, axis=axis, keepdims=True) ** (1 / p)


def _length_dx(g: Any, out: Any, x: Any, p: float = 2.0, axis: int = -1) -> Any:
    if p == 1:
        return g * np.sign(x)
    if p == math.inf:
        ties = (np.abs(x) == out).astype(x.dtype)
        return g * np.sign(x) * ties / np.sum(ties, axis=axis, keepdims=True)
    out = np.where(out == 0, math.inf, out)
    return g / out * x if p == 2 else g * np.sign(x) * np.power(np.abs(x) / out, p - 1)


defvjp(length, _length_dx)


def normalize(input: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Any:
    """Return `input` divided by its p-norm over `axis`, or by `eps` where that is larger.

    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    return input / np.maximum(length(input, p=p, axis=axis), eps)


def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Any:
    """Return the cosine of the angle between `x1` and `x2` along `axis`; the shapes broadcast.

    >>> cosine_similarity(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])).round(4)
    array([0.7071])
    """
    if np.ndim(x1) != np.ndim(x2):
        shape = np.broadcast_shapes(x1.shape, x2.shape)
        x1, x2 = np.broadcast_to(x1, shape), np.broadcast_to(x2, shape)
    return np.sum(normalize(x1, 2.0, axis, eps) * normalize(x2, 2.0, axis, eps), axis=axis)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6) -> Any:
    """Return the p-norm of `x1 - x2 + eps` over the last axis.

    >>> pairwise_distance(np.array([[3.0, 4.0]]), np.zeros((1, 2))).round(4)
    array([5.])
    """
    return np.squeeze(length(x1 - x2 + eps, p=p), axis=-1)


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    """Return `input` where the target is 1, and `max(0, margin - input)` where it is -1.

    >>> hinge_embedding_loss(np.array([0.3, 0.3]), np.array([1, -1]), reduction="none")
    array([0.3, 0.7])
    """
    alike = np.where(target == -1, 0.0, input)
    return reduced(alike + np.where(target == 1, 0.0, relu(margin - input)), reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """Return how far `input1` is from being above `input2` (target 1) or below it (target -1).

    >>> float(margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    return reduced(relu(margin - target * (input1 - input2)), reduction)


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """Return how far `positive` `(N, D)` is from being `margin` closer to `anchor` than `negative`.

    With `swap` the negative is compared with the closer one of anchor and positive.

    >>> a, b = np.zeros((1, 2)), np.array([[3.0, 4.0]])
    >>> float(triplet_margin_loss(a, b, a).round(4))
    6.0
    """
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(relu(near - far + margin), reduction)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """Return `1 - cos` where the target is 1, and `max(0, cos - margin)` where it is -1.

    `input1` and `input2` are `(N, D)` or `(D,)`, `target` is `(N,)` or `()`.

    >>> x = np.array([[1.0, 0.0]])
    >>> float(cosine_embedding_loss(x, -x, np.array([1])).round(4))
    2.0
    """
    one, two = (np.sum(x * x, axis=-1) + 1e-12 for x in (input1, input2))
    cosine = np.sum(input1 * input2, axis=-1) / np.sqrt(one * two)
    return reduced(np.where(target == 1, 1 - cosine, relu(cosine - margin)), reduction)
