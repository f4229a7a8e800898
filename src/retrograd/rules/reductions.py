"""Functions that reduce axes. `axis` is None (all), an int or a tuple, as in NumPy."""

from __future__ import annotations

import builtins
import math
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
                spread(g / np.where(out == 0, 1.0, out), x, axis, keepdims)
                * deviation(x, axis) / (count(x, axis) - ddof))
# fmt: on

nograd(np.argmax, np.argmin, np.any, np.all, np.count_nonzero, np.nanargmax, np.nanargmin)


# The ufuncs' own reductions: the same numbers without the Python layers of np.sum and np.mean.
@kernel(np.sum)
def _sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]


@kernel(np.max)
def _max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]


@kernel(np.min)
def _min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]


def held(a: Any, dtype: Any, where: Any, fill: int) -> Any:
    """Return `a` in the dtype wanted, with `fill` in place of the elements that do not count."""
    if where is not True:
        a = np.where(where, a, fill)
    return a if dtype is None else a.astype(dtype)


@composed(np.sum)
def sum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """Answer `np.sum`."""
    total = record(np.sum, held(a, dtype, where, 0), axis=axis, keepdims=keepdims)
    return total if initial is None else total + initial


@composed(np.prod)
def prod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """Answer `np.prod`."""
    total = record(np.prod, held(a, dtype, where, 1), axis=axis, keepdims=keepdims)
    return total if initial is None else total * initial


def _extreme(fn: Any, pairwise: Any) -> Any:
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
        return pairwise(record(fn, a, axis=axis, keepdims=keepdims), initial)

    return extreme


composed(np.max, np.amax)(_extreme(np.max, np.maximum))
composed(np.min, np.amin)(_extreme(np.min, np.minimum))


def number_of(a: Any, axis: Any, keepdims: bool, where: Any) -> Any:
    """Return how many elements count for each of the result."""
    if where is True:
        return count(a, axis)
    mask = np.broadcast_to(where, a.shape)
    return np.sum(mask, axis=axis, keepdims=keepdims).astype(np.result_type(a.dtype, 0.0))


@composed(np.mean)
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *,
    where: Any = True,
) -> Any:  # fmt: skip
    """Answer `np.mean`."""
    if where is True:
        return record(np.mean, held(a, dtype, where, 0), axis=axis, keepdims=keepdims)
    total = sum(a, axis, dtype, keepdims=keepdims, where=where)
    return total / number_of(a, axis, keepdims, where)


@composed(np.var)
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """Answer `np.var`; `correction` is another name of `ddof`."""
    ddof = ddof if correction is None else correction
    if where is True and mean is None:
        a = held(a, dtype, True, 0)
        return record(np.var, a, axis=axis, ddof=ddof, keepdims=keepdims)
    # what does not count becomes 0 at the start: its square could be infinite
    a = held(a, dtype, where, 0)
    if mean is None:
        mean = np.mean(a, axis=axis, keepdims=True, where=where)
    squares = held(np.square(a - mean), None, where, 0)
    number = number_of(a, axis, keepdims, where) - ddof
    number = np.maximum(number, 0.0) if hasattr(number, "dtype") else builtins.max(number, 0)
    return np.sum(squares, axis=axis, keepdims=keepdims) / number


@composed(np.std)
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """Answer `np.std`."""
    ddof = ddof if correction is None else correction
    if where is True and mean is None:
        a = held(a, dtype, True, 0)
        return record(np.std, a, axis=axis, ddof=ddof, keepdims=keepdims)
    variance = var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean)
    root = np.sqrt(np.where(variance == 0, 1.0, variance))
    return np.where(variance == 0, 0.0, root)


@composed(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """Answer `np.ptp`: the range of the values."""
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@composed(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """Answer `np.average`; `weights` have the shape of `a`, or of the reduced axes."""
    a = given(a)
    if weights is None:
        result = np.mean(a, axis=axis, keepdims=keepdims)
        total = np.full(result.shape, count(a, axis), result.dtype)
        return (result, total) if returned else result
    weights = given(weights)
    if weights.shape != a.shape:
        axes = axes_of(a, axis)
        if axis is None or weights.shape != tuple(a.shape[i] for i in axes):
            raise ValueError(f"np.average of {a.shape} over axis {axis}: weights {weights.shape}")
        weights = np.transpose(weights, tuple(int(i) for i in np.argsort(axes)))
        weights = weights.reshape(tuple(n if i in axes else 1 for i, n in enumerate(a.shape)))
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    result = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, np.broadcast_to(total, result.shape)) if returned else result


# --- methods of ufuncs that are functions of another name -----------------------------------------


def _named(fn: Any) -> Any:
    """Answer `np.add.reduce` by `np.sum`, which has another axis when none is given."""

    def named(a: Any, axis: Any = 0, dtype: Any = None, **options: Any) -> Any:
        if dtype is not None:
            options["dtype"] = dtype
        return fn(a, axis=axis, **options)

    return named


_NAMED = {
    (np.add, "reduce"): np.sum, (np.multiply, "reduce"): np.prod,
    (np.maximum, "reduce"): np.max, (np.minimum, "reduce"): np.min,
    (np.logical_and, "reduce"): np.all, (np.logical_or, "reduce"): np.any,
}  # fmt: skip

for _key, _fn in _NAMED.items():
    UFUNC_METHODS[_key] = _named(_fn)
