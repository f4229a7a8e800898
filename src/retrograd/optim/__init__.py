"""Optimizers and schedules, in PyTorch's words and with its formulas."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from retrograd.optim.adam import Adam, AdamW
from retrograd.optim.optimizer import Optimizer
from retrograd.optim.sgd import SGD

if TYPE_CHECKING:
    from retrograd.optim import lr_scheduler
    from retrograd.optim.adaptive import Adadelta, Adagrad, Adamax, NAdam, RMSprop
    from retrograd.optim.averaging import AveragedModel
    from retrograd.optim.lbfgs import LBFGS

# Loaded on first use, so that `import retrograd` loads only what training a small net needs.
_LATER = {"AveragedModel": "averaging", "LBFGS": "lbfgs", "lr_scheduler": "lr_scheduler"}
_LATER |= dict.fromkeys(("Adadelta", "Adagrad", "Adamax", "NAdam", "RMSprop"), "adaptive")


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'retrograd.optim' has no attribute {name!r}")
    module = importlib.import_module(f"retrograd.optim.{_LATER[name]}")
    found = globals()[name] = module if name == _LATER[name] else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = [
    "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "AveragedModel", "NAdam",
    "Optimizer", "RMSprop", "lr_scheduler",
]  # fmt: skip
