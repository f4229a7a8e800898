"""Schedules of the learning rate, with PyTorch's formulas: `step()` after each epoch or update.

Most compute the next rate from the present one, and so combine with each other, stepped one after
another, and with changes by hand. LambdaLR, CosineAnnealingWarmRestarts, CyclicLR and OneCycleLR
begin from the first rate at each step.
"""

from retrograd.later import public_names
from retrograd.optim.lr_scheduler.cycles import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    OneCycleLR,
)
from retrograd.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from retrograd.optim.lr_scheduler.plateau import ReduceLROnPlateau
from retrograd.optim.lr_scheduler.scheduler import LRScheduler
from retrograd.optim.lr_scheduler.sequence import ChainedScheduler, SequentialLR

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts",
    "CyclicLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR",
    "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip

__dir__ = public_names(__name__)
