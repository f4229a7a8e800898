"""Initial values: each function fills a Tensor and returns it."""

import math
from typing import Any

import numpy as np

from retrograd.engine import Tensor, touch, unrecorded
from retrograd.random import RngLike, generator


def _fill(tensor: Tensor, values: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"nn.init fills a Tensor, not {type(tensor).__name__}")
    unrecorded("nn.init")
    tensor._array[...] = values
    touch(tensor)
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to `val`."""
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0."""
    return _fill(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1."""
    return _fill(tensor, 1.0)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw from the uniform distribution between `a` and `b`.

    >>> rg.nn.init.uniform_(rg.nn.Parameter([0.0]), 2, 3).item() > 2
    True
    """
    return _fill(tensor, generator(rng).uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw from the normal distribution."""
    return _fill(tensor, generator(rng).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    rng: RngLike = None,
) -> Tensor:  # fmt: skip
    """Draw from the normal distribution between `a` and `b`.

    >>> bool(np.all(rg.nn.init.trunc_normal_(rg.nn.Parameter(np.zeros(9))).data <= 2))
    True
    """
    if not a < b or std <= 0:
        raise ValueError(f"trunc_normal_ takes a < b and std > 0, not {a}, {b} and {std}")
    from retrograd.special import ndtr, ndtri  # loaded on first use

    side = std if a + b < 2 * mean else -std  # the lower tail is exact
    low, high = np.sort(ndtr((np.array([a, b]) - mean) / side))
    drawn = mean + side * ndtri(generator(rng).uniform(low, high, tensor.shape))
    return _fill(tensor, np.clip(drawn, a, b))


def eye_(tensor: Tensor) -> Tensor:
    """Set a matrix to the identity."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_ takes a matrix, not {tensor.shape}")
    return _fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution's weight hand channels on."""
    if tensor.ndim not in (3, 4, 5) or tensor.shape[0] % groups:
        raise ValueError(
            f"dirac_ takes 3 to 5 axes and groups that divide the first, not {tensor.shape} and "
            f"{groups}"
        )
    values, middle = np.zeros(tensor.shape), tuple(n // 2 for n in tensor.shape[2:])
    for group in np.split(values, groups):
        channels = range(min(group.shape[:2]))
        group[(channels, channels, *middle)] = 1
    return _fill(tensor, values)


def orthogonal_(tensor: Tensor, gain: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw a matrix with orthogonal rows or columns of length `gain` (Saxe et al. 2013).

    Axes from the second on count as one.

    >>> w = rg.nn.init.orthogonal_(rg.nn.Parameter(np.zeros((2, 3))), rng=0).data
    >>> np.allclose(w @ w.T, np.eye(2))
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ takes 2 axes or more, not {tensor.shape}")
    rows, columns = tensor.shape[0], tensor.size // max(tensor.shape[0], 1)
    drawn = generator(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q = q * np.sign(np.diagonal(r))  # makes all rotations as likely
    return _fill(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, rng: RngLike = None) -> Tensor:
    """Draw a matrix normally, a part `sparsity` of each column 0 (Martens 2010)."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_ takes a matrix, not {tensor.shape}")
    rng, rows = generator(rng), tensor.shape[0]
    values = rng.normal(0.0, std, tensor.shape)
    for column in values.T:
        column[rng.permutation(rows)[: math.ceil(sparsity * rows)]] = 0
    return _fill(tensor, values)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return a nonlinearity's gain."""
    gains = {
        **dict.fromkeys(("sigmoid", "linear", "conv1d", "conv2d", "conv_transpose2d"), 1.0),
        "leaky_relu": math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2)),
        "relu": math.sqrt(2), "tanh": 5 / 3, "selu": 3 / 4,
    }  # fmt: skip
    if nonlinearity not in gains:
        raise ValueError(f"no gain is known for {nonlinearity!r}, but for {', '.join(gains)}")
    return gains[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return fan in and fan out."""
    if tensor.ndim < 2:
        raise ValueError(f"fans take 2 axes or more, not {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw uniformly, of variance `2 gain^2 / (fan_in + fan_out)` (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, rng)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, rng: RngLike = None) -> Tensor:
    """As `xavier_uniform_`, drawn normally."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), rng)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode must be "fan_in" or "fan_out", not {mode!r}')
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    rng: RngLike = None,
) -> Tensor:  # fmt: skip
    """Draw uniformly, of variance `gain^2 / fan` (He et al. 2015)."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    rng: RngLike = None,
) -> Tensor:  # fmt: skip
    """As `kaiming_uniform_`, drawn normally."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), rng)
