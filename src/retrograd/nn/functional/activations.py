"""Activations; most rules are in the table at the end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import Constants, primitive
from retrograd.random import RngLike, generator, uniform
from retrograd.registry import defvjp

ZERO, LIMIT = Constants(0.0), Constants(709.0, 1.0)  # exp overflows above the limit
LIMIT[np.dtype(np.float32)] = Constants(88.0, 1.0)[np.dtype(np.float32)]
LIMIT[np.dtype(np.float16)] = Constants(11.0, 1.0)[np.dtype(np.float16)]


@primitive
def relu(input: Any) -> Any:
    """Return the larger of `input` and 0; the slope at 0 is 0.

    >>> F.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    (zero,) = ZERO[input.dtype]
    return np.maximum(input, zero)


# where it lets through: for few elements the sign is the faster way to say so
defvjp(relu, lambda g, out, input: g * (np.sign(out) if out.size < 4096 else out > 0))


@primitive
def sigmoid(input: Any) -> Any:
    """Return `1 / (1 + exp(-input))`, without overflow.

    >>> F.sigmoid(np.array([0.0, -1000.0])).round(3)
    array([0.5, 0. ])
    """
    limit, one = LIMIT[input.dtype]
    return one / (one + np.exp(np.minimum(-input, limit)))


defvjp(sigmoid, lambda g, out, input: g * (out * (1 - out)))


def tanh(input: Any) -> Any:
    """Return `np.tanh(input)`."""
    return np.tanh(input)


@primitive
def softmax(input: Any, axis: int = -1) -> Any:
    """Return `exp(input)` divided by its sum over `axis`.

    >>> F.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    powers = np.exp(input - np.max(input, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@primitive
def log_softmax(input: Any, axis: int = -1) -> Any:
    """Return the logarithm of the softmax over `axis`, accurate where that is tiny.

    >>> F.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    shifted = input - np.max(input, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


@primitive
def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    """Return `input` where it is positive, elsewhere `negative_slope * input`.

    >>> F.leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    # np.where guesses at each element which way it goes: on mixed signs it is the slow way
    side = np.maximum if negative_slope <= 1 else np.minimum
    return side(input, negative_slope * input)


def prelu(input: Any, weight: Any) -> Any:
    """Return `leaky_relu` with a slope to learn: one, or one for each channel (axis 1).

    >>> F.prelu(np.array([[-1.0, -1.0]]), np.array([0.5, 0.25]))
    array([[-0.5 , -0.25]])
    """
    if weight.size != 1:
        if input.ndim < 2 or weight.shape != (input.shape[1],):
            raise ValueError(
                f"prelu takes one slope, or one for each channel (axis 1); got slopes "
                f"{weight.shape} for input {input.shape}"
            )
        weight = weight.reshape((-1,) + (1,) * (input.ndim - 2))
    return np.where(input > 0, input, weight * input)


@primitive
def elu(input: Any, alpha: float = 1.0) -> Any:
    """Return `input` where it is positive, elsewhere `alpha * (exp(input) - 1)`.

    >>> F.elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    return np.maximum(input, 0.0) + alpha * np.expm1(np.minimum(input, 0.0))


def selu(input: Any) -> Any:
    """Return the `elu` that keeps mean 0 and variance 1 (Klambauer et al. 2017).

    >>> F.selu(np.array([-1.0, 1.0])).round(4)
    array([-1.1113,  1.0507])
    """
    return 1.0507009873554805 * elu(input, 1.6732632423543772)


def silu(input: Any) -> Any:
    """Return `input * sigmoid(input)`.

    >>> F.silu(np.array([-1.0, 1.0])).round(4)
    array([-0.2689,  0.7311])
    """
    return input * sigmoid(input)


@primitive
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """Return `log(1 + exp(beta * input)) / beta`, or `input` where `beta * input > threshold`.

    >>> F.softplus(np.array([-1000.0, 0.0, 50.0])).round(4)
    array([ 0.    ,  0.6931, 50.    ])
    """
    steep = beta * input
    soft = np.log1p(np.exp(np.minimum(steep, threshold))) / beta
    return np.where(steep > threshold, input, soft)


def mish(input: Any) -> Any:
    """Return `input * tanh(softplus(input))` (Misra 2019).

    >>> F.mish(np.array([-1.0, 1.0])).round(4)
    array([-0.3034,  0.8651])
    """
    return input * np.tanh(softplus(input))


def gelu(input: Any, approximate: str = "none") -> Any:
    """Return `input` times the probability that a standard normal draw lies below it.

    `approximate="tanh"` takes a formula for that instead (Hendrycks and Gimpel 2016).

    >>> F.gelu(np.array([-1.0, 1.0])).round(4)
    array([-0.1587,  0.8413])
    """
    if approximate == "tanh":
        # 0.5 + 0.5 * tanh(u / 2) is the sigmoid of u
        return input * sigmoid(input * (0.044715 * input * input + 1) * math.sqrt(8 / math.pi))
    if approximate != "none":
        raise ValueError(f'gelu takes approximate="none" or "tanh", not {approximate!r}')
    from retrograd.special import ndtr  # few nets need it: it is loaded on first use

    return input * ndtr(input)


def softsign(input: Any) -> Any:
    """Return `input / (1 + abs(input))`.

    >>> F.softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    return input / (1 + np.abs(input))


@primitive
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """Return `input` held between `min_val` and `max_val`; the slope at a bound is 0.

    >>> F.hardtanh(np.array([-2.0, 0.5]))
    array([-1. ,  0.5])
    """
    return np.minimum(np.maximum(input, min_val), max_val)


@primitive
def logsigmoid(input: Any) -> Any:
    """Return the logarithm of the sigmoid, accurate where that is tiny.

    >>> F.logsigmoid(np.array([-50.0, 0.0])).round(4)
    array([-50.    ,  -0.6931])
    """
    return np.minimum(input, 0.0) - np.log1p(np.exp(-np.abs(input)))


def glu(input: Any, axis: int = -1) -> Any:
    """Return the first half along `axis` times the sigmoid of the second (Dauphin et al. 2017).

    Raises ValueError if the length of the axis is odd.

    >>> F.glu(np.array([3.0, 0.0]))
    array([1.5])
    """
    if not input.ndim or input.shape[axis] % 2:
        raise ValueError(f"glu halves axis {axis}: its length must be even, shape is {input.shape}")
    value, gate = np.split(input, 2, axis=axis)
    return value * sigmoid(gate)


def dropout(input: Any, p: float = 0.5, training: bool = True, rng: RngLike = None) -> Any:
    """Set elements to zero with probability `p` and scale the others by `1 / (1 - p)`.

    Without `training` the input comes back. The draw is from `rng`, a Generator or a seed.

    >>> F.dropout(np.ones(6), 0.5, rng=0)
    array([2., 0., 0., 0., 2., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout takes a probability p from 0 to 1, not {p}")
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0.0
    mask = uniform(generator(rng), input.shape, input.dtype) >= p
    return input * (mask.astype(input.dtype) * (1 / (1 - p)))


def _positive(x: Any) -> Any:
    return (x > 0).astype(x.dtype)


# fmt: off
defvjp(softmax,     lambda g, out, input, axis=-1:
                    out * (g - np.sum(g * out, axis=axis, keepdims=True)))
defvjp(log_softmax, lambda g, out, input, axis=-1:
                    g - np.exp(out) * np.sum(g, axis=axis, keepdims=True))
defvjp(leaky_relu,  lambda g, out, input, negative_slope=0.01:
                    g * (_positive(input) * (1 - negative_slope) + negative_slope))
defvjp(elu,         lambda g, out, input, alpha=1.0:
                    g * (_positive(input) * (1 - alpha) + alpha * np.exp(np.minimum(input, 0.0))))
defvjp(softplus,    lambda g, out, input, beta=1.0, threshold=20.0:
                    np.where(beta * input > threshold, g, g * sigmoid(beta * input)))
defvjp(hardtanh,    lambda g, out, input, min_val=-1.0, max_val=1.0:
                    g * ((input > min_val) & (input < max_val)))
defvjp(logsigmoid,  lambda g, out, input: g * sigmoid(-input))
# fmt: on
