"""Losses with a margin as Modules: things that belong together are to be closer than others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrograd.checks import one_of
from retrograd.engine import Tensor, TensorLike, TensorT
from retrograd.nn import functional as F
from retrograd.nn.losses import Loss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class HingeEmbeddingLoss(Loss):
    """A loss of distances: small ones are wanted of pairs that are alike, large ones of others.

    Called with distances `input` and a `target` of 1 (alike) and -1 (not), both of one shape
    `(...)`: `input` where the target is 1, `max(0, margin - input)` where it is -1.

    Args:
        margin: How far apart those that are not alike should be (default 1.0).
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.

    Shape:
        - input: any shape `(...)`.
        - target: the shape of `input`, or one that broadcasts with it.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one.

    >>> loss = rg.nn.HingeEmbeddingLoss(reduction="none")
    >>> loss(rg.Tensor([0.25, 0.25, 2.0]), np.array([1, -1, -1]))
    Tensor([0.25, 0.75, 0.  ])
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(Loss):
    """A loss of pairs of scores, of which it is known which one should be above the other.

    Called with scores `input1` and `input2`, and a `target` of 1 (the first should be above) and -1
    (below), all of one shape `(...)`: `max(0, margin - target * (input1 - input2))`.

    Args:
        margin: How far above it should be (default 0.0).
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.

    Shape:
        - input1: any shape `(...)`.
        - input2: the shape of `input1`, or one that broadcasts with it.
        - target: likewise.
        - output: `()`, or for `reduction="none"` the shape of `input1`.

    Raises:
        ValueError: if `reduction` is another one.

    >>> loss = rg.nn.MarginRankingLoss()
    >>> loss(rg.Tensor([1.0, 5.0]), np.array([3.0, 3.0]), np.array([1.0, 1.0])).item()
    1.0
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: TensorT, input2: TensorLike, target: TensorLike) -> TensorT:
        return F.margin_ranking_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class CosineEmbeddingLoss(Loss):
    """A loss of pairs of vectors: those that are alike should point in one direction.

    Called with vectors `input1` and `input2` `(N, D)`, and a `target` `(N,)` of 1 (alike) and -1
    (not). With the cosine `cos` of the angle between the two it is `1 - cos` where the target is 1,
    `max(0, cos - margin)` where it is -1.

    Args:
        margin: The cosine up to which those that are not alike cost nothing, from -1 to 1 (default
            0.0).
        reduction: "mean" of all pairs (the default), their "sum", or "none" for each one's.

    Shape:
        - input1: `(N, D)`, or `(D,)` for one vector.
        - input2: the shape of `input1`.
        - target: `(N,)`, or `()` for one pair.
        - output: `()`, or for `reduction="none"` the shape of `target`.

    Raises:
        ValueError: if `reduction` is another one.

    >>> loss = rg.nn.CosineEmbeddingLoss()
    >>> x = rg.Tensor([[1.0, 0.0]])
    >>> loss(x, np.array([[-1.0, 0.0]]), np.array([1])).round(4)
    Tensor(2.)
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: TensorT, input2: TensorLike, target: TensorLike) -> TensorT:
        return F.cosine_embedding_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class TripletMarginLoss(Loss):
    """A loss of triplets: an anchor should be closer to its like than to something else.

    Called with `anchor`, `positive` (like the anchor) and `negative` (something else), all of one
    shape `(N, D)`: `max(0, |anchor - positive| - |anchor - negative| + margin)`.

    Args:
        margin: How much closer it should be (default 1.0).
        p: The order of the norm that measures distances (default 2.0).
        eps: Added to each difference, so that a distance of 0 has a slope (default 1e-6).
        swap: Whether the distance of `positive` and `negative` is taken for that of `anchor` and
            `negative` where it is smaller (default False; Balntas et al. 2016).
        reduction: "mean" of all triplets (the default), their "sum", or "none" for each one's.

    Shape:
        - anchor: `(N, D)`, or `(D,)` for one vector.
        - positive: the shape of `anchor`.
        - negative: the shape of `anchor`.
        - output: `()`, or for `reduction="none"` `(N,)`.

    Raises:
        ValueError: if `reduction` is another one.

    Schroff et al. 2015, "FaceNet: a unified embedding for face recognition and clustering".

    >>> loss = rg.nn.TripletMarginLoss()
    >>> anchor = rg.Tensor([[0.0, 0.0]])
    >>> loss(anchor, np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]])).round(4)
    Tensor(5.)
    """

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: TensorT, positive: TensorLike, negative: TensorLike) -> TensorT:
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps,
            swap=self.swap, reduction=self.reduction,
        )  # fmt: skip


class SoftMarginLoss(Loss):
    """A loss of scores whose sign should be right: `log(1 + exp(-target * input))`.

    Called with scores `input` and a `target` of 1 and -1, both of one shape `(...)`.

    Args:
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.

    Shape:
        - input: any shape `(...)`.
        - target: the shape of `input`.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one; when called, if the shapes differ.

    >>> loss = rg.nn.SoftMarginLoss()
    >>> loss(rg.Tensor([0.0, 1000.0]), np.array([1.0, 1.0])).round(4)
    Tensor(0.3466)
    """

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiMarginLoss(Loss):
    """A loss of scores of classes: the right one should be above all others by a margin.

    Called with scores `input` `(N, C)` for C classes, and a `target` `(N,)` of class numbers from 0
    to C - 1. For one sample it is the mean over all classes j but the right one y (the sum divided
    by C) of `weight[y] * max(0, margin - input[y] + input[j]) ** p`.

    Args:
        p: 1 (the default) or 2.
        margin: By how much the right class should be above (default 1.0).
        weight: A factor for each class, an array `(C,)`; by default all are 1.
        reduction: "mean" of all samples (the default), their "sum", or "none" for each one's.

    Shape:
        - input: `(N, C)`, or `(C,)` for one sample.
        - target: integers `(N,)`, or `()`.
        - output: `()`, or for `reduction="none"` `(N,)`.

    Attributes:
        weight: Buffer `(C,)`, or None.

    Raises:
        ValueError: if `p` or `reduction` is another one; when called, if shapes do not fit or a
            class number is none of the classes.
        TypeError: when called, if the target holds no integers.

    Weston and Watkins 1999, "Support vector machines for multi-class pattern recognition".

    >>> rg.nn.MultiMarginLoss()(rg.Tensor([[1.0, 3.0]]), np.array([0])).item()
    1.5
    """

    weight: TensorLike | None

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: ArrayLike | Tensor | None = None, *,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        one_of("p", p, 1, 2, where=type(self).__name__)
        self.p, self.margin = p, margin
        self.register_buffer("weight", weight)

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return F.multi_margin_loss(
            input, target, self.p, self.margin, self.weight, reduction=self.reduction
        )
