"""Optimizers and schedules, in PyTorch's words."""

from typing import TYPE_CHECKING

from retrograd.later import load_later
from retrograd.optim.optimizer import Optimizer
from retrograd.optim.sgd import SGD

if TYPE_CHECKING:
    from retrograd.optim import lr_scheduler
    from retrograd.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
    from retrograd.optim.adaptive import Adadelta, Adagrad, RMSprop
    from retrograd.optim.averaging import AveragedModel
    from retrograd.optim.lbfgs import LBFGS
    from retrograd.optim.muon import Muon
    from retrograd.optim.rprop import Rprop

__all__ = [
    "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "AveragedModel", "Muon",
    "NAdam", "Optimizer", "RAdam", "RMSprop", "Rprop", "lr_scheduler",
]  # fmt: skip

__getattr__ = load_later(__name__, {
    "adam": "Adam AdamW Adamax NAdam RAdam", "adaptive": "Adadelta Adagrad RMSprop",
    "averaging": "AveragedModel", "lbfgs": "LBFGS", "lr_scheduler": "lr_scheduler",
    "muon": "Muon", "rprop": "Rprop",
})  # fmt: skip
