"""Losses as modules; each applies the function of the same name."""

from __future__ import annotations

from typing import Any

from retrograd.nn import functional as F
from retrograd.nn.module import Applied


class _Loss(Applied):
    _reductions: tuple[str, ...] = ("mean", "sum", "none")
    _shown: tuple[str, ...] = ("reduction",)

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

    _name = "mse_loss"


class L1Loss(_Loss):
    """The distance of input and target.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.L1Loss()(rg.Tensor([1.0, 4.0]), np.array([1.0, 1.0])).item()
    1.5
    """

    _name = "l1_loss"


class HuberLoss(_Loss):
    """Half the squared difference, beyond `delta` a line.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.HuberLoss()(rg.Tensor([3.0]), np.array([0.0])).item()
    2.5
    """

    _name, _shown = "huber_loss", ("reduction", "delta")

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta


class SmoothL1Loss(_Loss):
    """The Huber loss divided by where it bends, `beta`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.SmoothL1Loss(beta=0.5)(rg.Tensor([3.0]), np.array([0.0])).item()
    2.75
    """

    _name, _shown = "smooth_l1_loss", ("reduction", "beta")

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta


class PoissonNLLLoss(_Loss):
    """Minus the log-probability of counts at the rates `exp(input)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.PoissonNLLLoss()(rg.Tensor([0.0]), np.array([2.0])).item()
    1.0
    """

    _name, _shown = "poisson_nll_loss", ("log_input", "full", "eps", "reduction")

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps


class GaussianNLLLoss(_Loss):
    """Minus the log-density of the target at mean `input` and variance `var`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.GaussianNLLLoss()(rg.Tensor([2.0]), np.array([0.0]), np.array([1.0])).item()
    2.0
    """

    _name, _shown = "gaussian_nll_loss", ("full", "eps", "reduction")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps


class BCELoss(_Loss):
    """The binary cross entropy of probabilities; finite at 0 and 1.

    >>> import numpy as np, retrograd as rg
    >>> round(rg.nn.BCELoss()(rg.Tensor([0.5]), np.array([1.0])).item(), 4)
    0.6931
    """

    _name = "binary_cross_entropy"

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.binary_cross_entropy`."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """The binary cross entropy of `sigmoid(input)`, accurate for large logits.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.BCEWithLogitsLoss()(rg.Tensor([-1000.0]), np.array([1.0])).item()
    1000.0
    """

    _name = "binary_cross_entropy_with_logits"

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)


class NLLLoss(_Loss):
    """Minus the log-probability of the target class; `weight` `(C,)` weighs the classes.

    >>> import numpy as np, retrograd as rg
    >>> round(rg.nn.NLLLoss()(np.log(rg.Tensor([[0.5, 0.5]])), np.array([0])).item(), 4)
    0.6931
    """

    _name, _shown = "nll_loss", ("ignore_index", "reduction")

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index


class CrossEntropyLoss(_Loss):
    """The cross entropy of logits `(N, C, ...)` and class numbers `(N, ...)` or probabilities.

    >>> import numpy as np, retrograd as rg
    >>> round(rg.nn.CrossEntropyLoss()(rg.Tensor([[0.0, 0.0]]), np.array([1])).item(), 4)
    0.6931
    """

    _name, _shown = "cross_entropy", ("ignore_index", "reduction", "label_smoothing")

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


class KLDivLoss(_Loss):
    """The divergence of log-probabilities `input` from probabilities `target`.

    >>> import numpy as np, retrograd as rg
    >>> loss = rg.nn.KLDivLoss(reduction="batchmean")
    >>> round(loss(np.log(rg.Tensor([[0.5, 0.5]])), np.array([[1.0, 0.0]])).item(), 4)
    0.6931
    """

    _reductions = ("mean", "sum", "none", "batchmean")
    _name, _shown = "kl_div", ("reduction", "log_target")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target


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

    _name = "hinge_embedding_loss"

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction)


class MarginRankingLoss(_Margin):
    """How far `input1` is from being above `input2` (target 1) or below it (target -1).

    >>> import numpy as np, retrograd as rg
    >>> loss = rg.nn.MarginRankingLoss()
    >>> loss(rg.Tensor([1.0]), rg.Tensor([3.0]), np.array([1.0])).item()
    2.0
    """

    _name = "margin_ranking_loss"


class CosineEmbeddingLoss(_Margin):
    """`1 - cos` of vectors where the target is 1, `max(0, cos - margin)` where it is -1.

    >>> import numpy as np, retrograd as rg
    >>> x = rg.Tensor([[1.0, 0.0]])
    >>> round(rg.nn.CosineEmbeddingLoss()(x, -x, np.array([1])).item(), 4)
    2.0
    """

    _name = "cosine_embedding_loss"


class TripletMarginLoss(_Margin):
    """How far the positive is from being `margin` closer to the anchor than the negative.

    >>> import numpy as np, retrograd as rg
    >>> a, b = rg.Tensor([[0.0, 0.0]]), rg.Tensor([[3.0, 4.0]])
    >>> round(rg.nn.TripletMarginLoss()(a, b, a).item(), 4)
    6.0
    """

    _name, _shown = "triplet_margin_loss", ("margin", "p", "swap", "eps", "reduction")

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
