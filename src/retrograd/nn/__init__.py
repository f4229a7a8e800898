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
    CELU, ELU, GELU, GLU, Hardtanh, LeakyReLU, LogSigmoid, LogSoftmax, Mish, PReLU, ReLU, SELU,
    SiLU, Sigmoid, Softmax, Softmin, Softplus, Softsign, Tanh,
)  # fmt: skip
from retrograd.nn.class_losses import CrossEntropyLoss, KLDivLoss, NLLLoss
from retrograd.nn.containers import ModuleDict, ModuleList, Sequential
from retrograd.nn.dropping import AlphaDropout, Dropout, Dropout1d, Dropout2d
from retrograd.nn.layers import (
    Bilinear, CosineSimilarity, Embedding, Flatten, Identity, Linear, Unflatten,
)  # fmt: skip
from retrograd.nn.losses import (
    BCELoss, BCEWithLogitsLoss, GaussianNLLLoss, HuberLoss, L1Loss, MSELoss, PoissonNLLLoss,
    SmoothL1Loss,
)  # fmt: skip
from retrograd.nn.module import Module

if TYPE_CHECKING:
    from retrograd.nn.attention import MultiheadAttention
    from retrograd.nn.cells import GRUCell, LSTMCell, RNNCell
    from retrograd.nn.channel_norms import BatchNorm1d, BatchNorm2d, InstanceNorm1d, InstanceNorm2d
    from retrograd.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
    from retrograd.nn.decoders import TransformerDecoder, TransformerDecoderLayer
    from retrograd.nn.encoders import TransformerEncoder, TransformerEncoderLayer
    from retrograd.nn.margin_losses import (
        CosineEmbeddingLoss, HingeEmbeddingLoss, MarginRankingLoss, MultiMarginLoss, SoftMarginLoss,
        TripletMarginLoss,
    )  # fmt: skip
    from retrograd.nn.normalization import GroupNorm, LayerNorm, RMSNorm
    from retrograd.nn.padding import (
        CircularPad1d, CircularPad2d, ConstantPad1d, ConstantPad2d, ReflectionPad1d,
        ReflectionPad2d, ReplicationPad1d, ReplicationPad2d, ZeroPad1d, ZeroPad2d,
    )  # fmt: skip
    from retrograd.nn.parameter_containers import ParameterDict, ParameterList
    from retrograd.nn.piecewise import (
        Hardshrink, Hardsigmoid, Hardswish, ReLU6, Softshrink, Tanhshrink, Threshold,
    )  # fmt: skip
    from retrograd.nn.pooling import (
        AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d,
    )  # fmt: skip
    from retrograd.nn.recurrent import GRU, LSTM, RNN
    from retrograd.nn.resizing import PixelShuffle, Upsample
    from retrograd.nn.transformer import Transformer

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AlphaDropout", "AvgPool1d", "AvgPool2d", "BCELoss",
    "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d", "Bilinear", "CELU", "CircularPad1d",
    "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "Conv1d", "Conv2d", "ConvTranspose1d",
    "ConvTranspose2d", "CosineEmbeddingLoss", "CosineSimilarity", "CrossEntropyLoss", "Dropout",
    "Dropout1d", "Dropout2d", "ELU", "Embedding", "Flatten", "GELU", "GLU", "GRU", "GRUCell",
    "GaussianNLLLoss", "GroupNorm", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "HingeEmbeddingLoss", "HuberLoss", "Identity", "InstanceNorm1d", "InstanceNorm2d", "KLDivLoss",
    "L1Loss", "LSTM", "LSTMCell", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax",
    "MSELoss", "MarginRankingLoss", "MaxPool1d", "MaxPool2d", "Mish", "Module", "ModuleDict",
    "ModuleList", "MultiMarginLoss", "MultiheadAttention", "NLLLoss", "PReLU", "Parameter",
    "ParameterDict", "ParameterList", "PixelShuffle", "PoissonNLLLoss", "RMSNorm", "RNN", "RNNCell",
    "ReLU", "ReLU6", "ReflectionPad1d", "ReflectionPad2d", "ReplicationPad1d", "ReplicationPad2d",
    "SELU", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "SoftMarginLoss", "Softmax", "Softmin",
    "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold", "Transformer",
    "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer", "TripletMarginLoss", "Unflatten", "Upsample", "ZeroPad1d",
    "ZeroPad2d", "functional", "init", "utils",
]  # fmt: skip

# Loaded on first use, so that `import retrograd` loads only what training a small net needs.
_LATER = {
    "attention": "MultiheadAttention",
    "cells": "GRUCell LSTMCell RNNCell",
    "channel_norms": "BatchNorm1d BatchNorm2d InstanceNorm1d InstanceNorm2d",
    "convolution": "Conv1d Conv2d ConvTranspose1d ConvTranspose2d",
    "decoders": "TransformerDecoder TransformerDecoderLayer",
    "encoders": "TransformerEncoder TransformerEncoderLayer",
    "margin_losses":
        "CosineEmbeddingLoss HingeEmbeddingLoss MarginRankingLoss MultiMarginLoss SoftMarginLoss "
        "TripletMarginLoss",
    "normalization": "GroupNorm LayerNorm RMSNorm",
    "padding":
        "CircularPad1d CircularPad2d ConstantPad1d ConstantPad2d ReflectionPad1d ReflectionPad2d "
        "ReplicationPad1d ReplicationPad2d ZeroPad1d ZeroPad2d",
    "parameter_containers": "ParameterDict ParameterList",
    "piecewise": "Hardshrink Hardsigmoid Hardswish ReLU6 Softshrink Tanhshrink Threshold",
    "pooling": "AdaptiveAvgPool1d AdaptiveAvgPool2d AvgPool1d AvgPool2d MaxPool1d MaxPool2d",
    "recurrent": "GRU LSTM RNN",
    "resizing": "PixelShuffle Upsample",
    "transformer": "Transformer",
}  # fmt: skip
__getattr__ = load_later(__name__, _LATER)


def __dir__() -> list[str]:
    return __all__
