"""Activations as Modules: what stands between affine maps, so that a net is more than one of them.

Those without arguments and those with are alike: each calls the function of `functional` that has
its name. Of those that act on each element by itself, input and output have one shape, whatever it
is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrograd.checks import check_device
from retrograd.engine import Tensor, TensorLike, TensorT

# by name: a package that loads names later answers for each attribute more slowly
from retrograd.nn.functional import (
    celu,
    elu,
    gelu,
    glu,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softsign,
    tanh,
)
from retrograd.nn.module import Module
from retrograd.nn.parameter import new_parameter
from retrograd.nn.reprs import ShowsArguments

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class ReLU(Module):
    """The positive part: `max(input, 0)`. Its slope is 0 below 0 and at 0, and 1 above.

    Args:
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Glorot et al. 2011, "Deep sparse rectifier neural networks".

    >>> rg.nn.ReLU()(rg.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None: ...

    def forward(self, input: TensorT) -> TensorT:
        return relu(input)


class LeakyReLU(ShowsArguments):
    """The input where it is positive, elsewhere `negative_slope * input`.

    Args:
        negative_slope: The slope below 0 (default 0.01).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> rg.nn.LeakyReLU(0.1)(rg.Tensor([-1.0, 2.0]))
    Tensor([-0.1,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: TensorT) -> TensorT:
        return leaky_relu(input, negative_slope=self.negative_slope)


class PReLU(ShowsArguments):
    """A leaky ReLU that learns its slope: the input where it is positive, else `weight * input`.

    Args:
        num_parameters: 1 for one slope (the default), or the number of channels for a slope each.
        init: What all slopes are at first (default 0.25).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of `weight`; by default that of `rg.get_default_dtype()`.

    Shape:
        - input: any shape `(...)`; with a slope for each channel `(N, num_parameters, ...)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `(num_parameters,)`, at first `init`.

    Raises:
        ValueError: when called, if there are several slopes and axis 1 has not as many channels.

    He et al. 2015, "Delving deep into rectifiers".

    >>> rg.nn.PReLU(init=0.5)(rg.Tensor([-1.0, 2.0])).data
    array([-0.5,  2. ])
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        self.num_parameters = num_parameters
        self.weight = new_parameter((num_parameters,), dtype, init)

    def forward(self, input: TensorLike) -> Tensor:
        return prelu(input, self.weight)


class ELU(ShowsArguments):
    """The input where it is positive, elsewhere `alpha * (exp(input) - 1)`, down to `-alpha`.

    Args:
        alpha: How far down it goes (default 1.0).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Clevert et al. 2015, "Fast and accurate deep network learning by exponential linear units".

    >>> rg.nn.ELU(alpha=2.0)(rg.Tensor([-1000.0, 2.0]))
    Tensor([-2.,  2.])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, input: TensorT) -> TensorT:
        return elu(input, alpha=self.alpha)


class CELU(ShowsArguments):
    """The input where it is positive, elsewhere `alpha * (exp(input / alpha) - 1)`.

    It goes down to `-alpha`, and its slope is 1 at 0 for every `alpha`.

    Args:
        alpha: How far down it goes (default 1.0).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Raises:
        ValueError: when called, if `alpha` is 0.

    Barron 2017, "Continuously differentiable exponential linear units".

    >>> rg.nn.CELU(alpha=2.0)(rg.Tensor([-1000.0, 2.0]))
    Tensor([-2.,  2.])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, input: TensorT) -> TensorT:
        return celu(input, alpha=self.alpha)


class SELU(ShowsArguments):
    """The ELU, scaled, that keeps mean 0 and variance 1 from layer to layer.

    It is `1.0507 * ELU(alpha=1.6733)`, the constants being those of the paper in full precision;
    the weights before it are best drawn by `init.kaiming_normal_` with `nonlinearity="linear"`.

    Args:
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Klambauer et al. 2017, "Self-normalizing neural networks".

    >>> rg.nn.SELU()(rg.Tensor([-1.0, 1.0])).round(3)
    Tensor([-1.111,  1.051])
    """

    def __init__(self, inplace: bool = False) -> None: ...

    def forward(self, input: TensorT) -> TensorT:
        return selu(input)


class GELU(ShowsArguments):
    """The input times the probability that a draw from the standard normal distribution is less.

    Args:
        approximate: "none" for exact values (the default), or "tanh" for
            `0.5 * input * (1 + tanh(sqrt(2 / pi) * (input + 0.044715 * input ** 3)))`.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Raises:
        ValueError: when called, if `approximate` is neither.

    Hendrycks and Gimpel 2016, "Gaussian error linear units".

    >>> rg.nn.GELU()(rg.Tensor([-1.0, 1.0])).round(3)
    Tensor([-0.159,  0.841])
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: TensorT) -> TensorT:
        return gelu(input, approximate=self.approximate)


class SiLU(ShowsArguments):
    """The input times its sigmoid: `input / (1 + exp(-input))`, also called swish.

    Args:
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Elfwing et al. 2018, "Sigmoid-weighted linear units for neural network function approximation
    in reinforcement learning".

    >>> rg.nn.SiLU()(rg.Tensor([-1.0, 1.0])).round(3)
    Tensor([-0.269,  0.731])
    """

    def __init__(self, inplace: bool = False) -> None: ...

    def forward(self, input: TensorT) -> TensorT:
        return silu(input)


class Mish(ShowsArguments):
    """The input times the tanh of its softplus: `input * tanh(log(1 + exp(input)))`.

    Args:
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Misra 2019, "Mish: a self regularized non-monotonic activation function".

    >>> rg.nn.Mish()(rg.Tensor([-1.0, 1.0])).round(3)
    Tensor([-0.303,  0.865])
    """

    def __init__(self, inplace: bool = False) -> None: ...

    def forward(self, input: TensorT) -> TensorT:
        return mish(input)


class Softplus(ShowsArguments):
    """A smooth ReLU: `log(1 + exp(beta * input)) / beta`, always positive.

    Args:
        beta: How sharply it bends at 0 (default 1.0).
        threshold: Where `beta * input` is above it, the input itself is taken, which is the same up
            to rounding (default 20.0).

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.Softplus()(rg.Tensor([-1.0, 1000.0])).round(3)
    Tensor([3.13e-01, 1.00e+03])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, input: TensorT) -> TensorT:
        return softplus(input, beta=self.beta, threshold=self.threshold)


class Sigmoid(ShowsArguments):
    """The logistic function `1 / (1 + exp(-input))`: from 0 to 1, such as a probability.

    Before `BCELoss` it is better left out, and `BCEWithLogitsLoss` taken.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.Sigmoid()(rg.Tensor([0.0, 1000.0]))
    Tensor([0.5, 1. ])
    """

    def forward(self, input: TensorT) -> TensorT:
        return sigmoid(input)


class LogSigmoid(ShowsArguments):
    """The logarithm of the sigmoid, `-log(1 + exp(-input))`: accurate where the sigmoid is tiny.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.LogSigmoid()(rg.Tensor([-1000.0, 1000.0]))
    Tensor([-1000.,     0.])
    """

    def forward(self, input: TensorT) -> TensorT:
        return logsigmoid(input)


class Tanh(ShowsArguments):
    """The hyperbolic tangent `(exp(input) - exp(-input)) / (exp(input) + exp(-input))`.

    It goes from -1 to 1.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.Tanh()(rg.Tensor([0.0, 1000.0]))
    Tensor([0., 1.])
    """

    def forward(self, input: TensorT) -> TensorT:
        return tanh(input)


class Hardtanh(ShowsArguments):
    """The input, or the nearer of two bounds where it is outside of them; the slope is 0 there.

    Args:
        min_val: The lower bound (default -1.0).
        max_val: The upper bound (default 1.0).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Raises:
        ValueError: if `min_val` is not below `max_val`.

    >>> rg.nn.Hardtanh()(rg.Tensor([-2.0, 0.5]))
    Tensor([-1. ,  0.5])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        if not min_val < max_val:
            raise ValueError(f"Hardtanh takes min_val below max_val, not {min_val} and {max_val}")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, input: TensorT) -> TensorT:
        return hardtanh(input, min_val=self.min_val, max_val=self.max_val)


class Softsign(ShowsArguments):
    """The input brought between -1 and 1: `input / (1 + abs(input))`.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.Softsign()(rg.Tensor([-1.0, 3.0]))
    Tensor([-0.5 ,  0.75])
    """

    def forward(self, input: TensorT) -> TensorT:
        return softsign(input)


class Softmax(ShowsArguments):
    """Exponentials divided by their sum over an axis: positive numbers that sum to 1.

    They are the probabilities of classes, of which the input has the scores. Before a loss it is
    left out: `CrossEntropyLoss` takes the scores.

    Args:
        axis: The axis of the classes (default -1, the last one).

    Shape:
        - input: any shape `(...)` that has the axis.
        - output: the same shape.

    Raises:
        ValueError: when called, if the input has no such axis.

    >>> rg.nn.Softmax()(rg.Tensor([[0.0, np.log(3.0)]])).round(3)
    Tensor([[0.25, 0.75]])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, input: TensorT) -> TensorT:
        return softmax(input, axis=self.axis)


class Softmin(ShowsArguments):
    """The softmax of the input with the other sign: positive numbers that sum to 1.

    Where the input is small they are large.

    Args:
        axis: The axis along which they sum to 1 (default -1, the last one).

    Shape:
        - input: any shape `(...)` that has the axis.
        - output: the same shape.

    Raises:
        ValueError: when called, if the input has no such axis.

    >>> rg.nn.Softmin()(rg.Tensor([[0.0, np.log(3.0)]])).round(3)
    Tensor([[0.75, 0.25]])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, input: TensorT) -> TensorT:
        return softmin(input, axis=self.axis)


class LogSoftmax(ShowsArguments):
    """The logarithm of the softmax over an axis: accurate where that is tiny.

    It is `input - log(sum(exp(input)))`: the log-probabilities that `NLLLoss` takes.

    Args:
        axis: The axis of the classes (default -1, the last one).

    Shape:
        - input: any shape `(...)` that has the axis.
        - output: the same shape.

    Raises:
        ValueError: when called, if the input has no such axis.

    >>> rg.nn.LogSoftmax()(rg.Tensor([[0.0, 1000.0]]))
    Tensor([[-1000.,     0.]])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, input: TensorT) -> TensorT:
        return log_softmax(input, axis=self.axis)


class GLU(ShowsArguments):
    """A gated linear unit: the first half along an axis times the sigmoid of the second half.

    Args:
        axis: The axis that is halved (default -1, the last one).

    Shape:
        - input: `(..., 2 * n, ...)` with the even length at `axis`.
        - output: `(..., n, ...)`.

    Raises:
        ValueError: when called, if the length of the axis is odd.
        IndexError: when called, if the input has no such axis.

    Dauphin et al. 2017, "Language modeling with gated convolutional networks".

    >>> rg.nn.GLU()(rg.Tensor([3.0, 4.0, 0.0, 0.0]))
    Tensor([1.5, 2. ])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, input: TensorT) -> TensorT:
        return glu(input, axis=self.axis)
