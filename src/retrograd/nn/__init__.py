"""Nets, in PyTorch's words."""

# ruff: noqa: I001, RUF022
from typing import TYPE_CHECKING

from retrograd.nn.parameter import Parameter
from retrograd.later import load_later
from retrograd.nn import functional, init, utils
from retrograd.nn.applied import (
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, BCELoss, BCEWithLogitsLoss,
    CosineEmbeddingLoss, CrossEntropyLoss, ELU, GELU, GLU, GaussianNLLLoss, Hardtanh,
    HingeEmbeddingLoss, HuberLoss, KLDivLoss, L1Loss, LeakyReLU, LogSigmoid, LogSoftmax,
    MSELoss, MarginRankingLoss, MaxPool1d, MaxPool2d, Mish, NLLLoss, PReLU, PoissonNLLLoss,
    ReLU, SELU, SiLU, Sigmoid, SmoothL1Loss, Softmax, Softplus, Softsign, Tanh,
    TripletMarginLoss,
)  # fmt: skip
from retrograd.nn.layers import (
    BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, ConvTranspose2d, Dropout, Embedding, Flatten,
    GroupNorm, Identity, LayerNorm, Linear, ModuleDict, ModuleList, RMSNorm, Sequential,
    Unflatten,
)  # fmt: skip
from retrograd.nn.module import Module

if TYPE_CHECKING:
    from retrograd.nn.sequences import (
        GRU, GRUCell, LSTM, LSTMCell, MultiheadAttention, RNN, RNNCell, TransformerEncoder,
        TransformerEncoderLayer,
    )  # fmt: skip

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

__getattr__ = load_later(__name__, {"sequences": " ".join({*__all__} - {*globals()})})
