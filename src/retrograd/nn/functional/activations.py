"""Activations: what stands between the layers of a net."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.checks import ensure, refuse_words
from retrograd.engine import Constants, TensorLike, TensorT, defvjp, primitive
from retrograd.rules.axes import axis_of
from retrograd.special.logistic import sigmoid, softmax
from retrograd.special.precision import HALF, in_single

__all__ = [
    "celu", "elu", "gelu", "glu", "hardtanh", "leaky_relu", "mish", "prelu", "relu", "selu",
    "silu", "softmin", "softplus", "softsign", "tanh",
]  # fmt: skip

ZERO = Constants(0.0)


def _is_positive(x: Any) -> Any:
    """Return 1 where `x` is above 0 and 0 elsewhere, in the dtype of `x`."""
    return (x > 0).astype(x.dtype)


@primitive(ignores=("inplace",))
def relu(input: TensorT, inplace: bool = False) -> TensorT:
    """Return the positive part of `input`: `max(input, 0)`, with slope 0 at 0.

    Args:
        input: array or Tensor of any shape.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Glorot, Bordes and Bengio 2011, "Deep sparse rectifier neural networks".

    >>> F.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    (zero,) = ZERO[input.dtype]
    return np.maximum(input, zero)


# for few elements the sign is the faster way
defvjp(relu, lambda g, out, input: g * (np.sign(out) if out.size < 4096 else out > 0))


def tanh(input: TensorT) -> TensorT:
    """Return the hyperbolic tangent, `(exp(x) - exp(-x)) / (exp(x) + exp(-x))`, as `np.tanh`.

    Args:
        input: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `input`, between -1 and 1; an array for an array.

    >>> F.tanh(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.7616])
    """
    out: Any = np.tanh(input)
    return out


@primitive(ignores=("inplace",))
def leaky_relu(input: TensorT, negative_slope: float = 0.01, inplace: bool = False) -> TensorT:
    """Return `input` where it is positive, elsewhere `negative_slope * input`.

    Args:
        input: array or Tensor of any shape.
        negative_slope: what negative elements, and the gradient at 0, are multiplied by.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Maas, Hannun and Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> F.leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    # faster than np.where on mixed signs
    side = np.maximum if negative_slope <= 1 else np.minimum
    out: Any = side(input, negative_slope * input)
    return out


defvjp(leaky_relu, lambda g, out, input, negative_slope=0.01:
       g * (_is_positive(input) * (1 - negative_slope) + negative_slope))  # fmt: skip


def prelu(input: TensorLike, weight: TensorT) -> TensorT:
    """Return `input` where it is positive, elsewhere `weight * input`: slopes that are learnt.

    Args:
        input: `(N, C, ...)`; with a single slope, of any shape.
        weight: the slope for negative elements: one element, or one for each channel, `(C,)`.

    Returns:
        A Tensor of the shape of `input`; an array if both are arrays.

    Raises:
        ValueError: if the slopes are neither one nor as many as channels.

    He et al. 2015, "Delving deep into rectifiers".

    >>> F.prelu(np.array([[-1.0, -1.0]]), np.array([0.5, 0.25]))
    array([[-0.5 , -0.25]])
    """
    if weight.size != 1:
        if input.ndim < 2 or weight.shape != (input.shape[1],):
            raise ValueError(
                f"prelu takes one slope, or one for each channel (axis 1), not {weight.shape} "
                f"for input {input.shape}"
            )
        weight = weight.reshape((-1,) + (1,) * (input.ndim - 2))
    elif weight.ndim > input.ndim:
        weight = weight.reshape((1,) * input.ndim)
    out: Any = np.where(input > 0, input, weight * input)
    return out


@primitive(ignores=("inplace",))
def elu(input: TensorT, alpha: float = 1.0, inplace: bool = False) -> TensorT:
    """Return `input` where it is positive, elsewhere `alpha * (exp(input) - 1)`.

    Args:
        input: array or Tensor of any shape.
        alpha: minus the value that very negative elements come near.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Clevert, Unterthiner and Hochreiter 2016, "Fast and accurate deep network learning by
    exponential linear units (ELUs)".

    >>> F.elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    out: Any = np.maximum(input, 0.0) + alpha * np.expm1(np.minimum(input, 0.0))
    return out


# fmt: off
defvjp(elu, lambda g, out, input, alpha=1.0:
       g * (_is_positive(input) * (1 - alpha) + alpha * np.exp(np.minimum(input, 0.0))))
# fmt: on


@primitive(ignores=("inplace",))
def celu(input: TensorT, alpha: float = 1.0, inplace: bool = False) -> TensorT:
    """Return `input` where it is positive, elsewhere `alpha * (exp(input / alpha) - 1)`.

    It is an `elu` whose slope goes through 1 at 0 for every `alpha`.

    Args:
        input: array or Tensor of any shape.
        alpha: minus the value that very negative elements come near.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Raises:
        ValueError: if `alpha` is 0.

    Barron 2017, "Continuously differentiable exponential linear units".

    >>> F.celu(np.array([-1000.0, 2.0]), alpha=2.0)
    array([-2.,  2.])
    """
    ensure(alpha != 0, "alpha", "a number other than 0", alpha, "celu")
    out: Any = np.maximum(input, 0.0) + alpha * np.expm1(np.minimum(input, 0.0) / alpha)
    return out


defvjp(celu, lambda g, out, input, alpha=1.0: g * np.exp(np.minimum(input, 0.0) / alpha))


def selu(input: TensorT, inplace: bool = False) -> TensorT:
    """Return `1.0507 * elu(input, 1.6733)`, under which mean 0 and variance 1 stay so.

    Args:
        input: array or Tensor of any shape.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Klambauer et al. 2017, "Self-normalizing neural networks", which has the constants to all
    digits.

    >>> F.selu(np.array([0.0, 1.0])).round(2)
    array([0.  , 1.05])
    """
    return 1.0507009873554805 * elu(input, 1.6732632423543772)


def silu(input: TensorT, inplace: bool = False) -> TensorT:
    """Return `input * sigmoid(input)`, also known as swish.

    Args:
        input: array or Tensor of any shape.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Elfwing, Uchibe and Doya 2018, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning".

    >>> F.silu(np.array([0.0, 1.0])).round(2)
    array([0.  , 0.73])
    """
    if input.dtype is HALF:
        return in_single(silu, input)
    return input * sigmoid(input)


@primitive
def softplus(input: TensorT, beta: float = 1.0, threshold: float = 20.0) -> TensorT:
    """Return `log(1 + exp(beta * input)) / beta`, a smooth `relu`.

    Args:
        input: array or Tensor of any shape.
        beta: how sharp the bend at 0 is.
        threshold: where `beta * input` is above this, the result is `input` itself.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Dugas et al. 2001, "Incorporating second-order functional knowledge for better option pricing".

    >>> F.softplus(np.array([0.0, 1000.0])).round(2)
    array([6.9e-01, 1.0e+03])
    """
    if input.dtype is HALF:
        return in_single(softplus, input, beta, threshold)
    steep = beta * input
    soft = np.log1p(np.exp(np.minimum(steep, threshold))) / beta
    out: Any = np.where(steep > threshold, input, soft)
    return out


defvjp(softplus, lambda g, out, input, beta=1.0, threshold=20.0:
       np.where(beta * input > threshold, g, g * sigmoid(beta * input)))  # fmt: skip


def mish(input: TensorT, inplace: bool = False) -> TensorT:
    """Return `input * tanh(softplus(input))`.

    Args:
        input: array or Tensor of any shape.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Misra 2019, "Mish: a self regularized non-monotonic activation function".

    >>> F.mish(np.array([0.0, 1.0])).round(2)
    array([0.  , 0.87])
    """
    if input.dtype is HALF:
        return in_single(mish, input)
    return input * np.tanh(softplus(input))


def gelu(input: TensorT, approximate: str = "none") -> TensorT:
    """Return `input` times the probability that a standard normal draw is less than it.

    Args:
        input: array or Tensor of any shape.
        approximate: how to compute that probability: "none" by the error function, "tanh" by
            `0.5 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`, as the paper has it.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Raises:
        ValueError: if `approximate` is neither.

    Hendrycks and Gimpel 2016, "Gaussian error linear units (GELUs)".

    >>> F.gelu(np.array([0.0, 1.0])).round(2)
    array([0.  , 0.84])
    """
    if input.dtype is HALF:
        return in_single(gelu, input, approximate)
    if approximate == "tanh":
        return input * _nearly_ndtr(input)
    if approximate != "none":
        raise ValueError(f'gelu takes approximate="none" or "tanh", not {approximate!r}')
    from retrograd.special import ndtr  # few nets need it: it is loaded on first use

    return input * ndtr(input)


GELU_SLOPE = math.sqrt(8 / math.pi)


@primitive
def _nearly_ndtr(x: Any) -> Any:
    # 0.5 + 0.5 * tanh(u / 2) is the sigmoid of u
    return sigmoid(x * (0.044715 * GELU_SLOPE * np.square(x) + GELU_SLOPE))


defvjp(_nearly_ndtr, lambda g, out, x:
       g * (out * (1 - out) * (3 * 0.044715 * GELU_SLOPE * np.square(x) + GELU_SLOPE)))  # fmt: skip


@primitive
def softsign(input: TensorT) -> TensorT:
    """Return `input / (1 + abs(input))`, between -1 and 1 as `tanh` but slower to get there.

    Args:
        input: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    >>> F.softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    return input / (1 + np.abs(input))


defvjp(softsign, lambda g, out, input: g / np.square(1 + np.abs(input)))


@primitive(ignores=("inplace",))
def hardtanh(
    input: TensorT, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> TensorT:
    """Return `input` limited to the range from `min_val` to `max_val`.

    The slope is 1 within, and 0 beyond the bounds and at them.

    Args:
        input: array or Tensor of any shape.
        min_val: the lower bound.
        max_val: the upper bound.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    >>> F.hardtanh(np.array([-2.0, 0.5]))
    array([-1. ,  0.5])
    """
    out: Any = np.minimum(np.maximum(input, min_val), max_val)
    return out


defvjp(hardtanh, lambda g, out, input, min_val=-1.0, max_val=1.0:
       g * ((input > min_val) & (input < max_val)))  # fmt: skip


def glu(input: TensorT, axis: int = -1, **_words: Any) -> TensorT:
    """Return the first half of `input` along an axis times the sigmoid of the second half.

    Args:
        input: array or Tensor of any shape but `()`.
        axis: the axis to halve; its length must be even.

    Returns:
        A Tensor of the shape of `input`, but half as long along `axis`; an array for an array.

    Raises:
        ValueError: if the length is odd.

    Dauphin et al. 2017, "Language modeling with gated convolutional networks".

    >>> F.glu(np.array([3.0, 0.0]))
    array([1.5])
    """
    if _words:
        refuse_words("glu", _words)
    if not input.ndim or input.shape[axis_of(input, axis)] % 2:
        raise ValueError(f"glu takes an axis {axis} whose length is even, shape is {input.shape}")
    if input.dtype is HALF:
        return in_single(glu, input, axis)
    halves: Any = np.split(input, 2, axis=axis)
    value, gate = halves
    return value * sigmoid(gate)


def softmin(input: TensorT, axis: int = -1, **_words: Any) -> TensorT:
    """Return the `softmax` of `-input`: positive numbers that sum to 1, large where it is small.

    Args:
        input: array or Tensor of any shape.
        axis: the axis along which the result sums to 1 (default: the last).

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    >>> F.softmin(np.array([0.0, np.log(3.0)])).round(4)
    array([0.75, 0.25])
    """
    if _words:
        refuse_words("softmin", _words)
    return softmax(-input, axis)
