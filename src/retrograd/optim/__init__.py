"""Optimizers, in PyTorch's words and with its formulas."""

from retrograd.optim.optimizer import Optimizer
from retrograd.optim.sgd import SGD

__all__ = ["SGD", "Optimizer"]
