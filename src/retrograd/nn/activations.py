"""Activations as modules."""

from __future__ import annotations

from typing import Any

from retrograd.nn import functional as F
from retrograd.nn.init import constant_
from retrograd.nn.module import Applied, Module, new_parameter


class ReLU(Module):
    """The larger of the input and 0.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.ReLU()(rg.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.relu`."""
        return F.relu(input)


class Sigmoid(Module):
    """`1 / (1 + exp(-input))`."""

    def forward(self, input: Any) -> Any:
        """Apply `functional.sigmoid`."""
        return F.sigmoid(input)


class LogSigmoid(Applied):
    """The logarithm of the sigmoid."""

    _name = "logsigmoid"


class Tanh(Applied):
    """The hyperbolic tangent."""

    _name = "tanh"


class Hardtanh(Applied):
    """The input held between `min_val` and `max_val`."""

    _name, _shown = "hardtanh", ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        if not min_val < max_val:
            raise ValueError(f"Hardtanh takes min_val below max_val, not {min_val} and {max_val}")
        self.min_val, self.max_val = min_val, max_val


class LeakyReLU(Applied):
    """The input where it is positive, elsewhere `negative_slope` times the input."""

    _name, _shown = "leaky_relu", ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope


class PReLU(Module):
    """A leaky ReLU that learns its slope: one, or `num_parameters` of them, one a channel.

    >>> import retrograd as rg
    >>> rg.nn.PReLU(init=0.5)(rg.Tensor([-1.0])).item()
    -0.5
    """

    _shown = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = None) -> None:
        self.num_parameters = num_parameters
        self.weight = new_parameter((num_parameters,), dtype)
        constant_(self.weight, init)

    def forward(self, input: Any) -> Any:
        """Apply `functional.prelu`."""
        return F.prelu(input, self.weight)


class ELU(Applied):
    """The input where it is positive, elsewhere `alpha * (exp(input) - 1)`."""

    _name, _shown = "elu", ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


class SELU(Applied):
    """The ELU that keeps mean 0 and variance 1."""

    _name = "selu"


class GELU(Applied):
    """The input times the normal distribution below it; `approximate` is "none" or "tanh"."""

    _name, _shown = "gelu", ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate


class SiLU(Applied):
    """The input times its sigmoid."""

    _name = "silu"


class Mish(Applied):
    """The input times the tanh of its softplus."""

    _name = "mish"


class Softplus(Applied):
    """`log(1 + exp(beta * input)) / beta`; the input itself where that is the same."""

    _name, _shown = "softplus", ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold


class Softsign(Applied):
    """`input / (1 + abs(input))`."""

    _name = "softsign"


class Softmax(Applied):
    """Exponentials that sum to 1 over `axis`."""

    _name, _shown = "softmax", ("axis",)

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis


class LogSoftmax(Softmax):
    """The logarithm of the softmax over `axis`."""

    _name = "log_softmax"


class GLU(Softmax):
    """The first half along `axis` times the sigmoid of the second half."""

    _name = "glu"
