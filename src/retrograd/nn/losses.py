"""Losses as modules: each takes `(input, target)` and applies the function of the same name."""

from __future__ import annotations

from typing import Any

from retrograd.nn import functional as F
from retrograd.nn.module import Module


class _Loss(Module):
    _reductions: tuple[str, ...] = ("mean", "sum", "none")
    _shown: tuple[str, ...] = ("reduction",)
    weight: Any
    pos_weight: Any

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in self._reductions:
            allowed = ", ".join(repr(r) for r in self._reductions)
            raise ValueError(f"reduction must be one of {allowed}, not {reduction!r}")
        self.reduction = reduction


class MSELoss(_Loss):
    """The squared difference of input and target.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.MSELoss()(rg.Tensor([1.0, 3.0]), np.array([1.0, 1.0])).item()
    2.0
    """

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.mse_loss`."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The distance of input and target.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.L1Loss()(rg.Tensor([1.0, 4.0]), np.array([1.0, 1.0])).item()
    1.5
    """

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.l1_loss`."""
        return F.l1_loss(input, target, reduction=self.reduction)


class HuberLoss(_Loss):
    """Half the squared difference, beyond `delta` a line.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.HuberLoss()(rg.Tensor([3.0]), np.array([0.0])).item()
    2.5
    """

    _shown = ("reduction", "delta")

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.huber_loss`."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(_Loss):
    """The Huber loss divided by where it bends, `beta`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.SmoothL1Loss(beta=0.5)(rg.Tensor([3.0]), np.array([0.0])).item()
    2.75
    """

    _shown = ("reduction", "beta")

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.smooth_l1_loss`."""
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class PoissonNLLLoss(_Loss):
    """Minus the log-probability of counts at the rates `exp(input)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.PoissonNLLLoss()(rg.Tensor([0.0]), np.array([2.0])).item()
    1.0
    """

    _shown = ("log_input", "full", "eps", "reduction")

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.poisson_nll_loss`."""
        return F.poisson_nll_loss(
            input, target, self.log_input, self.full, self.eps, self.reduction
        )


class GaussianNLLLoss(_Loss):
    """Minus the log-density of the target at mean `input` and variance `var`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.GaussianNLLLoss()(rg.Tensor([2.0]), np.array([0.0]), np.array([1.0])).item()
    2.0
    """

    _shown = ("full", "eps", "reduction")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        """Apply `functional.gaussian_nll_loss`."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class BCELoss(_Loss):
    """The binary cross entropy of probabilities; finite at 0 and 1.

    >>> import numpy as np, retrograd as rg
    >>> round(rg.nn.BCELoss()(rg.Tensor([0.5]), np.array([1.0])).item(), 4)
    0.6931
    """

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.binary_cross_entropy`."""
        if self.weight is None:
            return F.binary_cross_entropy(input, target, reduction=self.reduction)
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """The binary cross entropy of `sigmoid(input)`, accurate for large logits.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.BCEWithLogitsLoss()(rg.Tensor([-1000.0]), np.array([1.0])).item()
    1000.0
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.binary_cross_entropy_with_logits`."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.pos_weight, reduction=self.reduction
        )


class NLLLoss(_Loss):
    """Minus the log-probability of the target class; `weight` `(C,)` weighs the classes.

    >>> import numpy as np, retrograd as rg
    >>> round(rg.nn.NLLLoss()(np.log(rg.Tensor([[0.5, 0.5]])), np.array([0])).item(), 4)
    0.6931
    """

    _shown = ("ignore_index", "reduction")

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.nll_loss`."""
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(_Loss):
    """The cross entropy of logits `(N, C, ...)` and class numbers `(N, ...)` or probabilities.

    >>> import numpy as np, retrograd as rg
    >>> round(rg.nn.CrossEntropyLoss()(rg.Tensor([[0.0, 0.0]]), np.array([1])).item(), 4)
    0.6931
    """

    _shown = ("ignore_index", "reduction", "label_smoothing")

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.cross_entropy`."""
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class KLDivLoss(_Loss):
    """The divergence of log-probabilities `input` from probabilities `target`.

    >>> import numpy as np, retrograd as rg
    >>> loss = rg.nn.KLDivLoss(reduction="batchmean")
    >>> round(loss(np.log(rg.Tensor([[0.5, 0.5]])), np.array([[1.0, 0.0]])).item(), 4)
    0.6931
    """

    _reductions = ("mean", "sum", "none", "batchmean")
    _shown = ("reduction", "log_target")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.kl_div`."""
        return F.kl_div(input, target, self.reduction, self.log_target)


class _Margin(_Loss):
    _shown: tuple[str, ...] = ("margin", "reduction")

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin


class HingeEmbeddingLoss(_Margin):
    """The input where the target is 1, and how far it is below the margin where that is -1.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.HingeEmbeddingLoss()(rg.Tensor([0.25]), np.array([-1])).item()
    0.75
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction)

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.hinge_embedding_loss`."""
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class MarginRankingLoss(_Margin):
    """How far `input1` is from being above `input2` (target 1) or below it (target -1).

    >>> import numpy as np, retrograd as rg
    >>> loss = rg.nn.MarginRankingLoss()
    >>> loss(rg.Tensor([1.0]), rg.Tensor([3.0]), np.array([1.0])).item()
    2.0
    """

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """Apply `functional.margin_ranking_loss`."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class CosineEmbeddingLoss(_Margin):
    """`1 - cos` of vectors where the target is 1, `max(0, cos - margin)` where it is -1.

    >>> import numpy as np, retrograd as rg
    >>> x = rg.Tensor([[1.0, 0.0]])
    >>> round(rg.nn.CosineEmbeddingLoss()(x, -x, np.array([1])).item(), 4)
    2.0
    """

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """Apply `functional.cosine_embedding_loss`."""
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(_Margin):
    """How far the positive is from being `margin` closer to the anchor than the negative.

    >>> import numpy as np, retrograd as rg
    >>> a, b = rg.Tensor([[0.0, 0.0]]), rg.Tensor([[3.0, 4.0]])
    >>> round(rg.nn.TripletMarginLoss()(a, b, a).item(), 4)
    6.0
    """

    _shown = ("margin", "p", "swap", "eps", "reduction")

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(margin, reduction)
        self.p, self.eps, self.swap = p, eps, swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """Apply `functional.triplet_margin_loss`."""
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )
