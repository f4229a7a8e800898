"""Losses of classes as Modules: scores or log-probabilities against classes or distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrograd.engine import Tensor, TensorLike, TensorT
from retrograd.nn import functional as F
from retrograd.nn.losses import Loss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class CrossEntropyLoss(Loss):
    """The cross-entropy: how surprising the right classes are, given a score for every class.

    Called with scores `input` `(N, C)` for C classes, any numbers (no softmax before it), and a
    `target` `(N,)` of class numbers from 0 to C - 1: `-log(softmax(input)[target])`. The target may
    as well hold probabilities `(N, C)`.

    Args:
        weight: A factor for each class, an array `(C,)`; by default all are 1. The "mean" is
            divided by the sum of those of the targets.
        ignore_index: Targets of this number do not count, also not in the mean (default -100).
        reduction: "mean" of all samples (the default), their "sum", or "none" for each one's.
        label_smoothing: The part of each target, from 0 to 1, that is spread evenly over all
            classes (default 0.0).

    Shape:
        - input: `(N, C)`; `(N, C, ...)` for several places a sample; `(C,)` for one sample.
        - target: integers without the axis of classes, `(N,)`, `(N, ...)` or `()`; or
          probabilities of the shape of `input`.
        - output: `()`, or for `reduction="none"` one for each class number.

    Attributes:
        weight: Buffer `(C,)`, or None.

    Raises:
        ValueError: if `reduction` is another one; when called, if shapes do not fit or
            `label_smoothing` is not from 0 to 1.
        TypeError: when called, if class numbers are not integers.
        IndexError: when called, if a class number is none of the classes.

    >>> loss = rg.nn.CrossEntropyLoss()
    >>> scores = rg.Tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> loss(scores, np.array([0, 2])).round(4)
    Tensor(0.6691)
    """

    weight: TensorLike | None

    def __init__(
        self, weight: ArrayLike | Tensor | None = None, *, ignore_index: int = -100,
        reduction: str = "mean", label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return F.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )  # fmt: skip


class NLLLoss(Loss):
    """Minus the log-probability of the right classes: `-input[target]`.

    Called with log-probabilities `input` `(N, C)` for C classes, as from `LogSoftmax`, and a
    `target` `(N,)` of class numbers from 0 to C - 1. For scores there is `CrossEntropyLoss`, which
    is both in one.

    Args:
        weight: A factor for each class, an array `(C,)`; by default all are 1. The "mean" is
            divided by the sum of those of the targets.
        ignore_index: Targets of this number do not count, also not in the mean (default -100).
        reduction: "mean" of all samples (the default), their "sum", or "none" for each one's.

    Shape:
        - input: `(N, C)`; `(N, C, ...)` for several places a sample; `(C,)` for one sample.
        - target: integers without the axis of classes, `(N,)`, `(N, ...)` or `()`.
        - output: `()`, or for `reduction="none"` the shape of `target`.

    Attributes:
        weight: Buffer `(C,)`, or None.

    Raises:
        ValueError: if `reduction` is another one; when called, if shapes do not fit.
        TypeError: when called, if class numbers are not integers.
        IndexError: when called, if a class number is none of the classes.

    >>> loss = rg.nn.NLLLoss()
    >>> loss(rg.Tensor(np.log([[0.5, 0.25, 0.25]])), np.array([0])).round(4)
    Tensor(0.6931)
    """

    weight: TensorLike | None

    def __init__(
        self, weight: ArrayLike | Tensor | None = None, *, ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return F.nll_loss(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence of distributions from those that are right.

    Called with log-probabilities `input` `(N, C)`, as from `LogSoftmax`, and probabilities `target`
    `(N, C)`: `target * (log(target) - input)`, which is 0 where the target is 0. Its sum over the
    classes is 0 where both are the same, and positive elsewhere.

    Args:
        reduction: "batchmean", the sum divided by N, which is the divergence itself; "mean" of all
            elements (the default), their "sum", or "none" for each one's.
        log_target: Whether the target holds log-probabilities too (default False).

    Shape:
        - input: any shape `(...)`, such as `(N, C)`.
        - target: the shape of `input`, or one that broadcasts with it.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one.

    Kullback and Leibler 1951, "On information and sufficiency".

    >>> loss = rg.nn.KLDivLoss(reduction="batchmean")
    >>> loss(rg.Tensor(np.log([[0.5, 0.5]])), np.array([[1.0, 0.0]])).round(4)
    Tensor(0.6931)
    """

    _reductions = ("mean", "sum", "none", "batchmean")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
