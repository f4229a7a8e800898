"""The affine map, and what goes round it."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from retrograd.core import Tensor, primitive, record
from retrograd.registry import defvjp


@primitive
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """Return `input @ weight.T + bias`: `(..., in)`, `(out, in)` and `(out,)` give `(..., out)`.

    Raises ValueError where the shapes do not fit.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.linear(np.ones((2, 3)), np.ones((1, 3)), np.ones(1))
    array([[4.],
           [4.]])
    """
    if weight.ndim != 2 or not input.ndim or input.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear takes input (..., in) and weight (out, in); got input {input.shape} and "
            f"weight {weight.shape}"
        )
    if input.ndim == 2 and weight.shape[0] < 16:
        # a short last axis is NumPy's slow case: compute the transpose and look at it sideways
        out = np.dot(weight, input.T).T
    else:
        out = np.matmul(input, weight.T)
    return out if bias is None else out + bias


@functools.lru_cache(maxsize=64)
def ones(n: int, dtype: Any) -> Any:
    """Return a constant vector of ones, to sum by a product."""
    vector = np.ones(n, dtype)
    vector.flags.writeable = False
    return vector


def _dx(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim == 2 and weight.shape[1] < 16:
        return np.dot(weight.T, g.T).T
    return np.matmul(g, weight)


def _dw(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim != 2:
        g, input = g.reshape((-1, g.shape[-1])), input.reshape((-1, input.shape[-1]))
    return np.dot(g.T, input)


def _db(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim == 1:
        return g
    rows = g.reshape((-1, g.shape[-1])) if g.ndim != 2 else g
    return np.dot(ones(rows.shape[0], rows.dtype), rows)  # faster than a sum


defvjp(linear, _dx, _dw, _db)


def flatten(input: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Return `input` with the axes from `start_axis` to `end_axis` made one.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.functional.flatten(rg.Tensor(np.ones((2, 3, 4))), 1).shape
    (2, 12)
    """
    if not input.ndim:
        return input.reshape(1)
    start, end = start_axis % input.ndim, end_axis % input.ndim
    if start > end:
        raise ValueError(f"flatten from axis {start_axis} to {end_axis} of {input.ndim} axes")
    shape = input.shape
    joined = math.prod(shape[start : end + 1])
    return input.reshape((*shape[:start], joined, *shape[end + 1 :]))
