"""Functions of `functional` as Modules: activations, pooling and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrograd.nn import functional as F
from retrograd.nn.init import constant_
from retrograd.nn.module import Module, new_parameter

if TYPE_CHECKING:
    from retrograd.nn.functional.convolution import Sizes


class Applied(Module):
    """A `function` of `functional` as a Module; its `options` are attributes that repr shows."""

    _name = ""

    def __init_subclass__(cls, function: str = "", options: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._name = function or cls._name
        cls._shown = tuple(options.split()) or cls._shown

    def forward(self, *inputs: Any) -> Any:
        """Apply the function to the inputs."""
        if not (self._shown or self._buffers):
            return getattr(F, self._name)(*inputs)
        options = {
            name: value
            for name in (*self._shown, *self._buffers)
            if (value := getattr(self, name)) is not None
        }
        return getattr(F, self._name)(*inputs, **options)


# Activations -------------------------------------------------------------------------------------


class ReLU(Module):
    """The larger of the input and 0.

    >>> rg.nn.ReLU()(rg.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, input: Any) -> Any:
        return F.relu(input)


class Sigmoid(Applied, function="sigmoid"):
    """`1 / (1 + exp(-input))`."""


class LogSigmoid(Applied, function="logsigmoid"):
    """The logarithm of the sigmoid."""


class Tanh(Applied, function="tanh"):
    """The hyperbolic tangent."""


class Hardtanh(Applied, function="hardtanh", options="min_val max_val"):
    """The input held between `min_val` and `max_val`."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        if not min_val < max_val:
            raise ValueError(f"Hardtanh takes min_val below max_val, not {min_val} and {max_val}")
        self.min_val, self.max_val = min_val, max_val


class LeakyReLU(Applied, function="leaky_relu", options="negative_slope"):
    """The input where it is positive, elsewhere `negative_slope` times the input."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope


class PReLU(Module):
    """A leaky ReLU that learns its slope: one, or `num_parameters` of them, one a channel."""

    _shown = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = None) -> None:
        self.num_parameters = num_parameters
        self.weight = new_parameter((num_parameters,), dtype)
        constant_(self.weight, init)

    def forward(self, input: Any) -> Any:
        return F.prelu(input, self.weight)


class ELU(Applied, function="elu", options="alpha"):
    """The input where it is positive, elsewhere `alpha * (exp(input) - 1)`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


class SELU(Applied, function="selu"):
    """The ELU that keeps mean 0 and variance 1."""


class GELU(Applied, function="gelu", options="approximate"):
    """The input times the normal distribution below it; `approximate` is "none" or "tanh"."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate


class SiLU(Applied, function="silu"):
    """The input times its sigmoid."""


class Mish(Applied, function="mish"):
    """The input times the tanh of its softplus."""


class Softplus(Applied, function="softplus", options="beta threshold"):
    """`log(1 + exp(beta * input)) / beta`; the input itself where that is the same."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold


class Softsign(Applied, function="softsign"):
    """`input / (1 + abs(input))`."""


class Softmax(Applied, function="softmax", options="axis"):
    """Exponentials that sum to 1 over `axis`."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis


class LogSoftmax(Softmax, function="log_softmax"):
    """The logarithm of the softmax over `axis`."""


class GLU(Softmax, function="glu"):
    """The first half along `axis` times the sigmoid of the second half."""


# Pooling -----------------------------------------------------------------------------------------


class _MaxPool(Applied, options="kernel_size stride padding dilation"):
    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation


class MaxPool1d(_MaxPool, function="max_pool1d"):
    """The largest of each window of `(N, C, L)` or `(C, L)`."""


class MaxPool2d(_MaxPool, function="max_pool2d"):
    """The largest of each window of `(N, C, H, W)` or `(C, H, W)`.

    >>> rg.nn.MaxPool2d(2)(rg.Tensor(np.ones((2, 3, 8, 6)))).shape
    (2, 3, 4, 3)
    """


class _AvgPool(Applied, options="kernel_size stride padding count_include_pad"):
    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, *,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.count_include_pad = padding, count_include_pad


class AvgPool1d(_AvgPool, function="avg_pool1d"):
    """The mean of each window of `(N, C, L)` or `(C, L)`."""


class AvgPool2d(_AvgPool, function="avg_pool2d"):
    """The mean of each window of `(N, C, H, W)` or `(C, H, W)`."""


class AdaptiveAvgPool1d(Applied, function="adaptive_avg_pool1d", options="output_size"):
    """Means of windows of `(N, C, L)` that leave `output_size` of them."""

    def __init__(self, output_size: int | tuple[int | None, ...]) -> None:
        self.output_size = output_size


class AdaptiveAvgPool2d(AdaptiveAvgPool1d, function="adaptive_avg_pool2d"):
    """Means of windows of `(N, C, H, W)` that leave `output_size`, a length or two."""


# Losses ------------------------------------------------------------------------------------------


class _Loss(Applied, options="reduction"):
    _reductions: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in self._reductions:
            allowed = ", ".join(map(repr, self._reductions))
            raise ValueError(f"reduction must be one of {allowed}, not {reduction!r}")
        self.reduction = reduction


class MSELoss(_Loss, function="mse_loss"):
    """The squared difference of input and target.

    >>> rg.nn.MSELoss()(rg.Tensor([1.0, 3.0]), np.array([1.0, 1.0])).item()
    2.0
    """


class L1Loss(_Loss, function="l1_loss"):
    """The distance of input and target."""


class HuberLoss(_Loss, function="huber_loss", options="reduction delta"):
    """Half the squared difference, beyond `delta` a line."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta


class SmoothL1Loss(_Loss, function="smooth_l1_loss", options="reduction beta"):
    """The Huber loss divided by where it bends, `beta`."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta


class PoissonNLLLoss(_Loss, function="poisson_nll_loss", options="log_input full eps reduction"):
    """Minus the log-probability of counts at the rates `exp(input)`."""

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps


class GaussianNLLLoss(_Loss, function="gaussian_nll_loss", options="full eps reduction"):
    """Minus the log-density of the target at mean `input` and variance `var`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps


class BCELoss(_Loss, function="binary_cross_entropy"):
    """The binary cross entropy of probabilities; finite at 0 and 1."""

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Any, target: Any) -> Any:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)

    weight: Any


class BCEWithLogitsLoss(_Loss, function="binary_cross_entropy_with_logits"):
    """The binary cross entropy of `sigmoid(input)`, accurate for large logits."""

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)


class NLLLoss(_Loss, function="nll_loss", options="ignore_index reduction"):
    """Minus the log-probability of the target class; `weight` `(C,)` weighs the classes."""

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index


class CrossEntropyLoss(
    _Loss, function="cross_entropy", options="ignore_index reduction label_smoothing"
):
    """The cross entropy of logits `(N, C, ...)` and class numbers `(N, ...)` or probabilities.

    >>> round(rg.nn.CrossEntropyLoss()(rg.Tensor([[0.0, 0.0]]), np.array([1])).item(), 4)
    0.6931
    """

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing


class KLDivLoss(_Loss, function="kl_div", options="reduction log_target"):
    """The divergence of log-probabilities `input` from probabilities `target`."""

    _reductions = ("mean", "sum", "none", "batchmean")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target


class _Margin(_Loss, options="margin reduction"):
    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin


class HingeEmbeddingLoss(_Margin, function="hinge_embedding_loss"):
    """The input where the target is 1, and how far it is below the margin where that is -1."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction)


class MarginRankingLoss(_Margin, function="margin_ranking_loss"):
    """How far `input1` is from being above `input2` (target 1) or below it (target -1)."""


class CosineEmbeddingLoss(_Margin, function="cosine_embedding_loss"):
    """`1 - cos` of vectors where the target is 1, `max(0, cos - margin)` where it is -1."""


class TripletMarginLoss(
    _Margin, function="triplet_margin_loss", options="margin p swap eps reduction"
):
    """How far the positive is from being `margin` closer to the anchor than the negative."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(margin, reduction)
        self.p, self.eps, self.swap = p, eps, swap
