"""What rules say about axes, shapes and dtypes.

`axis` is None (all axes), an int or a tuple of ints, as in NumPy. Everything here takes arrays and
Tensors alike.
"""

import math
from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from retrograd.engine.tensor import holds_tensors
from retrograd.rules.nesting import nest

# What a user may give


def to_array(x: Any) -> Any:
    """Return a list or a number as an array, or a Tensor; an array or a Tensor as it is."""
    if hasattr(x, "dtype"):
        return x
    return nest(x) if holds_tensors(x) else np.asarray(x)


def is_complex(x: Any) -> bool:
    """Tell whether an array or a Tensor holds complex numbers."""
    return bool(x.dtype.kind == "c")


def conjugate(x: Any) -> Any:
    """Return the complex conjugate of an array or a Tensor; real numbers as they are."""
    return np.conjugate(x) if is_complex(x) else x


def to_floats(x: Any) -> Any:
    """Return integers and truth values as float64; floats and complex numbers as they are."""
    return x if x.dtype.kind in "fc" else x.astype(float)


def in_dtype(x: Any, dtype: Any) -> Any:
    """Return `x` in a dtype, or as it is where `dtype` is None."""
    return x if dtype is None or x.dtype == dtype else x.astype(dtype)


def check_at_least(bound: int, fn: str, name: str, got: int) -> None:
    """Raise ValueError where an argument of `fn` is too small."""
    if got < bound:
        raise ValueError(f"{fn} takes {name} of at least {bound}, not {got}")


# Which axes are meant


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """Return the axes that `axis` means, each as a number from 0.

    Raises AxisError for one that is not there, ValueError for one that is named twice.
    """
    n = x.ndim
    if axis is None:
        return tuple(range(n))
    axes = axis if isinstance(axis, tuple) else (axis,)
    for a in axes:
        if not -n <= a < n:
            raise np.exceptions.AxisError(a, n)
    found = tuple(a % n for a in axes)
    if len(axes) > 1 and len({*found}) < len(axes):
        raise ValueError(f"repeated axis in {axis}")
    return found


def axis_of(x: Any, axis: Any) -> int:
    """Return the one axis that `axis` means, as a number from 0; AxisError if it is not there."""
    (found,) = axes_of(x, axis)
    return found


def count(x: Any, axis: Any) -> int:
    """Return how many elements of `x` become one where `axis` is reduced."""
    return math.prod(x.shape[a] for a in axes_of(x, axis))


def inverse(axes: Sequence[int] | None) -> Any:
    """Return the order of axes that undoes a transpose to the order `axes`."""
    if axes is None:
        return None
    order = [a % len(axes) for a in axes]
    return tuple(map(order.index, range(len(order))))


def order_with_last(x: Any, axes: Container[int]) -> list[int]:
    """Return the order of all axes of `x` that puts `axes` last."""
    return sorted(range(x.ndim), key=axes.__contains__)


# Shapes along axes


def along(x: Any, axis: int, part: Any) -> Any:
    """Return `x[part]` on one axis: `part` is an index or a slice."""
    return x[(slice(None),) * axis_of(x, axis) + (part,)]


def shape_with(x: Any, axes: Container[int], length: int = 1) -> tuple[int, ...]:
    """Return the shape of `x` with another length on some axes."""
    return tuple(length if i in axes else n for i, n in enumerate(x.shape))


def spread(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Put the axes that a reduction of `x` took away back with length 1.

    Then `g`, of the reduction's shape, broadcasts with `x`. With all axes away it does already.
    """
    return g if keepdims or axis is None else g.reshape(shape_with(x, axes_of(x, axis)))


def vector_along(x: Any, axis: int, ndim: int) -> Any:
    """Return a vector as an array of `ndim` axes that goes along one of them."""
    return x.reshape(tuple(-1 if i == axis % ndim else 1 for i in range(ndim)))


def merge_last(x: Any, axes: tuple[int, ...]) -> Any:
    """Return `x` with `axes` made one, the last."""
    order = order_with_last(x, axes)
    others = [x.shape[i] for i in order[: x.ndim - len(axes)]]
    return x.transpose(order).reshape((*others, math.prod(x.shape[i] for i in axes)))
