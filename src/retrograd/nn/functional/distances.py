"""Lengths, distances and angles of vectors, and the losses made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.nn.functional.activations import relu
from retrograd.nn.functional.losses import reduced
from retrograd.registry import defvjp


@primitive
def length(x: Any, p: float = 2.0, axis: int = -1) -> Any:
    """Return the p-norm over `axis`, which stays with length 1; the slope at 0 is 0."""
    if p == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=True))
    if p == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=True)
    if p == float("inf"):
        return np.max(np.abs(x), axis=axis, keepdims=True)
    return np.power(np.sum(np.power(np.abs(x), p), axis=axis, keepdims=True), 1 / p)


def _length_dx(g: Any, out: Any, x: Any, p: float = 2.0, axis: int = -1) -> Any:
    if p == 1:
        return g * np.sign(x)
    if p == float("inf"):
        ties = (np.abs(x) == out).astype(x.dtype)
        return g * np.sign(x) * ties / np.sum(ties, axis=axis, keepdims=True)
    zero = out == 0
    g = np.where(zero, 0.0, g / np.where(zero, 1.0, out))
    if p == 2:
        return g * x
    return g * x * np.power(np.abs(x) / np.where(zero, 1.0, out), p - 2)


defvjp(length, _length_dx)


def normalize(input: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Any:
    """Return `input` divided by its p-norm over `axis`, or by `eps` where that is larger.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    return input / np.maximum(length(input, p=p, axis=axis), eps)


def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Any:
    """Return the cosine of the angle between `x1` and `x2` along `axis`; the shapes broadcast.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.cosine_similarity(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])).round(4)
    array([0.7071])
    """
    if np.ndim(x1) != np.ndim(x2):
        shape = np.broadcast_shapes(x1.shape, x2.shape)
        x1, x2 = np.broadcast_to(x1, shape), np.broadcast_to(x2, shape)
    one, two = normalize(x1, axis=axis, eps=eps), normalize(x2, axis=axis, eps=eps)
    return np.sum(one * two, axis=axis)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6) -> Any:
    """Return the p-norm of `x1 - x2 + eps` over the last axis.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.pairwise_distance(np.array([[3.0, 4.0]]), np.zeros((1, 2))).round(4)
    array([5.])
    """
    return np.squeeze(length(x1 - x2 + eps, p=p), axis=-1)


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    """Return `input` where the target is 1, and `max(0, margin - input)` where it is -1.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.hinge_embedding_loss(np.array([0.3, 0.3]), np.array([1, -1]), reduction="none")
    array([0.3, 0.7])
    """
    alike = np.where(target == -1, 0.0, input)
    return reduced(alike + np.where(target == 1, 0.0, relu(margin - input)), reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """Return how far `input1` is from being above `input2` (target 1) or below it (target -1).

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    return reduced(relu(margin - target * (input1 - input2)), reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """Return how far `positive` `(N, D)` is from being `margin` closer to `anchor` than `negative`.

    With `swap` the negative is compared with the closer one of anchor and positive.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> a, b = np.zeros((1, 2)), np.array([[3.0, 4.0]])
    >>> float(F.triplet_margin_loss(a, b, a).round(4))
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

    >>> import numpy as np, retrograd.nn.functional as F
    >>> x = np.array([[1.0, 0.0]])
    >>> float(F.cosine_embedding_loss(x, -x, np.array([1])).round(4))
    2.0
    """
    one, two = (np.sum(x * x, axis=-1) + 1e-12 for x in (input1, input2))
    cosine = np.sum(input1 * input2, axis=-1) / np.sqrt(one * two)
    return reduced(np.where(target == 1, 1 - cosine, relu(cosine - margin)), reduction)
