"""Initial values of parameters: every function fills a Tensor in place and returns it."""

from __future__ import annotations

import math
from typing import Any

from retrograd.core import Tensor, touch
from retrograd.random import RngLike, generator


def _fill(tensor: Tensor, values: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"nn.init fills a Tensor, not {type(tensor).__name__}")
    tensor._data[...] = values
    touch(tensor)
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw from the uniform distribution between `a` and `b`.

    >>> import retrograd as rg
    >>> t = rg.nn.init.uniform_(rg.nn.Parameter([0.0, 0.0]), 2, 3, rng=0)
    >>> bool((t.data > 2).all())
    True
    """
    return _fill(tensor, generator(rng).uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw from the normal distribution."""
    return _fill(tensor, generator(rng).normal(mean, std, tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to `val`."""
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0."""
    return _fill(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1."""
    return _fill(tensor, 1.0)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the gain that keeps the variance through a nonlinearity; torch's table."""
    gains = {"relu": math.sqrt(2), "tanh": 5 / 3, "selu": 3 / 4, "sigmoid": 1.0, "linear": 1.0}
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity in gains:
        return gains[nonlinearity]
    known = ", ".join(["leaky_relu", *gains])
    raise ValueError(f"no gain is known for {nonlinearity!r}; known: {known}")


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return how many elements feed one output and how many outputs one element feeds."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need 2 axes or more, shape is {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw uniformly with variance `2 gain^2 / (fan_in + fan_out)` (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, rng)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw normally with variance `2 gain^2 / (fan_in + fan_out)` (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), rng)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode must be "fan_in" or "fan_out", not {mode!r}')
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: RngLike = None,
) -> Tensor:
    """Draw uniformly with variance `gain^2 / fan` (He et al. 2015)."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: RngLike = None,
) -> Tensor:
    """Draw normally with variance `gain^2 / fan` (He et al. 2015)."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), rng)
