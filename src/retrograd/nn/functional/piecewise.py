"""Activations of straight pieces: clipped, shrunk towards 0, or cut off at a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.checks import ensure
from retrograd.engine import TensorT, defvjp, primitive
from retrograd.nn.functional.activations import hardtanh

__all__ = [
    "hardshrink", "hardsigmoid", "hardswish", "relu6", "softshrink", "tanhshrink", "threshold",
]  # fmt: skip


def relu6(input: TensorT, inplace: bool = False) -> TensorT:
    """Return `input` limited to the range from 0 to 6: a `relu` that does not grow for ever.

    Args:
        input: array or Tensor of any shape.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision
    applications".

    >>> F.relu6(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0)


@primitive(ignores=("inplace",))
def hardsigmoid(input: TensorT, inplace: bool = False) -> TensorT:
    """Return a sigmoid of three straight pieces: `min(max(input + 3, 0), 6) / 6`.

    Args:
        input: array or Tensor of any shape.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`, from 0 to 1; an array for an array. The slope is 1/6
        between -3 and 3, and 0 beyond and at them.

    >>> F.hardsigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    out: Any = np.minimum(np.maximum(input + 3.0, 0.0), 6.0) / 6.0
    return out


defvjp(hardsigmoid, lambda g, out, input: g * ((input > -3.0) & (input < 3.0)) * (1 / 6))


def hardswish(input: TensorT, inplace: bool = False) -> TensorT:
    """Return `input * hardsigmoid(input)`, a `silu` without exponentials.

    Args:
        input: array or Tensor of any shape.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Howard et al. 2019, "Searching for MobileNetV3".

    >>> F.hardswish(np.array([-4.0, 0.0, 1.0, 4.0])).round(4)
    array([-0.    ,  0.    ,  0.6667,  4.    ])
    """
    return input * hardsigmoid(input)


def hardshrink(input: TensorT, lambd: float = 0.5) -> TensorT:
    """Return `input` where it is further from 0 than `lambd`, elsewhere 0.

    Args:
        input: array or Tensor of any shape.
        lambd: up to where elements become 0, and their slope too.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    >>> F.hardshrink(np.array([-2.0, 0.5, 2.0]))
    array([-2.,  0.,  2.])
    """
    out: Any = np.where(np.abs(input) <= lambd, 0.0, input)
    return out


def softshrink(input: TensorT, lambd: float = 0.5) -> TensorT:
    """Return `input` moved towards 0 by `lambd`, and 0 where it comes to the other side.

    It is what the proximal step of an L1 penalty does to weights.

    Args:
        input: array or Tensor of any shape.
        lambd: by how much, from 0.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Raises:
        ValueError: if `lambd` is negative.

    >>> F.softshrink(np.array([-2.0, 0.5, 2.0]))
    array([-1.5,  0. ,  1.5])
    """
    ensure(lambd >= 0, "lambd", "at least 0", lambd, "softshrink")
    out: Any = np.where(np.abs(input) <= lambd, 0.0, input - lambd * np.sign(input))
    return out


def tanhshrink(input: TensorT) -> TensorT:
    """Return `input - tanh(input)`, which is flat at 0 and steep far from it.

    Args:
        input: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    >>> F.tanhshrink(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.2384])
    """
    out: Any = input - np.tanh(input)
    return out


def threshold(input: TensorT, threshold: float, value: float, inplace: bool = False) -> TensorT:
    """Return `input` where it is above a threshold, elsewhere another value.

    Args:
        input: array or Tensor of any shape.
        threshold: above which elements stay as they are.
        value: what the others become; their slope is 0.
        inplace: does nothing; it is there so that PyTorch's arguments fit.

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    >>> F.threshold(np.array([0.5, 2.0]), 1.0, -1.0)
    array([-1.,  2.])
    """
    out: Any = np.where(input <= threshold, float(value), input)
    return out
