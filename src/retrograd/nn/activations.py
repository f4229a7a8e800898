"""Activations as modules."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.nn import functional as F
from retrograd.nn.init import constant_
from retrograd.nn.module import Module, new_parameter


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


class LogSigmoid(Module):
    """The logarithm of the sigmoid."""

    def forward(self, input: Any) -> Any:
        """Apply `functional.logsigmoid`."""
        return F.logsigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, input: Any) -> Any:
        """Apply `np.tanh`."""
        return np.tanh(input)


class Hardtanh(Module):
    """The input held between `min_val` and `max_val`."""

    _shown = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        if not min_val < max_val:
            raise ValueError(f"Hardtanh takes min_val below max_val, not {min_val} and {max_val}")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, input: Any) -> Any:
        """Apply `functional.hardtanh`."""
        return F.hardtanh(input, self.min_val, self.max_val)


class LeakyReLU(Module):
    """The input where it is positive, elsewhere `negative_slope` times the input."""

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        """Apply `functional.leaky_relu`."""
        return F.leaky_relu(input, self.negative_slope)


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


class ELU(Module):
    """The input where it is positive, elsewhere `alpha * (exp(input) - 1)`."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """Apply `functional.elu`."""
        return F.elu(input, self.alpha)


class SELU(Module):
    """The ELU that keeps mean 0 and variance 1."""

    def forward(self, input: Any) -> Any:
        """Apply `functional.selu`."""
        return F.selu(input)


class GELU(Module):
    """The input times the normal distribution below it; `approximate` is "none" or "tanh"."""

    _shown = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """Apply `functional.gelu`."""
        return F.gelu(input, self.approximate)


class SiLU(Module):
    """The input times its sigmoid."""

    def forward(self, input: Any) -> Any:
        """Apply `functional.silu`."""
        return F.silu(input)


class Mish(Module):
    """The input times the tanh of its softplus."""

    def forward(self, input: Any) -> Any:
        """Apply `functional.mish`."""
        return F.mish(input)


class Softplus(Module):
    """`log(1 + exp(beta * input)) / beta`; the input itself where that is the same."""

    _shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Any) -> Any:
        """Apply `functional.softplus`."""
        return F.softplus(input, self.beta, self.threshold)


class Softsign(Module):
    """`input / (1 + abs(input))`."""

    def forward(self, input: Any) -> Any:
        """Apply `functional.softsign`."""
        return F.softsign(input)


class Softmax(Module):
    """Exponentials that sum to 1 over `axis`."""

    _shown = ("axis",)

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, input: Any) -> Any:
        """Apply `functional.softmax`."""
        return F.softmax(input, axis=self.axis)


class LogSoftmax(Softmax):
    """The logarithm of the softmax over `axis`."""

    def forward(self, input: Any) -> Any:
        """Apply `functional.log_softmax`."""
        return F.log_softmax(input, axis=self.axis)


class GLU(Module):
    """The first half along `axis` times the sigmoid of the second half."""

    _shown = ("axis",)

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, input: Any) -> Any:
        """Apply `functional.glu`."""
        return F.glu(input, self.axis)
