"""Losses as modules."""

from __future__ import annotations

from typing import Any

from retrograd.core import Tensor
from retrograd.nn import functional as F
from retrograd.nn.module import Module


class _Loss(Module):
    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f'reduction must be "mean", "sum" or "none", not {reduction!r}')
        self.reduction = reduction

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class MSELoss(_Loss):
    """The squared difference of input and target.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.MSELoss()(rg.Tensor([1.0, 3.0]), np.array([1.0, 1.0])).item()
    2.0
    """

    def forward(self, input: Any, target: Any) -> Tensor:
        """Apply `functional.mse_loss`."""
        return F.mse_loss(input, target, reduction=self.reduction)


class BCELoss(_Loss):
    """The binary cross entropy of probabilities; finite at 0 and 1."""

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight = weight

    def forward(self, input: Any, target: Any) -> Tensor:
        """Apply `functional.binary_cross_entropy`."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """The binary cross entropy of `sigmoid(input)`, accurate for large logits."""

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.weight, self.pos_weight = weight, pos_weight

    def forward(self, input: Any, target: Any) -> Tensor:
        """Apply `functional.binary_cross_entropy_with_logits`."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.pos_weight, reduction=self.reduction
        )


class NLLLoss(_Loss):
    """Minus the log-probability of the target class."""

    def forward(self, input: Any, target: Any) -> Tensor:
        """Apply `functional.nll_loss`."""
        return F.nll_loss(input, target, reduction=self.reduction)


class CrossEntropyLoss(_Loss):
    """The cross entropy of logits `(N, C)` and class numbers `(N,)`."""

    def forward(self, input: Any, target: Any) -> Tensor:
        """Apply `functional.cross_entropy`."""
        return F.cross_entropy(input, target, reduction=self.reduction)
