"""Optimizers, in PyTorch's words and with its formulas."""

from retrograd.optim.adam import Adam, AdamW
from retrograd.optim.optimizer import Optimizer
from retrograd.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
