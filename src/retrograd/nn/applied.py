"""Functions as Modules: activations, pooling and losses."""

from typing import Any

from retrograd.engine import arguments
from retrograd.nn import functional as F
from retrograd.nn.layers import Shown, Sizes
from retrograd.nn.module import Module, new_parameter


class Applied(Shown):
    """A function of `functional`; the arguments are its options."""

    _function = ""
    _options: tuple[str, ...] = ()

    def __init_subclass__(cls, function: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if function:
            cls._function, cls._options = function, arguments(cls.__init__)[1:]

    def forward(self, *inputs: Any) -> Any:
        function = getattr(F, self._function)  # which may load it
        if not self._options:
            return function(*inputs)
        options = {n: v for n in self._options if (v := getattr(self, n)) is not None}
        return function(*inputs, **options)


# Activations


class ReLU(Module):
    """The larger of the input and 0.

    >>> rg.nn.ReLU()(rg.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, input: Any) -> Any:
        return F.relu(input)


class Sigmoid(Applied, function="sigmoid"):
    """See `functional.sigmoid`."""


class LogSigmoid(Applied, function="logsigmoid"):
    """See `functional.logsigmoid`."""


class Tanh(Applied, function="tanh"):
    """See `functional.tanh`."""


class Hardtanh(Applied, function="hardtanh"):
    """See `functional.hardtanh`."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        if not min_val < max_val:
            raise ValueError(f"Hardtanh takes min_val below max_val, not {min_val} and {max_val}")
        self.min_val, self.max_val = min_val, max_val


class LeakyReLU(Applied, function="leaky_relu"):
    """See `functional.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope


class PReLU(Shown):
    """See `functional.prelu`; `weight` `(num_parameters,)` starts at `init`."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = None) -> None:
        self.num_parameters = num_parameters
        self.weight = new_parameter((num_parameters,), dtype, init)

    def forward(self, input: Any) -> Any:
        return F.prelu(input, self.weight)


class ELU(Applied, function="elu"):
    """See `functional.elu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


class SELU(Applied, function="selu"):
    """See `functional.selu`."""


class GELU(Applied, function="gelu"):
    """See `functional.gelu`."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate


class SiLU(Applied, function="silu"):
    """See `functional.silu`."""


class Mish(Applied, function="mish"):
    """See `functional.mish`."""


class Softplus(Applied, function="softplus"):
    """See `functional.softplus`."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold


class Softsign(Applied, function="softsign"):
    """See `functional.softsign`."""


class Softmax(Applied, function="softmax"):
    """See `functional.softmax`."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis


class LogSoftmax(Softmax, function="log_softmax"):
    """See `functional.log_softmax`."""


class GLU(Softmax, function="glu"):
    """See `functional.glu`."""


# Pooling


class _MaxPool(Applied):
    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation


class MaxPool1d(_MaxPool, function="max_pool1d"):
    """See `functional.max_pool1d`."""


class MaxPool2d(_MaxPool, function="max_pool2d"):
    """See `functional.max_pool2d`.

    >>> rg.nn.MaxPool2d(2)(rg.Tensor(np.ones((2, 3, 8, 6)))).shape
    (2, 3, 4, 3)
    """


class _AvgPool(Applied):
    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, *,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.count_include_pad = padding, count_include_pad


class AvgPool1d(_AvgPool, function="avg_pool1d"):
    """See `functional.avg_pool1d`."""


class AvgPool2d(_AvgPool, function="avg_pool2d"):
    """See `functional.avg_pool2d`."""


class AdaptiveAvgPool1d(Applied, function="adaptive_avg_pool1d"):
    """See `functional.adaptive_avg_pool1d`."""

    def __init__(self, output_size: int | tuple[int | None, ...]) -> None:
        self.output_size = output_size


class AdaptiveAvgPool2d(AdaptiveAvgPool1d, function="adaptive_avg_pool2d"):
    """See `functional.adaptive_avg_pool2d`."""


# Losses


class _Loss(Applied):
    _reductions: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in self._reductions:
            raise ValueError(f"reduction must be one of {self._reductions}, not {reduction!r}")
        self.reduction = reduction


class MSELoss(_Loss, function="mse_loss"):
    """See `functional.mse_loss`.

    >>> rg.nn.MSELoss()(rg.Tensor([1.0, 3.0]), np.array([1.0, 1.0])).item()
    2.0
    """


class L1Loss(_Loss, function="l1_loss"):
    """See `functional.l1_loss`."""


class HuberLoss(_Loss, function="huber_loss"):
    """See `functional.huber_loss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta


class SmoothL1Loss(_Loss, function="smooth_l1_loss"):
    """See `functional.smooth_l1_loss`."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta


class PoissonNLLLoss(_Loss, function="poisson_nll_loss"):
    """See `functional.poisson_nll_loss`."""

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps


class GaussianNLLLoss(_Loss, function="gaussian_nll_loss"):
    """See `functional.gaussian_nll_loss`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps


class BCELoss(_Loss, function="binary_cross_entropy"):
    """See `functional.binary_cross_entropy`."""

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Any, target: Any) -> Any:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)

    weight: Any


class BCEWithLogitsLoss(_Loss, function="binary_cross_entropy_with_logits"):
    """See `functional.binary_cross_entropy_with_logits`."""

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)


class NLLLoss(_Loss, function="nll_loss"):
    """See `functional.nll_loss`."""

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index


class CrossEntropyLoss(_Loss, function="cross_entropy"):
    """See `functional.cross_entropy`."""

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing


class KLDivLoss(_Loss, function="kl_div"):
    """See `functional.kl_div`."""

    _reductions = ("mean", "sum", "none", "batchmean")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target


class _Margin(_Loss):
    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin


class HingeEmbeddingLoss(_Margin, function="hinge_embedding_loss"):
    """See `functional.hinge_embedding_loss`."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction)


class MarginRankingLoss(_Margin, function="margin_ranking_loss"):
    """See `functional.margin_ranking_loss`."""


class CosineEmbeddingLoss(_Margin, function="cosine_embedding_loss"):
    """See `functional.cosine_embedding_loss`."""


class TripletMarginLoss(_Margin, function="triplet_margin_loss"):
    """See `functional.triplet_margin_loss`."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(margin, reduction)
        self.p, self.eps, self.swap = p, eps, swap
