"""Activations, each with its rule right beneath."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.core import Tensor, primitive, wrap
from retrograd.random import RngLike, generator, uniform
from retrograd.registry import defvjp

# exp overflows above these
EXP_LIMIT = {np.dtype(np.float16): 11.0, np.dtype(np.float32): 88.0, np.dtype(np.float64): 709.0}


@primitive
def relu(input: Any) -> Any:
    """Return the larger of `input` and 0; the slope at 0 is 0.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return np.maximum(input, 0.0)


defvjp(relu, lambda g, out, input: g * (out > 0))


@primitive
def sigmoid(input: Any) -> Any:
    """Return `1 / (1 + exp(-input))`, without overflow.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.sigmoid(np.array([0.0, -1000.0])).round(3)
    array([0.5, 0. ])
    """
    return 1.0 / (1.0 + np.exp(np.minimum(-input, EXP_LIMIT.get(input.dtype, 709.0))))


defvjp(sigmoid, lambda g, out, input: g * (out * (1 - out)))


def tanh(input: Any) -> Any:
    """Return `np.tanh(input)`."""
    return np.tanh(input)


@primitive
def softmax(input: Any, axis: int = -1) -> Any:
    """Return `exp(input)` divided by its sum over `axis`.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    powers = np.exp(input - np.max(input, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


defvjp(softmax, lambda g, out, input, axis=-1:
       out * (g - np.sum(g * out, axis=axis, keepdims=True)))  # fmt: skip


@primitive
def log_softmax(input: Any, axis: int = -1) -> Any:
    """Return the logarithm of the softmax over `axis`, accurate where that is tiny.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    shifted = input - np.max(input, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


defvjp(log_softmax, lambda g, out, input, axis=-1:
       g - np.exp(out) * np.sum(g, axis=axis, keepdims=True))  # fmt: skip


def dropout(input: Tensor, p: float = 0.5, training: bool = True, rng: RngLike = None) -> Tensor:
    """Set elements to zero with probability `p` and scale the others by `1 / (1 - p)`.

    Without `training` the input comes back. The draw is from `rng`, a Generator or a seed.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.functional.dropout(rg.Tensor(np.ones(6)), 0.5, rng=0)
    Tensor([2., 0., 0., 0., 2., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout takes a probability p from 0 to 1, not {p}")
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0.0
    mask = uniform(generator(rng), input.shape, input.dtype) >= p
    return input * (mask.astype(input.dtype) * (1 / (1 - p)))
