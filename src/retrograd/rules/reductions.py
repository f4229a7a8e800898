"""Functions that reduce axes. `axis` is None (all), an int or a tuple, as in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import UFUNC_METHODS, defvjp, kernel, nograd


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """Return the reduced axes, each from 0 to ndim - 1."""
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def count(x: Any, axis: Any) -> int:
    """Return how many elements go into one of the result."""
    return math.prod(x.shape[a] for a in axes_of(x, axis))


def kept(shape: tuple[int, ...], x: Any, axis: Any) -> tuple[int, ...]:
    """Return the shape of a reduction of `x` as if with keepdims."""
    axes = axes_of(x, axis)
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape))


def spread(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Put reduced axes back with length 1, so that `g` broadcasts along them."""
    return g if keepdims or axis is None else g.reshape(kept(g.shape, x, axis))


def shared(g: Any, out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Share `g` equally between all elements that attain the maximum or minimum."""
    ties = x == spread(out, x, axis, keepdims)
    number = np.sum(ties, axis=axis, keepdims=True).astype(g.dtype)
    return np.where(ties, spread(g, x, axis, keepdims) / number, 0.0)


def others(x: Any) -> Any:
    """Return for each element the product of all others along the last axis.

    Products of pairs are built up and handed back down: no division, so zeros are exact and
    every derivative is too.
    """
    n = x.shape[-1]
    levels = []
    while x.shape[-1] > 1:
        if x.shape[-1] % 2:
            x = np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype)], axis=-1)
        levels.append(x)
        x = x[..., ::2] * x[..., 1::2]
    rest = np.ones(x.shape, x.dtype)
    for level in reversed(levels):
        pairs = level.reshape((*level.shape[:-1], -1, 2))[..., ::-1]
        rest = (rest[..., : pairs.shape[-2], None] * pairs).reshape(level.shape)
    return rest[..., :n]


def prod_dx(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Multiply `g` with the product of the other elements."""
    axes = axes_of(x, axis)
    if not x.size:
        return spread(g, x, axis, keepdims) * x
    stay = tuple(i for i in range(x.ndim) if i not in axes)
    moved = np.transpose(x, stay + axes)
    rest = others(moved.reshape((*moved.shape[: len(stay)], -1))).reshape(moved.shape)
    back = tuple((stay + axes).index(i) for i in range(x.ndim))
    return spread(g, x, axis, keepdims) * np.transpose(rest, back)


def deviation(x: Any, axis: Any) -> Any:
    """Return `x` less its mean over `axis`."""
    return x - np.mean(x, axis=axis, keepdims=True)


# fmt: off
defvjp(np.sum,  lambda g, out, x, axis=None, keepdims=False: spread(g, x, axis, keepdims))
defvjp(np.mean, lambda g, out, x, axis=None, keepdims=False:
                spread(g, x, axis, keepdims) / max(count(x, axis), 1))
defvjp(np.max,  lambda g, out, x, axis=None, keepdims=False: shared(g, out, x, axis, keepdims))
defvjp(np.min,  lambda g, out, x, axis=None, keepdims=False: shared(g, out, x, axis, keepdims))
defvjp(np.prod, prod_dx)
defvjp(np.var,  lambda g, out, x, axis=None, ddof=0, keepdims=False:
                spread(g, x, axis, keepdims) * 2 * deviation(x, axis) / (count(x, axis) - ddof))
defvjp(np.std,  lambda g, out, x, axis=None, ddof=0, keepdims=False:
                spread(g / out, x, axis, keepdims) * deviation(x, axis) / (count(x, axis) - ddof))
# fmt: on

nograd(np.argmax, np.argmin, np.any, np.all, np.count_nonzero)


# The ufuncs' own reductions: the same numbers without the Python layers of np.sum and np.mean.
@kernel(np.sum)
def _sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


@kernel(np.max)
def _max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


@kernel(np.min)
def _min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


def _reduce(fn: Any) -> Any:
    def reduce(
        x: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> Any:
        if dtype is not None or out is not None:
            raise TypeError(
                f"reduce of a Tensor takes axis and keepdims only: use np.{fn.__name__}"
            )
        return record(fn, x, axis=axis, keepdims=keepdims)

    return reduce


UFUNC_METHODS[np.add, "reduce"] = _reduce(np.sum)
UFUNC_METHODS[np.multiply, "reduce"] = _reduce(np.prod)
UFUNC_METHODS[np.maximum, "reduce"] = _reduce(np.max)
UFUNC_METHODS[np.minimum, "reduce"] = _reduce(np.min)
