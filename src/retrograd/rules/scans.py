"""Functions that go along an axis: running sums, differences, and the methods of ufuncs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import RULES, UFUNC_METHODS, composed, defvjp
from retrograd.rules.reductions import along, axes_of, given


def accumulate(ufunc: np.ufunc, x: Any, axis: int = 0) -> Any:
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


def reduce(ufunc: np.ufunc, x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    """Return the result of an associative `ufunc` over axes, halving their length each round."""
    axes = axes_of(x, axis)
    for i in axes:
        x = np.moveaxis(x, i, 0)
        if not x.shape[0]:
            raise ValueError(f"np.{ufunc.__name__}.reduce of an axis of length 0")
        while (n := x.shape[0]) > 1:
            odd = [x[n - 1 :]] if n % 2 else []
            x = np.concatenate([ufunc(x[: n // 2 * 2 : 2], x[1::2]), *odd])
        x = np.moveaxis(x, 0, i)
    if keepdims:
        return x
    return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


# --- running sums and products -------------------------------------------------------------------

defvjp(
    np.cumsum, lambda g, out, a, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)
)  # fmt: skip


def _flat(a: Any, axis: int | None, dtype: Any) -> tuple[Any, int]:
    if dtype is not None:
        a = a.astype(dtype)
    if axis is None:
        return np.ravel(a), 0
    return a, axis


@composed(np.cumsum)
def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Answer `np.cumsum`."""
    a, axis = _flat(a, axis, dtype)
    return record(np.cumsum, a, axis=axis)


@composed(np.cumprod)
def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Answer `np.cumprod`."""
    return accumulate(np.multiply, *_flat(a, axis, dtype))


def _cumulative(scan: Callable[..., Any], start: int) -> Any:
    def cumulative(
        x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None,
        include_initial: bool = False,
    ) -> Any:  # fmt: skip
        if axis is None and x.ndim > 1:
            raise ValueError(f"a cumulative {scan.__name__} of shape {x.shape} needs axis=")
        x, axis = _flat(x, axis, dtype)
        result = scan(x, axis)
        if include_initial:
            shape = [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)]
            first = np.full(shape, start, result.dtype)
            result = np.concatenate([first, result], axis=axis)
        return result

    return cumulative


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    composed(np.cumulative_sum)(_cumulative(cumsum, 0))
    composed(np.cumulative_prod)(_cumulative(cumprod, 1))


# --- differences ---------------------------------------------------------------------------------


@composed(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Answer `np.diff`."""
    if n < 0:
        raise ValueError(f"np.diff takes differences of order 0 or more, not {n}")
    a = given(a)
    if not n:
        return a
    if not a.ndim:
        raise ValueError("np.diff takes an array of one axis or more")
    ends = []
    for end in (prepend, a, append):
        if end is None:
            continue
        end = given(end)
        if not end.ndim:
            end = np.broadcast_to(end, [1 if i == axis % a.ndim else m for i, m in
                                        enumerate(a.shape)])  # fmt: skip
        ends.append(end)
    if len(ends) > 1:
        a = np.concatenate(ends, axis=axis)
    for _ in range(n):
        later, earlier = along(a, axis, slice(1, None)), along(a, axis, slice(None, -1))
        a = np.not_equal(later, earlier) if a.dtype == bool else later - earlier
    return a


@composed(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Answer `np.ediff1d`."""
    ary = np.ravel(given(ary))
    parts = [ary[1:] - ary[:-1]]
    if to_begin is not None:
        parts.insert(0, np.ravel(given(to_begin)))
    if to_end is not None:
        parts.append(np.ravel(given(to_end)))
    return np.concatenate(parts).astype(ary.dtype)


@composed(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Answer `np.trapezoid`: the area under straight lines between the values."""
    y = given(y)
    if x is not None:
        x = given(x)
        dx = np.diff(x, axis=0 if x.ndim == 1 else axis)
        if x.ndim == 1:
            dx = dx.reshape([-1 if i == axis % y.ndim else 1 for i in range(y.ndim)])
    pairs = along(y, axis, slice(1, None)) + along(y, axis, slice(None, -1))
    return np.sum(dx * pairs / 2.0, axis=axis)


@composed(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Answer `np.gradient`: a step or an array of positions for each axis, or one step for all."""
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
    slopes = tuple(_slope(f, h, i, edge_order) for i, h in zip(axes, steps, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Return the derivative along one axis, from two neighbours (at the edges edge_order)."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(f"np.gradient needs {edge_order + 1} elements on axis {axis}, has {n}")
    f = np.moveaxis(f, axis, 0)
    column = (-1,) + (1,) * (f.ndim - 1)
    if np.ndim(step):
        h = np.diff(given(step)).reshape(column)
    else:
        h = np.broadcast_to(given(step).astype(np.result_type(f.dtype, 0.0)), (n - 1,))
        h = h.reshape(column)
    one, two = h[:-1], h[1:]
    inner = (f[2:] - f[1:-1]) * one / (two * (one + two)) + (f[1:-1] - f[:-2]) * two / (
        one * (one + two)
    )
    first, last = (f[1:2] - f[:1]) / h[:1], (f[-1:] - f[-2:-1]) / h[-1:]
    if edge_order == 2:
        # the parabola through three points: the slope between two, corrected by the curvature
        second = (f[2:3] - f[1:2]) / h[1:2]
        first = first - (second - first) * h[:1] / (h[:1] + h[1:2])
        before = (f[-2:-1] - f[-3:-2]) / h[-2:-1]
        last = last + (last - before) * h[-1:] / (h[-1:] + h[-2:-1])
    return np.moveaxis(np.concatenate([first, inner, last]), 0, axis)


# --- methods of ufuncs ---------------------------------------------------------------------------


def _outer(ufunc: np.ufunc) -> Any:
    def outer(a: Any, b: Any) -> Any:
        a, b = given(a), given(b)
        return ufunc(a.reshape(a.shape + (1,) * b.ndim), b)

    return outer


def _reduceat(ufunc: np.ufunc) -> Any:
    def reduceat(array: Any, indices: Any, axis: int = 0) -> Any:
        edges = [*(int(i) for i in np.asarray(indices)), array.shape[axis]]
        pieces = [
            ufunc.reduce(along(array, axis, slice(a, b if a < b else a + 1)), axis=axis)
            for a, b in itertools.pairwise(edges)
        ]
        return np.stack(pieces, axis=axis)

    return reduceat


# Of these (a * b) * c is a * (b * c), so the order of the calls does not matter.
_ASSOCIATIVE = (
    np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2,
)  # fmt: skip

for _ufunc in [f for f in RULES if isinstance(f, np.ufunc) and (f.nin, f.nout) == (2, 1)]:
    if not _ufunc.signature:
        UFUNC_METHODS[_ufunc, "outer"] = _outer(_ufunc)
for _ufunc in _ASSOCIATIVE:
    if (_ufunc, "reduce") not in UFUNC_METHODS:
        UFUNC_METHODS[_ufunc, "reduce"] = lambda x, axis=0, keepdims=False, *, ufunc=_ufunc: reduce(
            ufunc, x, axis, keepdims
        )
    UFUNC_METHODS[_ufunc, "accumulate"] = lambda x, axis=0, *, ufunc=_ufunc: accumulate(
        ufunc, x, axis
    )
    UFUNC_METHODS[_ufunc, "reduceat"] = _reduceat(_ufunc)
UFUNC_METHODS[np.add, "accumulate"] = lambda x, axis=0: np.cumsum(x, axis)
