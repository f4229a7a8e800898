"""Differences along an axis, and what is made of neighbours: slopes and areas."""

from typing import Any

import numpy as np

from retrograd.engine import composed
from retrograd.rules.axes import (
    along,
    axes_of,
    axis_of,
    check_at_least,
    in_dtype,
    shape_with,
    to_array,
    to_floats,
    vector_along,
)


def _neighbours(x: Any, axis: int) -> tuple[Any, Any]:
    """Return all elements but the first, and all but the last."""
    return along(x, axis, slice(1, None)), along(x, axis, slice(None, -1))


@composed(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    a = to_array(a)
    check_at_least(0, "np.diff", "n", n)
    if not n:
        return a
    check_at_least(1, "np.diff", "ndim", a.ndim)
    one = shape_with(a, (axis_of(a, axis),))
    ends = [to_array(x) for x in (prepend, a, append) if x is not None]
    if len(ends) > 1:
        ends = [x if x.ndim else np.broadcast_to(x, one) for x in ends]
        a = np.concatenate(ends, axis=axis)
    for _ in range(n):
        later, earlier = _neighbours(a, axis)
        a = np.not_equal(later, earlier) if a.dtype == bool else later - earlier
    return a


@composed(np.ediff1d)
def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(to_array(ary))
    parts = [to_begin, ary[1:] - ary[:-1], to_end]
    parts = [np.ravel(to_array(part)) for part in parts if part is not None]
    return np.concatenate(parts).astype(ary.dtype)


@composed(np.trapezoid)
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = to_array(y)
    if x is not None:
        x = to_array(x)
        dx = vector_along(np.diff(x), axis, y.ndim) if x.ndim == 1 else np.diff(x, axis=axis)
    later, earlier = _neighbours(y, axis)
    return np.sum(dx * (later + earlier) / 2.0, axis=axis)


@composed(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = to_floats(to_array(f))  # since differences of unsigned integers wrap round
    axes = axes_of(f, tuple(axis) if isinstance(axis, list) else axis)
    if edge_order not in (1, 2):
        raise ValueError(f"np.gradient takes edge_order 1 or 2, not {edge_order}")
    steps = tuple(map(to_array, varargs or (1.0,)))
    if len(steps) == 1 and not steps[0].ndim:
        steps *= len(axes)
    if len(steps) != len(axes):
        raise TypeError(f"np.gradient got {len(steps)} steps for {len(axes)} axes")
    slopes = tuple(_slope(f, h, i, edge_order) for i, h in zip(axes, steps, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Return the derivative along one axis: `step` is the distance, or the vector of places."""
    n = f.shape[axis]
    check_at_least(edge_order + 1, "np.gradient", "elements", n)
    f = np.moveaxis(f, axis, 0)
    if step.ndim:  # in the wider dtype, since sums of distances are rounded too
        step = to_floats(step)
        h = np.diff(in_dtype(step, np.result_type(f.dtype, step.dtype)))
    else:
        h = step.astype(f.dtype)
    h = vector_along(np.broadcast_to(h, (n - 1,)), 0, f.ndim)
    slopes = (f[1:] - f[:-1]) / h
    one, two = h[:-1], h[1:]
    inner = (slopes[1:] * one + slopes[:-1] * two) / (one + two)
    first, last = slopes[:1], slopes[-1:]
    if edge_order == 2:
        # the slopes half a step inwards, extrapolated to the ends
        first = first - (slopes[1:2] - first) * h[:1] / (h[:1] + h[1:2])
        last = last + (last - slopes[-2:-1]) * h[-1:] / (h[-1:] + h[-2:-1])
    # NumPy writes the slopes into an array of the dtype of `f`
    slopes = np.concatenate([first, inner, last]).astype(f.dtype)
    return np.moveaxis(slopes, 0, axis)
