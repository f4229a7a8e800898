"""Losses of numbers and probabilities as Modules: `input` and `target` are compared by element.

What each does with the losses of the elements its `reduction` says. Losses of classes are in
`class_losses`, those that compare how far things are apart in `margin_losses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrograd.checks import ensure
from retrograd.engine import Tensor, TensorLike, TensorT

# by name: a package that loads names later answers for each attribute more slowly
from retrograd.nn.functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    huber_loss,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from retrograd.nn.reprs import ShowsArguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Loss(ShowsArguments):
    """What all losses have: a `reduction`, which says what becomes of the losses of the elements.

    Args:
        reduction: One of `_reductions`.

    Raises:
        ValueError: if it is another one.
    """

    _reductions: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, reduction: str = "mean") -> None:
        fits = reduction in self._reductions
        ensure(fits, "reduction", f"one of {self._reductions}", reduction)
        self.reduction = reduction


class MSELoss(Loss):
    """The squared difference `(input - target) ** 2`: for numbers with errors alike everywhere.

    Called with `input` and `target`, both of one shape `(...)`.

    Args:
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.

    Shape:
        - input: any shape `(...)`, such as `(N, 1)`; `(N,)` does not match that.
        - target: the shape of `input`.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one; when called, if the shapes differ.

    >>> loss = rg.nn.MSELoss()
    >>> loss(rg.Tensor([1.0, 3.0]), np.array([1.0, 1.0])).item()
    2.0
    """

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """The distance `abs(input - target)`, in which large errors weigh less than in `MSELoss`.

    Called with `input` and `target`, both of one shape `(...)`. The slope where they are equal is
    0.

    Args:
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.

    Shape:
        - input: any shape `(...)`.
        - target: the shape of `input`.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one; when called, if the shapes differ.

    >>> loss = rg.nn.L1Loss()
    >>> loss(rg.Tensor([1.0, 4.0]), np.array([1.0, 1.0])).item()
    1.5
    """

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return l1_loss(input, target, reduction=self.reduction)


class HuberLoss(Loss):
    """Half the squared difference where it is small, a line beyond: outliers weigh less.

    Called with `input` and `target`, both of one shape `(...)`. With `d = abs(input - target)` it
    is `d ** 2 / 2` up to `delta`, and `delta * (d - delta / 2)` beyond.

    Args:
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.
        delta: The difference from which on it is a line (default 1.0).

    Shape:
        - input: any shape `(...)`.
        - target: the shape of `input`.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one; when called, if the shapes differ.

    Huber 1964, "Robust estimation of a location parameter".

    >>> loss = rg.nn.HuberLoss(reduction="none")
    >>> loss(rg.Tensor([0.5, 3.0]), np.array([0.0, 0.0]))
    Tensor([0.125, 2.5  ])
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(Loss):
    """The `HuberLoss` divided by its `delta`, here `beta`: an `L1Loss` with a smooth bottom.

    Called with `input` and `target`, both of one shape `(...)`. With `d = abs(input - target)` it
    is `d ** 2 / (2 * beta)` up to `beta`, and `d - beta / 2` beyond.

    Args:
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.
        beta: The difference from which on it is a line (default 1.0); 0 makes it the `L1Loss`.

    Shape:
        - input: any shape `(...)`.
        - target: the shape of `input`.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one; when called, if the shapes differ or `beta` is
            negative.

    Girshick 2015, "Fast R-CNN".

    >>> loss = rg.nn.SmoothL1Loss(reduction="none", beta=2.0)
    >>> loss(rg.Tensor([1.0, 3.0]), np.array([0.0, 0.0]))
    Tensor([0.25, 2.  ])
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class BCELoss(Loss):
    """The binary cross-entropy: how surprising targets of 0 and 1 are at given probabilities.

    Called with probabilities `input` and a `target` from 0 to 1, both of one shape `(...)`, such as
    `(N, 1)`: `-(target * log(input) + (1 - target) * log(1 - input))`. The logarithms stop at -100,
    so that it stays finite at 0 and 1. Scores without a sigmoid are for `BCEWithLogitsLoss`.

    Args:
        weight: Factors of the losses, an array that broadcasts with them; by default there are
            none.
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.

    Shape:
        - input: any shape `(...)`, from 0 to 1.
        - target: the shape of `input`, from 0 to 1.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Attributes:
        weight: Buffer of the shape it came in, or None.

    Raises:
        ValueError: if `reduction` is another one; when called, if the shapes differ, or if a mean
            or a sum without `weight` comes out as nan because the inputs are no probabilities.

    >>> loss = rg.nn.BCELoss()
    >>> loss(rg.Tensor([[0.5], [0.5]]), np.array([[1.0], [0.0]])).round(4)
    Tensor(0.6931)
    """

    weight: TensorLike | None

    def __init__(self, weight: ArrayLike | Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """The binary cross-entropy of scores: a sigmoid and a `BCELoss` in one, accurate everywhere.

    Called with scores `input`, any numbers, and a `target` from 0 to 1, both of one shape `(...)`,
    such as `(N, 1)`. With `p = sigmoid(input)` it is
    `-(pos_weight * target * log(p) + (1 - target) * log(1 - p))`.

    Args:
        weight: Factors of the losses, an array that broadcasts with them; by default there are
            none.
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.
        pos_weight: Factors of the losses of positive targets, an array that broadcasts with them:
            above 1 it makes the positive ones count more. By default there are none.

    Shape:
        - input: any shape `(...)`.
        - target: the shape of `input`, from 0 to 1.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Attributes:
        weight: Buffer of the shape it came in, or None.
        pos_weight: Buffer of the shape it came in, or None.

    Raises:
        ValueError: if `reduction` is another one; when called, if the shapes differ.

    >>> loss = rg.nn.BCEWithLogitsLoss()
    >>> loss(rg.Tensor([[0.0], [-1000.0]]), np.array([[1.0], [0.0]])).round(4)
    Tensor(0.3466)
    """

    weight: TensorLike | None
    pos_weight: TensorLike | None

    def __init__(
        self, weight: ArrayLike | Tensor | None = None, reduction: str = "mean",
        pos_weight: ArrayLike | Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return binary_cross_entropy_with_logits(
            input, target, self.weight, self.pos_weight, reduction=self.reduction
        )


class PoissonNLLLoss(Loss):
    """Minus the log-probability of counts under a Poisson distribution, up to a constant.

    Called with logarithms of rates `input` and counts `target`, both of one shape `(...)`:
    `exp(input) - target * input`. With `log_input=False` the input holds the rates themselves:
    `input - target * log(input + eps)`.

    Args:
        log_input: Whether the input holds logarithms of rates (default True).
        full: Whether to add Stirling's formula for `log(target!)`, which is
            `target * log(target) - target + log(2 * pi * target) / 2`, for counts above 1 (default
            False).
        eps: Added to rates before their logarithm (default 1e-8).
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.

    Shape:
        - input: any shape `(...)`.
        - target: the shape of `input`, or one that broadcasts with it.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one.

    >>> loss = rg.nn.PoissonNLLLoss()
    >>> loss(rg.Tensor([0.0, 0.0]), np.array([2.0, 5.0])).item()
    1.0
    """

    def __init__(
        self, log_input: bool = True, full: bool = False, *, eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, input: TensorT, target: TensorLike) -> TensorT:
        return poisson_nll_loss(
            input, target, log_input=self.log_input, full=self.full, eps=self.eps,
            reduction=self.reduction,
        )  # fmt: skip


class GaussianNLLLoss(Loss):
    """Minus the log-density of numbers under normal distributions, up to a constant.

    Called with means `input`, numbers `target` and variances `var`, all of one shape `(..., D)`:
    `(log(var) + (input - target) ** 2 / var) / 2`. A net that puts out `var` too learns how sure it
    is.

    Args:
        full: Whether to add the constant `log(2 * pi) / 2` (default False).
        eps: What variances are at least (default 1e-6).
        reduction: "mean" of all elements (the default), their "sum", or "none" for each one's.

    Shape:
        - input: `(..., D)`.
        - target: the shape of `input`, or one that broadcasts with it.
        - var: the shape of `input`, or for one variance along the last axis `(..., 1)` or `(...)`.
        - output: `()`, or for `reduction="none"` the shape of `input`.

    Raises:
        ValueError: if `reduction` is another one; when called, if the shape of `var` does not fit.

    Nix and Weigend 1994, "Estimating the mean and variance of the target probability distribution".

    >>> loss = rg.nn.GaussianNLLLoss()
    >>> loss(rg.Tensor([[2.0, 0.0]]), np.array([[0.0, 0.0]]), np.array([[1.0, 1.0]])).item()
    1.0
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def forward(self, input: TensorT, target: TensorLike, var: TensorLike) -> TensorT:
        return gaussian_nll_loss(
            input, target, var, full=self.full, eps=self.eps, reduction=self.reduction
        )
