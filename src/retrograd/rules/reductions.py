"""Functions that reduce axes. `axis` is None (all), an int or a tuple, as in NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import UFUNC_METHODS, composed, defvjp, kernel, nograd, spelled


def given(x: Any) -> Any:
    """Return a list or a number as an array; arrays and Tensors as they are."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def along(x: Any, axis: int, part: Any) -> Any:
    """Return a part of `x` on one axis: a slice, or an index."""
    return x[(slice(None),) * (axis % x.ndim) + (part,)]


def resized(x: Any, axes: Iterable[int], length: int = 1) -> tuple[int, ...]:
    """Return the shape of `x` with another length on some axes, counted from 0."""
    return tuple(length if i in axes else n for i, n in enumerate(x.shape))


def column(x: Any, axis: int, ndim: int) -> Any:
    """Return a vector as an array of `ndim` axes that has its elements along one."""
    return x.reshape(tuple(-1 if i == axis % ndim else 1 for i in range(ndim)))


def floating(x: Any) -> Any:
    """Return integers as floats."""
    return x if x.dtype.kind == "f" else x.astype(float)


def in_dtype(x: Any, dtype: Any) -> Any:
    """Return `x` in a dtype, as it is for None."""
    return x if dtype is None else x.astype(dtype)


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """Return the reduced axes, each from 0 to ndim - 1."""
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def count(x: Any, axis: Any) -> int:
    """Return how many elements go into one of the result."""
    return math.prod(x.shape[a] for a in axes_of(x, axis))


def spread(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Put reduced axes back with length 1, so that `g` broadcasts along them."""
    return g if keepdims or axis is None else g.reshape(resized(x, axes_of(x, axis)))


def lined(x: Any, axes: tuple[int, ...]) -> Any:
    """Return `x` with these axes made one, the last."""
    moved = np.moveaxis(x, axes, tuple(range(-len(axes), 0)))
    stay = moved.shape[: x.ndim - len(axes)]
    return moved.reshape((*stay, math.prod(moved.shape[len(stay) :])))


def shared(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Share `g` equally between all elements that attain the maximum or minimum."""
    ties = x == spread(out, x, axis, keepdims)
    number = np.sum(ties, axis=axis, keepdims=True).astype(g.dtype)
    return np.where(ties, spread(g, x, axis, keepdims) / number, 0.0)


def prod_dx(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Multiply `g` with the product of the other elements: of all before and of all after.

    There is no division, so zeros are exact, and so is every derivative.
    """
    axes = axes_of(x, axis)
    line = lined(x, axes)
    if x.size:
        one = np.ones((*line.shape[:-1], 1), x.dtype)
        before = np.cumprod(np.concatenate([one, line[..., :-1]], axis=-1), axis=-1)
        after = np.cumprod(np.concatenate([one, line[..., :0:-1]], axis=-1), axis=-1)
        line = before * after[..., ::-1]
    last = tuple(range(-len(axes), 0))
    stay = tuple(i for i in range(x.ndim) if i not in axes)
    moved = line.reshape(tuple(x.shape[i] for i in stay + axes))
    return spread(g, x, axis, keepdims) * np.moveaxis(moved, last, axes)


def root(x: Any, order: float = 2) -> Any:
    """Return `x ** (1 / order)`; at 0 it is 0 with gradient 0."""
    zero = x == 0
    safe = np.where(zero, 1.0, x)
    return np.where(zero, 0.0, np.sqrt(safe) if order == 2 else safe ** (1 / order))


def deviation(x: Any, axis: Any) -> Any:
    """Return `x` less its mean over `axis`."""
    return x - np.mean(x, axis=axis, keepdims=True)


# fmt: off
defvjp(np.sum,  lambda g, out, x, axis=None, keepdims=False: spread(g, x, axis, keepdims))
defvjp(np.mean, lambda g, out, x, axis=None, keepdims=False:
                spread(g, x, axis, keepdims) / max(count(x, axis), 1))
defvjp(np.max,  shared)
defvjp(np.min,  shared)
defvjp(np.prod, prod_dx)
defvjp(np.var,  lambda g, out, x, axis=None, ddof=0, keepdims=False:
                spread(g, x, axis, keepdims) * 2 * deviation(x, axis) / (count(x, axis) - ddof))
defvjp(np.std,  lambda g, out, x, axis=None, ddof=0, keepdims=False:
                spread(g / np.where(out == 0, 1.0, out), x, axis, keepdims)
                * deviation(x, axis) / (count(x, axis) - ddof))

# The ufuncs' own reductions: the same numbers without the Python layers of np.sum and np.max.
kernel(np.sum)(lambda x, axis=None, keepdims=False: np.add.reduce(x, axis, keepdims=keepdims))
kernel(np.max)(lambda x, axis=None, keepdims=False: np.maximum.reduce(x, axis, keepdims=keepdims))
kernel(np.min)(lambda x, axis=None, keepdims=False: np.minimum.reduce(x, axis, keepdims=keepdims))
# fmt: on

nograd(np.argmax, np.argmin, np.any, np.all, np.count_nonzero, np.nanargmax, np.nanargmin)


def held(a: Any, dtype: Any, where: Any, fill: Any) -> Any:
    """Return `a` in a dtype, with `fill` in place of the elements that do not count."""
    return in_dtype(a if where is True else np.where(where, a, fill), dtype)


def number_of(a: Any, axis: Any, keepdims: bool, where: Any, ddof: Any = 0) -> Any:
    """Return how many elements count for each of the result, less `ddof`, from 0."""
    if where is True:
        return max(count(a, axis) - ddof, 0)
    number = np.sum(np.broadcast_to(where, a.shape), axis=axis, keepdims=keepdims)
    return np.maximum(number.astype(np.result_type(a.dtype, 0.0)) - ddof, 0.0)


def _total(fn: Any, unit: int, pair: np.ufunc) -> Any:
    def total(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
        initial: Any = None, where: Any = True,
    ) -> Any:  # fmt: skip
        found = record(fn, held(a, dtype, where, unit), axis=axis, keepdims=keepdims)
        return found if initial is None else pair(found, initial)

    return total


def _extreme(fn: Any, pair: np.ufunc) -> Any:
    def extreme(
        a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        if initial is None:
            if where is not True:
                raise ValueError(f"{spelled(fn)} with where= needs initial=")
            return record(fn, a, axis=axis, keepdims=keepdims)
        a = held(a, None, where, initial)
        if not count(a, axis):
            return record(np.sum, a, axis=axis, keepdims=keepdims) + initial
        return pair(record(fn, a, axis=axis, keepdims=keepdims), initial)

    return extreme


def _variance(fn: Any) -> Any:
    def variance(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
        keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
    ) -> Any:  # fmt: skip
        ddof = ddof if correction is None else correction
        # what does not count becomes 0 at the start: its square could be infinite
        a = held(a, dtype, where, 0)
        if where is True and mean is None:
            return record(fn, a, axis=axis, ddof=ddof, keepdims=keepdims)
        if mean is None:
            mean = np.mean(a, axis=axis, keepdims=True, where=where)
        squares = held(np.square(a - mean), None, where, 0)
        found = np.sum(squares, axis=axis, keepdims=keepdims)
        found = found / number_of(a, axis, keepdims, where, ddof)
        return found if fn is np.var else root(found)

    return variance


composed(np.sum)(_total(np.sum, 0, np.add))
composed(np.prod)(_total(np.prod, 1, np.multiply))
composed(np.max, np.amax)(_extreme(np.max, np.maximum))
composed(np.min, np.amin)(_extreme(np.min, np.minimum))
composed(np.var)(_variance(np.var))
composed(np.std)(_variance(np.std))
# fmt: off
composed(np.ptp)(lambda a, axis=None, out=None, keepdims=False:
                 np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims))
# fmt: on


@composed(np.mean)
def _mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *,
    where: Any = True,
) -> Any:  # fmt: skip
    if where is True:
        return record(np.mean, held(a, dtype, where, 0), axis=axis, keepdims=keepdims)
    total = np.sum(a, axis, dtype, keepdims=keepdims, where=where)
    return total / number_of(a, axis, keepdims, where)


def weighing(weights: Any, a: Any, axis: Any) -> Any:
    """Return weights of all elements, or of those along `axis`, so that they broadcast with `a`."""
    weights, axes = given(weights), axes_of(a, axis)
    if weights.shape == a.shape:
        return weights
    if axis is None or weights.shape != tuple(a.shape[i] for i in axes):
        raise ValueError(f"weights {weights.shape} for axis {axis} of an array {a.shape}")
    weights = np.transpose(weights, sorted(range(len(axes)), key=axes.__getitem__))
    return weights.reshape(tuple(n if i in axes else 1 for i, n in enumerate(a.shape)))


@composed(np.average)
def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    a = given(a)
    if weights is None:
        result = np.mean(a, axis=axis, keepdims=keepdims)
        total = np.full(result.shape, count(a, axis), result.dtype)
        return (result, total) if returned else result
    weights = weighing(weights, a, axis)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    result = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, np.broadcast_to(total, result.shape)) if returned else result


def _named(fn: Any) -> Any:
    """Answer `np.add.reduce` by `np.sum`, which has another axis when none is given."""
    return lambda a, axis=0, dtype=None, **options: fn(
        a, axis=axis, **options, **({} if dtype is None else {"dtype": dtype})
    )


for _ufunc, _fn in (
    (np.add, np.sum), (np.multiply, np.prod), (np.maximum, np.max), (np.minimum, np.min),
    (np.logical_and, np.all), (np.logical_or, np.any),
):  # fmt: skip
    UFUNC_METHODS[_ufunc, "reduce"] = _named(_fn)
