"""Lengths, distances and angles of vectors, and the losses made of them (PyTorch's formulas)."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.checks import refuse_words
from retrograd.engine import TensorLike, TensorT
from retrograd.nn.functional.activations import relu
from retrograd.nn.functional.losses import reduce_loss

__all__ = [
    "cosine_embedding_loss", "cosine_similarity", "hinge_embedding_loss", "margin_ranking_loss",
    "normalize", "pairwise_distance", "triplet_margin_loss",
]  # fmt: skip


def normalize(
    input: TensorT, p: float = 2.0, axis: int = 1, eps: float = 1e-12, **_words: Any
) -> TensorT:
    """Return vectors divided by their length: `input / max(norm(input), eps)`.

    Args:
        input: array or Tensor of any shape but `()`; its vectors lie along `axis`.
        p: the order of the norm, `sum(abs(x)**p)**(1 / p)`: 2 for the length, 1 for the sum of
            absolute values, `np.inf` for the largest.
        axis: the axis of the vectors. (By default 1, as in PyTorch: the rows of a matrix.)
        eps: the least number to divide by.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    >>> F.normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    if _words:
        refuse_words("normalize", _words)
    length: Any = np.linalg.norm(input, p, axis, keepdims=True)
    return input / np.maximum(length, eps)


def cosine_similarity(
    x1: TensorT, x2: TensorLike, axis: int = 1, eps: float = 1e-8, **_words: Any
) -> TensorT:
    """Return the cosines of the angles between vectors: `x1 @ x2 / (norm(x1) * norm(x2))`.

    Args:
        x1: array or Tensor; its vectors lie along `axis`.
        x2: likewise; its shape and that of `x1` broadcast.
        axis: the axis of the vectors. (By default 1, as in PyTorch: the rows of a matrix.)
        eps: the least length to divide by.

    Returns:
        A Tensor of the shape of both without `axis`, from -1 to 1; an array if both are arrays.

    >>> F.cosine_similarity(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])).round(4)
    array([0.7071])
    """
    if _words:
        refuse_words("cosine_similarity", _words)
    one: Any = x1
    two: Any = x2
    if np.ndim(one) != np.ndim(two):
        one, two = np.broadcast_arrays(one, two)
    return np.sum(normalize(one, 2.0, axis, eps) * normalize(two, 2.0, axis, eps), axis=axis)


def pairwise_distance(x1: TensorT, x2: TensorLike, p: float = 2.0, eps: float = 1e-6) -> TensorT:
    """Return the distances between vectors: the p-norm of `x1 - x2 + eps` along the last axis.

    Args:
        x1: vectors `(..., D)`.
        x2: vectors `(..., D)`; the shapes broadcast.
        p: the order of the norm, `sum(abs(x)**p)**(1 / p)`: 2 for the distance as the crow flies, 1
            for the sum of the distances along each axis, `np.inf` for the largest of these.
        eps: is added to each difference, so that equal vectors have a gradient.

    Returns:
        A Tensor `(...)`; an array if both are arrays.

    >>> F.pairwise_distance(np.array([[3.0, 4.0]]), np.zeros((1, 2))).round(4)
    array([5.])
    """
    out: Any = np.linalg.norm(x1 - x2 + eps, p, axis=-1)
    return out


def hinge_embedding_loss(
    input: TensorT, target: TensorLike, margin: float = 1.0, reduction: str = "mean"
) -> TensorT:
    """Return the mean loss of distances: small for pairs that are alike, large for others.

    It is `input` where the target is 1, and `max(0, margin - input)` where it is -1.

    Args:
        input: distances of pairs, of any shape.
        target: 1 for a pair that is alike, -1 for one that is not; of the same shape.
        margin: the distance from which on pairs that are not alike are far enough apart.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the reduction is none of the above.

    >>> F.hinge_embedding_loss(np.array([0.3, 0.3]), np.array([1, -1]), reduction="none")
    array([0.3, 0.7])
    """
    alike: Any = np.where(target == -1, 0.0, input)
    return reduce_loss(alike + np.where(target == 1, 0.0, relu(margin - input)), reduction)


def margin_ranking_loss(
    input1: TensorT, input2: TensorLike, target: TensorLike, margin: float = 0.0,
    reduction: str = "mean",
) -> TensorT:  # fmt: skip
    """Return the mean of how far two scores are from being in the right order.

    `max(0, margin - target * (input1 - input2))`.

    Args:
        input1: scores, of any shape.
        input2: the scores to compare with, of the same shape.
        target: 1 where `input1` should be the larger, -1 where it should be the smaller; of the
            same shape.
        margin: by how much.
        reduction: "mean" or "sum" of all elements, or "none": each by itself.

    Returns:
        A Tensor `()`, or of the shape of `input1` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the reduction is none of the above.

    >>> float(F.margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    return reduce_loss(relu(margin - target * (input1 - input2)), reduction)


def triplet_margin_loss(
    anchor: TensorT, positive: TensorLike, negative: TensorLike, margin: float = 1.0,
    p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean",
) -> TensorT:  # fmt: skip
    """Return the mean of how far positives are from being closer to anchors than negatives are.

    `max(0, distance(anchor, positive) - distance(anchor, negative) + margin)`, with
    `pairwise_distance`.

    Args:
        anchor: vectors `(N, D)`, or one vector `(D,)`.
        positive: vectors that are like the anchors, of the same shape.
        negative: vectors that are not, of the same shape.
        margin: by how much the positive should be closer.
        p: the order of the norm that gives distances.
        eps: is added to each difference of elements.
        swap: whether the negative's distance is that to the closer one of anchor and positive.
        reduction: "mean" or "sum" of all samples, or "none": each by itself.

    Returns:
        A Tensor `()`, or `(N,)` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the reduction is none of the above.

    Balntas et al. 2016, "Learning local feature descriptors with triplets and shallow convolutional
    neural networks".

    >>> a, b = np.zeros((1, 2)), np.array([[3.0, 4.0]])
    >>> float(F.triplet_margin_loss(a, b, a).round(4))
    6.0
    """
    near = pairwise_distance(anchor, positive, p, eps)
    far: Any = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduce_loss(relu(near - far + margin), reduction)


def cosine_embedding_loss(
    input1: TensorT, input2: TensorLike, target: TensorLike, margin: float = 0.0,
    reduction: str = "mean",
) -> TensorT:  # fmt: skip
    """Return the mean loss of angles: small for pairs that are alike, large for others.

    It is `1 - cos` where the target is 1, and `max(0, cos - margin)` where it is -1; cos is the
    cosine of the angle between the two vectors.

    Args:
        input1: vectors `(N, D)`, or one vector `(D,)`.
        input2: the vectors to compare with, of the same shape.
        target: 1 for a pair that is alike, -1 for one that is not: `(N,)`, or `()`.
        margin: the cosine up to which pairs that are not alike are far enough apart, from -1 to 1.
        reduction: "mean" or "sum" of all samples, or "none": each by itself.

    Returns:
        A Tensor `()`, or `(N,)` for "none"; a number or an array for arrays.

    Raises:
        ValueError: if the reduction is none of the above.

    >>> x = np.array([[1.0, 0.0]])
    >>> float(F.cosine_embedding_loss(x, -x, np.array([1])).round(4))
    2.0
    """
    # PyTorch adds this number here, and not `cosine_similarity`'s eps to the length
    one, two = (np.sum(x * x, axis=-1) + 1e-12 for x in (input1, input2))
    cosine: Any = np.sum(input1 * input2, axis=-1) / np.sqrt(one * two)
    return reduce_loss(np.where(target == 1, 1 - cosine, relu(cosine - margin)), reduction)
