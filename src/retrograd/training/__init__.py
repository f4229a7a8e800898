"""A training loop with validation, early stopping and exact resume."""

from retrograd.later import public_names
from retrograd.training.evaluation import evaluate
from retrograd.training.history import History
from retrograd.training.loop import fit
from retrograd.training.run import Training

__all__ = ["History", "Training", "evaluate", "fit"]

__dir__ = public_names(__name__)
