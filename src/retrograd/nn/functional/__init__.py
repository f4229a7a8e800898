"""What nets need and NumPy lacks, as functions; torch's argument order, with `axis` for `dim`."""

from retrograd.nn.functional.activations import (
    dropout,
    log_softmax,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from retrograd.nn.functional.linear import flatten, linear
from retrograd.nn.functional.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    nll_loss,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dropout",
    "flatten",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
