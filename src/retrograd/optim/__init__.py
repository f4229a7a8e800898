"""Optimizers and schedules, in PyTorch's words."""

# ruff: noqa: I001
from typing import TYPE_CHECKING

from retrograd.later import load_later
from retrograd.nn.utils import AveragedModel
from retrograd.optim.optimizer import SGD, Optimizer

if TYPE_CHECKING:
    from retrograd.optim import lr_scheduler
    from retrograd.optim.adaptive import (
        LBFGS, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RMSprop,
    )  # fmt: skip

__all__ = [
    "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "AveragedModel", "NAdam",
    "Optimizer", "RMSprop", "lr_scheduler",
]  # fmt: skip

__getattr__ = load_later(__name__, {
    "adaptive": " ".join({*__all__} - {*globals()}), "lr_scheduler": "lr_scheduler",
})  # fmt: skip
