"""What nets need and NumPy lacks, as functions: PyTorch's names and arguments, `axis` for `dim`.

Arrays or Tensors go in. A Tensor comes out, through which `backward` goes; on arrays alone a
function just runs and gives an array. Layers with weights of their own are classes of
`retrograd.nn`.
"""

# ruff: noqa: I001
from typing import TYPE_CHECKING

from retrograd.later import load_later
from retrograd.nn.functional.activations import (
    celu, elu, gelu, glu, hardtanh, leaky_relu, mish, prelu, relu, selu, silu, softmin, softplus,
    softsign, tanh,
)  # fmt: skip
from retrograd.nn.functional.likelihoods import (
    binary_cross_entropy, binary_cross_entropy_with_logits, gaussian_nll_loss, kl_div,
    poisson_nll_loss,
)  # fmt: skip
from retrograd.nn.functional.linear import bilinear, embedding, flatten, linear, unflatten
from retrograd.nn.functional.losses import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from retrograd.special.logistic import log_softmax, logsigmoid, sigmoid, softmax

if TYPE_CHECKING:
    from retrograd.nn.functional.attention import scaled_dot_product_attention
    from retrograd.nn.functional.classes import cross_entropy, nll_loss, one_hot
    from retrograd.nn.functional.convolution import (
        conv1d, conv2d, conv_transpose1d, conv_transpose2d,
    )  # fmt: skip
    from retrograd.nn.functional.distances import (
        cosine_embedding_loss, cosine_similarity, hinge_embedding_loss, margin_ranking_loss,
        normalize, pairwise_distance, triplet_margin_loss,
    )  # fmt: skip
    from retrograd.nn.functional.dropping import alpha_dropout, dropout, dropout1d, dropout2d
    from retrograd.nn.functional.margins import multi_margin_loss, soft_margin_loss
    from retrograd.nn.functional.normalization import (
        batch_norm, group_norm, instance_norm, layer_norm, rms_norm,
    )  # fmt: skip
    from retrograd.nn.functional.piecewise import (
        hardshrink, hardsigmoid, hardswish, relu6, softshrink, tanhshrink, threshold,
    )  # fmt: skip
    from retrograd.nn.functional.pooling import (
        adaptive_avg_pool1d, adaptive_avg_pool2d, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d,
    )  # fmt: skip
    from retrograd.nn.functional.resizing import interpolate, pad, pixel_shuffle

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "alpha_dropout", "avg_pool1d", "avg_pool2d",
    "batch_norm", "bilinear", "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu",
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "dropout", "dropout1d", "dropout2d", "elu", "embedding",
    "flatten", "gaussian_nll_loss", "gelu", "glu", "group_norm", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hinge_embedding_loss", "huber_loss", "instance_norm", "interpolate",
    "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid",
    "margin_ranking_loss", "max_pool1d", "max_pool2d", "mish", "mse_loss", "multi_margin_loss",
    "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance", "pixel_shuffle",
    "poisson_nll_loss", "prelu", "relu", "relu6", "rms_norm", "scaled_dot_product_attention",
    "selu", "sigmoid", "silu", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin",
    "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "triplet_margin_loss",
    "unflatten",
]  # fmt: skip

# Loaded on first use: what a small dense net does without.
__getattr__ = load_later(__name__, {
    "attention": "scaled_dot_product_attention",
    "classes": "cross_entropy nll_loss one_hot",
    "convolution": "convolution conv1d conv2d conv_transpose1d conv_transpose2d",
    "distances": "cosine_embedding_loss cosine_similarity hinge_embedding_loss normalize "
                 "margin_ranking_loss pairwise_distance triplet_margin_loss",
    "dropping": "alpha_dropout dropout dropout1d dropout2d",
    "margins": "multi_margin_loss soft_margin_loss",
    "normalization": "batch_norm group_norm instance_norm layer_norm rms_norm",
    "piecewise": "hardshrink hardsigmoid hardswish relu6 softshrink tanhshrink threshold",
    "pooling": "adaptive_avg_pool1d adaptive_avg_pool2d avg_pool1d avg_pool2d max_pool1d "
               "max_pool2d",
    "resizing": "interpolate pad pixel_shuffle",
})  # fmt: skip


def __dir__() -> list[str]:
    return __all__
