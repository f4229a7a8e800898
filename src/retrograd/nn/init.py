"""Initial values of parameters: each function fills a Tensor in place and returns it.

Layers draw theirs when they are made; these are for others. "Fan in" and "fan out" of a weight
`(out, in, ...)` are how many elements make one of the output, and how many one of the input goes
to: `in` and `out`, times the size of the axes `...`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from retrograd.checks import one_of
from retrograd.engine import Tensor, touch, unrecorded
from retrograd.random import RngLike, generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "fans", "kaiming_normal_", "kaiming_uniform_",
    "normal_", "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def _fill(tensor: Tensor, values: ArrayLike) -> Tensor:
    """Write values into a Tensor and return it."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"nn.init fills a Tensor, not {type(tensor).__name__}")
    if tensor.dtype.kind == "c" and np.ndim(values):
        raise TypeError(
            f"nn.init draws real numbers, this Tensor is {tensor.dtype}: make "
            "Parameter(a + 1j * b) of two arrays"
        )
    unrecorded("nn.init")
    tensor._array[...] = values
    touch(tensor)
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to one number.

    Args:
        tensor: A Tensor of any shape.
        val: The number.

    Returns:
        The same Tensor.

    Raises:
        TypeError: if it is no Tensor.

    >>> rg.nn.init.constant_(rg.nn.Parameter([1.0, 2.0]), 0.5)
    Parameter([0.5, 0.5], requires_grad=True)
    """
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0.

    Args:
        tensor: A Tensor of any shape.

    Returns:
        The same Tensor.

    Raises:
        TypeError: if it is no Tensor.

    >>> rg.nn.init.zeros_(rg.nn.Parameter([1.0, 2.0]))
    Parameter([0., 0.], requires_grad=True)
    """
    return _fill(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1.

    Args:
        tensor: A Tensor of any shape.

    Returns:
        The same Tensor.

    Raises:
        TypeError: if it is no Tensor.

    >>> rg.nn.init.ones_(rg.nn.Parameter([0.0, 2.0]))
    Parameter([1., 1.], requires_grad=True)
    """
    return _fill(tensor, 1.0)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw from the uniform distribution between two bounds.

    Args:
        tensor: A Tensor of any shape.
        a: The lower bound (default 0.0).
        b: The upper bound (default 1.0).
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        TypeError: if it is no Tensor.

    >>> w = rg.nn.init.uniform_(rg.nn.Parameter(np.zeros(100)), 2, 3)
    >>> bool(np.all((w.data >= 2) & (w.data < 3)))
    True
    """
    return _fill(tensor, generator(rng).uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw from a normal distribution.

    Args:
        tensor: A Tensor of any shape.
        mean: Its mean (default 0.0).
        std: Its standard deviation (default 1.0).
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        TypeError: if it is no Tensor.

    >>> w = rg.nn.init.normal_(rg.nn.Parameter(np.zeros(10000)), std=0.1, rng=0)
    >>> w.data.std().round(2)
    np.float64(0.1)
    """
    return _fill(tensor, generator(rng).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    rng: RngLike = None,
) -> Tensor:  # fmt: skip
    """Draw from a normal distribution of which only what lies between two bounds is taken.

    It is the inverse of the cumulative distribution at uniform draws, so that bounds far from the
    mean cost no more.

    Args:
        tensor: A Tensor of any shape.
        mean: The mean of the whole distribution (default 0.0).
        std: Its standard deviation (default 1.0).
        a: The lower bound (default -2.0).
        b: The upper bound (default 2.0).
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        ValueError: if `a` is not below `b`, or `std` not above 0.
        TypeError: if it is no Tensor.

    >>> w = rg.nn.init.trunc_normal_(rg.nn.Parameter(np.zeros(1000)))
    >>> bool(np.all(np.abs(w.data) <= 2))
    True
    """
    if not a < b or std <= 0:
        raise ValueError(f"trunc_normal_ takes a < b and std > 0, not {a}, {b} and {std}")
    from retrograd.special import ndtr, ndtri  # loaded on first use

    # Where most of the interval is above the mean, the distribution is turned round: probabilities
    # near 0 are told apart, those near 1 are not.
    side = std if a + b < 2 * mean else -std
    low, high = np.sort(ndtr((np.array([a, b]) - mean) / side))
    drawn = mean + side * ndtri(generator(rng).uniform(low, high, tensor.shape))
    return _fill(tensor, np.clip(drawn, a, b))


def eye_(tensor: Tensor) -> Tensor:
    """Set a matrix to the identity: 1 on the diagonal, 0 elsewhere.

    Args:
        tensor: A Tensor `(n, m)`.

    Returns:
        The same Tensor.

    Raises:
        ValueError: if it is no matrix.

    >>> rg.nn.init.eye_(rg.nn.Parameter(np.zeros((2, 3)))).data
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_ takes a matrix, not {tensor.shape}")
    return _fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make the weight of a convolution hand its channels on as they are.

    Each filter is 0 but for a 1 in the middle of the channel of its own number; filters above the
    number of channels are 0.

    Args:
        tensor: A Tensor `(out, in / groups, ...)` of 3 to 5 axes.
        groups: The groups of the convolution (default 1).

    Returns:
        The same Tensor.

    Raises:
        ValueError: if the number of axes is another one, or `groups` does not divide the first.

    >>> layer = rg.nn.Conv1d(2, 2, 3, padding=1, bias=False)
    >>> _ = rg.nn.init.dirac_(layer.weight)
    >>> layer(np.array([[1.0, 2.0], [3.0, 4.0]])).data
    array([[1., 2.],
           [3., 4.]])
    """
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
    """Draw a matrix whose rows or columns, whichever are fewer, are at right angles.

    Args:
        tensor: A Tensor `(n, ...)` of 2 axes or more; those from the second on count as one.
        gain: The length of those rows or columns (default 1.0).
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        ValueError: if it has less than 2 axes.

    Saxe et al. 2013, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks".

    >>> w = rg.nn.init.orthogonal_(rg.nn.Parameter(np.zeros((2, 3)))).data
    >>> np.allclose(w @ w.T, np.eye(2))
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ takes 2 axes or more, not {tensor.shape}")
    rows, columns = tensor.shape[0], tensor.size // max(tensor.shape[0], 1)
    drawn = generator(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q = q * np.sign(np.diagonal(r))  # without this, some rotations are more likely than others
    return _fill(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, rng: RngLike = None) -> Tensor:
    """Draw a matrix from a normal distribution of mean 0, and set a part of each column to 0.

    Args:
        tensor: A Tensor `(n, m)`.
        sparsity: The part of each column that is 0, from 0 to 1, rounded up.
        std: The standard deviation of the others (default 0.01).
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        ValueError: if it is no matrix.

    Martens 2010, "Deep learning via Hessian-free optimization".

    >>> w = rg.nn.init.sparse_(rg.nn.Parameter(np.zeros((4, 2))), sparsity=0.5)
    >>> (w.data == 0).sum(axis=0)
    array([2, 2])
    """
    if tensor.ndim != 2:
        raise ValueError(f"sparse_ takes a matrix, not {tensor.shape}")
    rng, rows = generator(rng), tensor.shape[0]
    values = rng.normal(0.0, std, tensor.shape)
    for column in values.T:
        column[rng.permutation(rows)[: math.ceil(sparsity * rows)]] = 0
    return _fill(tensor, values)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor of initial values that makes up for what a nonlinearity does to variance.

    Args:
        nonlinearity: "relu" (sqrt 2), "leaky_relu" (`sqrt(2 / (1 + slope ** 2))`), "tanh" (5/3),
            "selu" (3/4), or one of gain 1: "sigmoid", "linear", "conv1d", "conv2d",
            "conv_transpose2d".
        param: The slope of "leaky_relu" below 0; by default 0.01.

    Returns:
        The gain, as in PyTorch's table.

    Raises:
        ValueError: for another nonlinearity.

    >>> round(rg.nn.init.calculate_gain("relu"), 4)
    1.4142
    """
    gains = {
        **dict.fromkeys(("sigmoid", "linear", "conv1d", "conv2d", "conv_transpose2d"), 1.0),
        "leaky_relu": math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2)),
        "relu": math.sqrt(2), "tanh": 5 / 3, "selu": 3 / 4,
    }  # fmt: skip
    if nonlinearity not in gains:
        raise ValueError(f"no gain is known for {nonlinearity!r}, but for {', '.join(gains)}")
    return gains[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return how many elements make one of the output, and how many one of the input goes to.

    Args:
        tensor: A weight `(out, in, ...)` of 2 axes or more.

    Returns:
        Fan in and fan out: `in` and `out`, times the size of the axes `...`.

    Raises:
        ValueError: if it has less than 2 axes.

    >>> rg.nn.init.fans(rg.nn.Conv2d(3, 8, 5).weight)
    (75, 200)
    """
    if tensor.ndim < 2:
        raise ValueError(f"fans take 2 axes or more, not {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw uniformly, of variance `2 * gain ** 2 / (fan_in + fan_out)`.

    It keeps the variance of what goes forward and of gradients that go back about the same from
    layer to layer.

    Args:
        tensor: A weight `(out, in, ...)` of 2 axes or more.
        gain: A factor, such as that of `calculate_gain` (default 1.0).
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        ValueError: if it has less than 2 axes.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks".

    >>> w = rg.nn.init.xavier_uniform_(rg.nn.Parameter(np.zeros((2, 4))))
    >>> bool(np.all(np.abs(w.data) <= 1))
    True
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, rng)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, rng: RngLike = None) -> Tensor:
    """Draw from a normal distribution of variance `2 * gain ** 2 / (fan_in + fan_out)`.

    It keeps the variance of what goes forward and of gradients that go back about the same from
    layer to layer.

    Args:
        tensor: A weight `(out, in, ...)` of 2 axes or more.
        gain: A factor, such as that of `calculate_gain` (default 1.0).
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        ValueError: if it has less than 2 axes.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks".

    >>> w = rg.nn.init.xavier_normal_(rg.nn.Parameter(np.zeros((100, 100))), rng=0)
    >>> w.data.std().round(2)
    np.float64(0.1)
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), rng)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """Return the standard deviation that He et al. take."""
    one_of("mode", mode, "fan_in", "fan_out")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    rng: RngLike = None,
) -> Tensor:  # fmt: skip
    """Draw uniformly, of variance `gain ** 2 / fan`: what suits nets of rectifiers.

    Args:
        tensor: A weight `(out, in, ...)` of 2 axes or more.
        a: The slope below 0 for "leaky_relu" (default 0.0, which is ReLU).
        mode: "fan_in" (the default) to keep the variance of what goes forward, or "fan_out" to keep
            that of gradients that go back.
        nonlinearity: What `calculate_gain` takes (default "leaky_relu").
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        ValueError: if it has less than 2 axes, or `mode` or `nonlinearity` is not known.

    He et al. 2015, "Delving deep into rectifiers".

    >>> w = rg.nn.init.kaiming_uniform_(rg.nn.Parameter(np.zeros((2, 6))))
    >>> bool(np.all(np.abs(w.data) <= 1))
    True
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    rng: RngLike = None,
) -> Tensor:  # fmt: skip
    """Draw from a normal distribution of variance `gain ** 2 / fan`: what suits nets of rectifiers.

    Args:
        tensor: A weight `(out, in, ...)` of 2 axes or more.
        a: The slope below 0 for "leaky_relu" (default 0.0, which is ReLU).
        mode: "fan_in" (the default) to keep the variance of what goes forward, or "fan_out" to keep
            that of gradients that go back.
        nonlinearity: What `calculate_gain` takes (default "leaky_relu").
        rng: Generator or seed; by default the generator that `rg.manual_seed` seeds.

    Returns:
        The same Tensor.

    Raises:
        ValueError: if it has less than 2 axes, or `mode` or `nonlinearity` is not known.

    He et al. 2015, "Delving deep into rectifiers".

    >>> w = rg.nn.init.kaiming_normal_(rg.nn.Parameter(np.zeros((100, 200))), rng=0)
    >>> w.data.std().round(2)
    np.float64(0.1)
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), rng)
