"""Functions that go along an axis: running sums, differences, and the methods of ufuncs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import RULES, UFUNC_METHODS, composed, defvjp
from retrograd.rules.reductions import along, axes_of, column, given, lined, resized


def accumulate(ufunc: Any, x: Any, axis: int = 0) -> Any:
    """Return the running results of an associative `ufunc`.

    Each round doubles how many elements are in a result, so there are few calls, and no
    division where `ufunc` is a product: zeros are exact to every order.
    """
    x = np.moveaxis(x, axis, 0)
    step = 1
    while step < x.shape[0]:
        x = np.concatenate([x[:step], ufunc(x[:-step], x[step:])])
        step *= 2
    return np.moveaxis(x, 0, axis)


def reduce(ufunc: Any, x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    """Return the result of an associative `ufunc` over axes, halving their length each round."""
    axes = axes_of(x, axis)
    line = lined(x, axes)
    if not line.shape[-1]:
        raise ValueError(f"np.{ufunc.__name__}.reduce of an axis of length 0")
    while (n := line.shape[-1]) > 1:
        pairs = ufunc(line[..., : n // 2 * 2 : 2], line[..., 1::2])
        line = np.concatenate([pairs, line[..., n - 1 :]], axis=-1) if n % 2 else pairs
    return line.reshape(resized(x, axes)) if keepdims else line[..., 0]


# fmt: off
defvjp(np.cumsum, lambda g, out, a, axis:
                  np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis))
# fmt: on


def _running(scan: Callable[..., Any], unit: int, skips: bool = False) -> Any:
    """Answer `np.cumsum` and the like; where nan is skipped, `unit` takes its place."""

    def running(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        if skips:
            a = np.where(np.isnan(a), unit, a)
        if dtype is not None:
            a = a.astype(dtype)
        return scan(np.ravel(a), axis=0) if axis is None else scan(a, axis=axis)

    return running


def _cumulative(fn: Any, unit: int) -> Any:
    def cumulative(
        x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None,
        include_initial: bool = False,
    ) -> Any:  # fmt: skip
        if axis is None and x.ndim > 1:
            raise ValueError(f"a cumulative {fn.__name__} of shape {x.shape} needs axis=")
        result = fn(x, axis, dtype)
        if include_initial:
            axis = (axis or 0) % result.ndim
            first = np.full(resized(result, (axis,)), unit, result.dtype)
            result = np.concatenate([first, result], axis=axis)
        return result

    return cumulative


_cumsum = functools.partial(record, np.cumsum)
_cumprod = functools.partial(accumulate, np.multiply)
composed(np.cumsum)(_running(_cumsum, 0))
composed(np.cumprod)(_running(_cumprod, 1))
composed(np.nancumsum)(_running(_cumsum, 0, skips=True))
composed(np.nancumprod)(_running(_cumprod, 1, skips=True))
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    composed(np.cumulative_sum)(_cumulative(np.cumsum, 0))
    composed(np.cumulative_prod)(_cumulative(np.cumprod, 1))


def _pairs(x: Any, axis: int) -> tuple[Any, Any]:
    """Return all elements but the first, and all but the last."""
    return along(x, axis, slice(1, None)), along(x, axis, slice(None, -1))


@composed(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if n < 0:
        raise ValueError(f"np.diff takes differences of order 0 or more, not {n}")
    a = given(a)
    if not n:
        return a
    if not a.ndim:
        raise ValueError("np.diff takes an array of one axis or more")
    one = resized(a, (axis % a.ndim,))
    ends = [given(x) for x in (prepend, a, append) if x is not None]
    if len(ends) > 1:
        ends = [x if x.ndim else np.broadcast_to(x, one) for x in ends]
        a = np.concatenate(ends, axis=axis)
    for _ in range(n):
        later, earlier = _pairs(a, axis)
        a = np.not_equal(later, earlier) if a.dtype == bool else later - earlier
    return a


@composed(np.ediff1d)
def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(given(ary))
    parts = [to_begin, ary[1:] - ary[:-1], to_end]
    parts = [np.ravel(given(part)) for part in parts if part is not None]
    return np.concatenate(parts).astype(ary.dtype)


@composed(np.trapezoid)
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = given(y)
    if x is not None:
        x = given(x)
        dx = column(np.diff(x), axis, y.ndim) if x.ndim == 1 else np.diff(x, axis=axis)
    later, earlier = _pairs(y, axis)
    return np.sum(dx * (later + earlier) / 2.0, axis=axis)


@composed(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = given(f)
    axes = axes_of(f, tuple(axis) if isinstance(axis, list) else axis)
    if edge_order not in (1, 2):
        raise ValueError(f"np.gradient takes edge_order 1 or 2, not {edge_order}")
    steps = varargs or (1.0,)
    if len(steps) == 1 and len(axes) > 1:
        if np.ndim(steps[0]):
            raise ValueError("np.gradient takes one step for all axes, or one entry for each")
        steps = steps * len(axes)
    if len(steps) != len(axes):
        raise TypeError(f"np.gradient got {len(steps)} steps for {len(axes)} axes")
    slopes = tuple(_slope(f, given(h), i, edge_order) for i, h in zip(axes, steps, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Return the derivative along one axis, from two neighbours (at the edges edge_order)."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(f"np.gradient needs {edge_order + 1} elements on axis {axis}, has {n}")
    f = np.moveaxis(f, axis, 0)
    if step.ndim:
        h = np.diff(step)
    else:
        h = np.broadcast_to(step.astype(np.result_type(f.dtype, 0.0)), (n - 1,))
    h = column(h, 0, f.ndim)
    slopes = (f[1:] - f[:-1]) / h
    one, two = h[:-1], h[1:]
    inner = (slopes[1:] * one + slopes[:-1] * two) / (one + two)
    first, last = slopes[:1], slopes[-1:]
    if edge_order == 2:
        # the parabola through three points: the slope between two, corrected by the curvature
        first = first - (slopes[1:2] - first) * h[:1] / (h[:1] + h[1:2])
        last = last + (last - slopes[-2:-1]) * h[-1:] / (h[-1:] + h[-2:-1])
    return np.moveaxis(np.concatenate([first, inner, last]), 0, axis)


def _outer(ufunc: Any) -> Any:
    def outer(a: Any, b: Any) -> Any:
        a, b = given(a), given(b)
        return ufunc(a.reshape(a.shape + (1,) * b.ndim), b)

    return outer


def _reduceat(ufunc: Any) -> Any:
    def reduceat(array: Any, indices: Any, axis: int = 0) -> Any:
        edges = [*(int(i) for i in np.asarray(indices)), array.shape[axis]]
        ends = ((a, b if a < b else a + 1) for a, b in itertools.pairwise(edges))
        pieces = [ufunc.reduce(along(array, axis, slice(a, b)), axis=axis) for a, b in ends]
        return np.stack(pieces, axis=axis)

    return reduceat


def _associative(ufunc: Any) -> None:
    """Give its methods to a `ufunc` of which (a * b) * c is a * (b * c)."""
    UFUNC_METHODS.setdefault(
        (ufunc, "reduce"), lambda x, axis=0, keepdims=False: reduce(ufunc, x, axis, keepdims)
    )
    UFUNC_METHODS[ufunc, "accumulate"] = lambda x, axis=0: accumulate(ufunc, x, axis)
    UFUNC_METHODS[ufunc, "reduceat"] = _reduceat(ufunc)


for _fn in [f for f in RULES if isinstance(f, np.ufunc) and (f.nin, f.nout) == (2, 1)]:
    if not _fn.signature:
        UFUNC_METHODS[_fn, "outer"] = _outer(_fn)
for _fn in (np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp,
            np.logaddexp2):  # fmt: skip
    _associative(_fn)
UFUNC_METHODS[np.add, "accumulate"] = lambda x, axis=0: np.cumsum(x, axis)
