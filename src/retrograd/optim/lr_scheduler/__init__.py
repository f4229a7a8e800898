"""Schedules of the learning rate, with PyTorch's formulas: `step()` after each epoch or update.

StepLR, MultiStepLR, ExponentialLR and LinearLR multiply the rate that they find, and so combine
with each other and with changes by hand. The others begin from the first rate.
"""

from retrograd.later import public_names
from retrograd.optim.lr_scheduler.cycles import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    OneCycleLR,
)
from retrograd.optim.lr_scheduler.factors import (
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    StepLR,
)
from retrograd.optim.lr_scheduler.plateau import ReduceLROnPlateau
from retrograd.optim.lr_scheduler.scheduler import LRScheduler
from retrograd.optim.lr_scheduler.sequence import SequentialLR

__all__ = [
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LRScheduler", "LambdaLR",
    "LinearLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip

__dir__ = public_names(__name__)
