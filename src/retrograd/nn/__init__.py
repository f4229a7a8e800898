"""Nets, in PyTorch's words: Modules, their functions and their initial values.

Assign Modules and `Parameter`s to the attributes of a `Module`, or put Modules into a `Sequential`.
Their functions are in `nn.functional`, initial values in `nn.init`, and what is done with all
parameters at once in `nn.utils`.

>>> net = rg.nn.Sequential(rg.nn.Linear(2, 8), rg.nn.Tanh(), rg.nn.Linear(8, 1))
>>> net(np.ones((5, 2))).shape
(5, 1)
"""

# ruff: noqa: I001, RUF022
from typing import TYPE_CHECKING

from retrograd.nn.parameter import Parameter
from retrograd.later import load_later
from retrograd.nn import functional, init, utils
from retrograd.nn.activations import (
    ELU, GELU, GLU, Hardtanh, LeakyReLU, LogSigmoid, LogSoftmax, Mish, PReLU, ReLU, SELU, SiLU,
    Sigmoid, Softmax, Softplus, Softsign, Tanh,
)  # fmt: skip
from retrograd.nn.class_losses import CrossEntropyLoss, KLDivLoss, NLLLoss
from retrograd.nn.containers import ModuleDict, ModuleList, Sequential
from retrograd.nn.layers import Dropout, Embedding, Flatten, Identity, Linear, Unflatten
from retrograd.nn.losses import (
    BCELoss, BCEWithLogitsLoss, GaussianNLLLoss, HuberLoss, L1Loss, MSELoss, PoissonNLLLoss,
    SmoothL1Loss,
)  # fmt: skip
from retrograd.nn.module import Module

if TYPE_CHECKING:
    from retrograd.nn.attention import (
        MultiheadAttention, TransformerEncoder, TransformerEncoderLayer,
    )  # fmt: skip
    from retrograd.nn.cells import GRUCell, LSTMCell, RNNCell
    from retrograd.nn.convolution import Conv1d, Conv2d, ConvTranspose2d
    from retrograd.nn.margin_losses import (
        CosineEmbeddingLoss, HingeEmbeddingLoss, MarginRankingLoss, TripletMarginLoss,
    )  # fmt: skip
    from retrograd.nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
    from retrograd.nn.pooling import (
        AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d,
    )  # fmt: skip
    from retrograd.nn.recurrent import GRU, LSTM, RNN

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "BCELoss",
    "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "ConvTranspose2d",
    "CosineEmbeddingLoss", "CrossEntropyLoss", "Dropout", "ELU", "Embedding", "Flatten", "GELU",
    "GLU", "GRU", "GRUCell", "GaussianNLLLoss", "GroupNorm", "Hardtanh", "HingeEmbeddingLoss",
    "HuberLoss", "Identity", "KLDivLoss", "L1Loss", "LSTM", "LSTMCell", "LayerNorm",
    "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss", "MarginRankingLoss",
    "MaxPool1d", "MaxPool2d", "Mish", "Module", "ModuleDict", "ModuleList",
    "MultiheadAttention", "NLLLoss", "PReLU", "Parameter", "PoissonNLLLoss", "RMSNorm", "RNN",
    "RNNCell", "ReLU", "SELU", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax",
    "Softplus", "Softsign", "Tanh", "TransformerEncoder", "TransformerEncoderLayer",
    "TripletMarginLoss", "Unflatten", "functional", "init", "utils",
]  # fmt: skip

# Loaded on first use, so that `import retrograd` loads only what training a small net needs.
_LATER = {
    "attention": "MultiheadAttention TransformerEncoder TransformerEncoderLayer",
    "cells": "GRUCell LSTMCell RNNCell",
    "convolution": "Conv1d Conv2d ConvTranspose2d",
    "margin_losses":
        "CosineEmbeddingLoss HingeEmbeddingLoss MarginRankingLoss TripletMarginLoss",
    "normalization": "BatchNorm1d BatchNorm2d GroupNorm LayerNorm RMSNorm",
    "pooling": "AdaptiveAvgPool1d AdaptiveAvgPool2d AvgPool1d AvgPool2d MaxPool1d MaxPool2d",
    "recurrent": "GRU LSTM RNN",
}  # fmt: skip
__getattr__ = load_later(__name__, _LATER)


def __dir__() -> list[str]:
    return __all__
