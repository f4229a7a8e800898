"""What nets need and NumPy lacks, with torch's arguments; `axis` for `dim`.

Shapes and options that do not fit raise ValueError.
"""

# ruff: noqa: I001
from typing import TYPE_CHECKING

from retrograd.later import load_later
from retrograd.nn.functional.dense import (
    batch_norm, dropout, elu, embedding, flatten, gelu, glu, group_norm, hardtanh, layer_norm,
    leaky_relu, linear, log_softmax, logsigmoid, mish, one_hot, prelu, relu, rms_norm, selu,
    sigmoid, silu, softmax, softplus, softsign, tanh, unflatten,
)  # fmt: skip
from retrograd.nn.functional.losses import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cosine_embedding_loss,
    cosine_similarity, cross_entropy, gaussian_nll_loss, hinge_embedding_loss, huber_loss,
    kl_div, l1_loss, margin_ranking_loss, mse_loss, nll_loss, normalize, pairwise_distance,
    poisson_nll_loss, smooth_l1_loss, triplet_margin_loss,
)  # fmt: skip

if TYPE_CHECKING:
    from retrograd.nn.functional.convolution import (
        adaptive_avg_pool1d, adaptive_avg_pool2d, avg_pool1d, avg_pool2d, conv1d, conv2d,
        conv_transpose2d, interpolate, max_pool1d, max_pool2d, pad,
    )  # fmt: skip
    from retrograd.nn.functional.sequences import scaled_dot_product_attention

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "batch_norm",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv1d", "conv2d",
    "conv_transpose2d", "cosine_embedding_loss", "cosine_similarity", "cross_entropy",
    "dropout", "elu", "embedding", "flatten", "gaussian_nll_loss", "gelu", "glu", "group_norm",
    "hardtanh", "hinge_embedding_loss", "huber_loss", "interpolate", "kl_div", "l1_loss",
    "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid", "margin_ranking_loss",
    "max_pool1d", "max_pool2d", "mish", "mse_loss", "nll_loss", "normalize", "one_hot", "pad",
    "pairwise_distance", "poisson_nll_loss", "prelu", "relu", "rms_norm",
    "scaled_dot_product_attention", "selu", "sigmoid", "silu", "smooth_l1_loss", "softmax",
    "softplus", "softsign", "tanh", "triplet_margin_loss", "unflatten",
]  # fmt: skip

__getattr__ = load_later(__name__, {
    "convolution": " ".join({"convolution", *__all__} - {*globals()}),
    "sequences": "scaled_dot_product_attention",
})  # fmt: skip
