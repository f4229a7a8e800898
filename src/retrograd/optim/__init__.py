"""Optimizers and schedules, in PyTorch's words."""

from typing import TYPE_CHECKING

from retrograd.later import load_later
from retrograd.nn.utils import AveragedModel
from retrograd.optim.optimizer import SGD, Optimizer

if TYPE_CHECKING:
    from retrograd.optim import lr_scheduler
    from retrograd.optim.adaptive import Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RMSprop
    from retrograd.optim.lbfgs import LBFGS

__all__ = [
    "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "AveragedModel", "NAdam",
    "Optimizer", "RMSprop", "lr_scheduler",
]  # fmt: skip

__getattr__ = load_later(__name__, {
    "adaptive": "Adadelta Adagrad Adam AdamW Adamax NAdam RMSprop", "lbfgs": "LBFGS",
    "lr_scheduler": "lr_scheduler",
})  # fmt: skip
