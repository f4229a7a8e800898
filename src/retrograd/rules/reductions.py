"""Functions that reduce axes to one element: sums, means, extremes, variances."""

import functools
import math
from typing import Any

import numpy as np

from retrograd.engine import call_numpy, composed, defvjp, nograd, primitive, record, spelled
from retrograd.engine.rule import UFUNC_METHODS
from retrograd.rules.axes import (
    axes_of,
    count,
    in_dtype,
    inverse,
    merge_last,
    order_with_last,
    spread,
    to_array,
)
from retrograd.rules.complexes import square_size
from retrograd.rules.elementwise import nonzero, unsettle

# The rules


def share_ties(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Share `g` equally among the elements that attain the maximum or minimum."""
    ties = x == spread(out, x, axis, keepdims)
    number = np.sum(ties, axis=axis, keepdims=True).astype(g.dtype)
    shares = np.where(ties, spread(g, x, axis, keepdims) / number, 0.0)
    return unsettle(shares, g, ties & (number > 1), x, axis=axis)


def _prod_dx(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    # of each element the product of all before it and all after it: exact where some are zero,
    # as out / x is not
    axes = axes_of(x, axis)
    line = merge_last(x, axes)
    if x.size:
        one = np.ones_like(line[..., :1])
        before = np.cumprod(np.concatenate([one, line[..., :-1]], axis=-1), axis=-1)
        after = np.cumprod(np.concatenate([one, line[..., :0:-1]], axis=-1), axis=-1)
        line = before * after[..., ::-1]
    order = order_with_last(x, axes)
    others = line.reshape(tuple(x.shape[i] for i in order)).transpose(inverse(order))
    return spread(g, x, axis, keepdims) * others


def _deviation(x: Any, axis: Any) -> Any:
    return x - np.mean(x, axis=axis, keepdims=True)


# fmt: off
# `run` is the ufunc's own method: the same numbers without NumPy's Python layers
defvjp(np.sum,  lambda g, out, x, axis=None, keepdims=False: spread(g, x, axis, keepdims),
       run=lambda x, axis=None, keepdims=False: np.add.reduce(x, axis, keepdims=keepdims))
defvjp(np.mean, lambda g, out, x, axis=None, keepdims=False:
                spread(g, x, axis, keepdims) / max(count(x, axis), 1))
defvjp(np.max,  share_ties,
       run=lambda x, axis=None, keepdims=False: np.maximum.reduce(x, axis, keepdims=keepdims))
defvjp(np.min,  share_ties,
       run=lambda x, axis=None, keepdims=False: np.minimum.reduce(x, axis, keepdims=keepdims))
defvjp(np.prod, _prod_dx)
defvjp(np.var,  lambda g, out, x, axis=None, ddof=0, keepdims=False:
                spread(g, x, axis, keepdims) * 2 * _deviation(x, axis) / (count(x, axis) - ddof))
defvjp(np.std,  lambda g, out, x, axis=None, ddof=0, keepdims=False:
                spread(g / nonzero(out), x, axis, keepdims)
                * _deviation(x, axis) / (count(x, axis) - ddof))

composed(np.ptp)(lambda a, axis=None, out=None, keepdims=False:
                 np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims))
# fmt: on

nograd(np.argmax, np.argmin, np.any, np.all, np.count_nonzero, np.nanargmax, np.nanargmin)


# NumPy's further options: `dtype`, `where`, `initial`, `mean`


def fill_masked(a: Any, dtype: Any, where: Any, fill: Any) -> Any:
    """Return `a` in a dtype, with `fill` where `where` leaves elements out."""
    return in_dtype(a if where is True else np.where(where, a, fill), dtype)


def count_masked(a: Any, axis: Any, keepdims: bool, where: Any, ddof: Any = 0) -> Any:
    """Return how many elements `where` leaves in, less `ddof`, at least 0; as floats."""
    number = np.sum(np.broadcast_to(where, a.shape), axis=axis, keepdims=keepdims)
    dtype = np.finfo(np.result_type(a.dtype, 0.0)).dtype  # of complex numbers that of their parts
    return np.maximum(number.astype(dtype) - ddof, 0.0)


@primitive
def root(x: Any, order: float = 2) -> Any:
    """Return `x ** (1 / order)`, at 0 with gradient 0 in place of an infinite one."""
    zero = x == 0
    safe = np.where(zero, 1.0, x)
    return np.where(zero, 0.0, np.sqrt(safe) if order == 2 else safe ** (1 / order))


@primitive
def _root_slope(x: Any, order: float) -> Any:
    """Return the derivative of `root`."""
    zero = x == 0
    return np.where(zero, 0.0, np.where(zero, 1.0, x) ** (1 / order - 1) / order)


# fmt: off
defvjp(root, lambda g, out, x, order=2: g * _root_slope(x, order))
defvjp(_root_slope, lambda g, out, x, order:
       g * out * (1 / order - 1) / np.where(x == 0, math.nan, x))
# fmt: on


def _total(
    fn: Any, unit: int, pair: np.ufunc, a: Any, axis: Any = None, dtype: Any = None,
    out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """Answer `np.sum` or `np.prod`: `unit` changes nothing, `pair` takes `initial` in."""
    found = record(fn, fill_masked(a, dtype, where, unit), axis=axis, keepdims=keepdims)
    # NumPy would widen short integers, even those of a dtype that was asked for
    found = in_dtype(found, dtype)
    return found if initial is None else pair(found, initial)


def _extreme(
    fn: Any, pair: np.ufunc, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """Answer `np.max` or `np.min`: without any element the result is `initial`."""
    if initial is None:
        if where is not True:
            raise ValueError(f"{spelled(fn)} with where= needs initial=")
        return record(fn, a, axis=axis, keepdims=keepdims)
    a = fill_masked(a, None, where, initial)
    if not count(a, axis):
        return record(np.sum, a, axis=axis, keepdims=keepdims) + initial
    return pair(record(fn, a, axis=axis, keepdims=keepdims), initial)


def _variance(
    fn: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """Answer `np.var` or `np.std`: `correction` is another name of `ddof`."""
    ddof = ddof if correction is None else correction
    # what is left out is 0 before it is squared, since its square could be infinite
    a = fill_masked(a, dtype, where, 0)
    if where is True and mean is None:
        return record(fn, a, axis=axis, ddof=ddof, keepdims=keepdims)
    if mean is None:
        mean = np.mean(a, axis=axis, keepdims=True, where=where)
    squares = fill_masked(square_size(a - mean), None, where, 0)
    found = np.sum(squares, axis=axis, keepdims=keepdims)
    found = found / count_masked(a, axis, keepdims, where, ddof)
    return found if fn is np.var else root(found)


composed(np.sum)(functools.partial(_total, np.sum, 0, np.add))
composed(np.prod)(functools.partial(_total, np.prod, 1, np.multiply))
composed(np.max, np.amax)(functools.partial(_extreme, np.max, np.maximum))
composed(np.min, np.amin)(functools.partial(_extreme, np.min, np.minimum))
composed(np.var)(functools.partial(_variance, np.var))
composed(np.std)(functools.partial(_variance, np.std))


@composed(np.mean)
def _mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *,
    where: Any = True,
) -> Any:  # fmt: skip
    if where is True:
        return record(np.mean, in_dtype(a, dtype), axis=axis, keepdims=keepdims)
    a = in_dtype(a, dtype)
    return np.sum(a, axis, keepdims=keepdims, where=where) / count_masked(a, axis, keepdims, where)


def broadcast_weights(weights: Any, a: Any, axis: Any) -> Any:
    """Return weights of `a`'s shape, or of that of `axis` alone, so that they broadcast with `a`.

    Raises:
        ValueError: if they have another shape.
    """
    weights, axes = to_array(weights), axes_of(a, axis)
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
    a = to_array(a)
    if weights is None:
        result = np.mean(a, axis=axis, keepdims=keepdims)
        total = np.full((), count(a, axis), result.dtype)
    else:
        weights = broadcast_weights(weights, a, axis)
        # all is computed in the dtype of the result, as in NumPy
        kind = np.result_type(a.dtype, weights.dtype, *([] if a.dtype.kind == "f" else ["f8"]))
        weights = weights if weights.dtype == kind else weights.astype(kind)
        total = np.sum(weights, axis=axis, keepdims=keepdims)
        result = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, np.broadcast_to(total, result.shape)) if returned else result


# Methods of ufuncs


def _reduce_by(fn: Any) -> Any:
    """Return `np.add.reduce` and the like as calls of `np.sum` and the like, along axis 0."""
    return lambda a, axis=0, dtype=None, **options: call_numpy(
        fn, (a,), {"axis": axis, **options, **({} if dtype is None else {"dtype": dtype})}
    )


for _ufunc, _fn in (
    (np.add, np.sum), (np.multiply, np.prod), (np.maximum, np.max), (np.minimum, np.min),
    (np.logical_and, np.all), (np.logical_or, np.any),
):  # fmt: skip
    UFUNC_METHODS[_ufunc, "reduce"] = _reduce_by(_fn)
