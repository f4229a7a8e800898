"""The logistic function, the softmax, and their logarithms.

They stand below `retrograd.nn`, whose `functional` hands out the first four as its own: these keep
PyTorch's names of arguments, and its last axis by default. The others are SciPy's, as are
`retrograd.special.softmax` and `retrograd.special.log_softmax`, which call those here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from retrograd.engine import Constants, TensorT, defvjp, primitive
from retrograd.special.precision import HALF

__all__ = ["expit", "log_expit", "log_softmax", "logit", "logsigmoid", "sigmoid", "softmax"]

Axis: TypeAlias = int | tuple[int, ...] | None

# Above the limit of its dtype exp overflows.
LIMIT = Constants(709.0, 1.0)
LIMIT[np.dtype(np.float32)] = Constants(88.0, 1.0)[np.dtype(np.float32)]


@primitive
def sigmoid(input: TensorT) -> TensorT:
    """Return the logistic function, `1 / (1 + exp(-input))`, without overflow.

    Args:
        input: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `input`, between 0 and 1; an array for an array. Far below 0 it
        stops at a tiny positive number (1e-308 for float64): `special.expit` goes on to 0.

    >>> F.sigmoid(np.array([0.0, 2.0, 1000.0])).round(4)
    array([0.5   , 0.8808, 1.    ])
    """
    if input.dtype is HALF:  # of which the smallest numbers are not that tiny
        return expit(input)
    limit, one = LIMIT[input.dtype]
    return one / (one + np.exp(np.minimum(-input, limit)))


@primitive
def logsigmoid(input: TensorT) -> TensorT:
    """Return the logarithm of `sigmoid(input)`, accurate where that is tiny or near 1.

    Args:
        input: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `input`, 0 at most; an array for an array. It is computed as
        `min(input, 0) - log(1 + exp(-abs(input)))`.

    >>> F.logsigmoid(np.array([-1000.0, 0.0, 1000.0])).round(4)
    array([-1.000e+03, -6.931e-01,  0.000e+00])
    """
    out: Any = np.minimum(input, 0.0) - np.log1p(np.exp(-np.abs(input)))
    return out


@primitive
def softmax(input: TensorT, axis: Axis = -1) -> TensorT:
    """Return `exp(input)` divided by its sum over `axis`: positive numbers that sum to 1.

    Args:
        input: array or Tensor of any shape, such as scores of classes `(N, C)`.
        axis: the axis along which the result sums to 1 (default: the last); several, or None for
            all.

    Returns:
        A Tensor of the shape of `input`; an array for an array. The largest element is subtracted
        first, so that nothing overflows.

    >>> F.softmax(np.array([[1000.0, 1000.0], [0.0, 1.0]])).round(4)
    array([[0.5   , 0.5   ],
           [0.2689, 0.7311]])
    """
    if not input.size:
        return input * 1.0
    powers = np.exp(input - np.max(input, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@primitive
def log_softmax(input: TensorT, axis: Axis = -1) -> TensorT:
    """Return the logarithm of `softmax(input, axis)`, accurate where that is tiny.

    Args:
        input: array or Tensor of any shape, such as scores of classes `(N, C)`.
        axis: the axis along which the softmax sums to 1 (default: the last); several, or None for
            all.

    Returns:
        A Tensor of the shape of `input`, 0 at most; an array for an array.

    >>> F.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    if not input.size:
        return input * 1.0
    shifted = input - np.max(input, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


@primitive
def expit(x: TensorT) -> TensorT:
    """Return the logistic function, `1 / (1 + exp(-x))`, to the last digits.

    It is `nn.functional.sigmoid`, which is faster, but for digits far out: the tails of its values
    go on to 0, and those of its slope keep their digits on both sides.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`, from 0 to 1; an array for an array.

    >>> rg.special.expit(np.array([0.0, 2.0, -1000.0])).round(4)
    array([0.5   , 0.8808, 0.    ])
    """
    e = np.exp(-np.abs(x))
    larger: Any = np.where(x < 0.0, e, 1.0)
    return larger / (1.0 + e)


def log_expit(x: TensorT) -> TensorT:
    """Return the logarithm of `expit(x)`, without overflow: `nn.functional.logsigmoid`.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`, 0 at most; an array for an array.

    >>> rg.special.log_expit(np.array([0.0, 1000.0])).round(4)
    array([-0.6931,  0.    ])
    """
    return logsigmoid(x)


@primitive
def logit(p: TensorT) -> TensorT:
    """Return `log(p / (1 - p))`, the inverse of `expit`.

    Args:
        p: array or Tensor of probabilities, of any shape.

    Returns:
        A Tensor of the shape of `p`; an array for an array. -inf at 0, inf at 1, nan outside.

    >>> rg.special.logit(np.array([0.5, 0.75])).round(4)
    array([0.    , 1.0986])
    """
    # near 1/2 the quotient is near 1, whose logarithm would lose digits
    middle = np.clip(p, 0.25, 0.75)
    near = np.log1p((2.0 * middle - 1.0) / (1.0 - middle))
    out: Any = np.where(np.abs(p - 0.5) < 0.25, near, np.log(p / (1.0 - p)))
    return out


def _sigmoid_dx(g: Any, out: Any, input: Any) -> Any:
    if out.dtype is HALF:  # in which 1 - out has no digits left where it is near 1
        return g * (out * expit(-input))
    return g * (out * (1 - out))


# fmt: off
defvjp(sigmoid,     _sigmoid_dx)
defvjp(logsigmoid,  lambda g, out, input: g * sigmoid(-input))
defvjp(softmax,     lambda g, out, input, axis=-1:
                    out * (g - np.sum(g * out, axis=axis, keepdims=True)))
defvjp(log_softmax, lambda g, out, input, axis=-1:
                    g - np.exp(out) * np.sum(g, axis=axis, keepdims=True))
defvjp(expit,       lambda g, out, x: g * out * expit(-x))
defvjp(logit,       lambda g, out, p: g / (p * (1 - p)))
# fmt: on
