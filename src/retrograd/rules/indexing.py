"""Picking elements of an array, and putting them back where they were picked."""

import functools
import math
import operator
from typing import Any

import numpy as np

from retrograd.engine import composed, defvjp, nograd, primitive, record
from retrograd.rules.axes import to_array


@primitive(looks_through=False)
def put(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Return zeros of a shape to which `g` is added at `index`: the adjoint of `x[index]`."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, (list, np.ndarray)) and np.asarray(p).dtype.kind != "b" for p in parts):
        return _add_at(g, index, shape)
    # slices and masks pick no element twice
    out = np.zeros(shape, g.dtype)
    out[index] = g
    return out


def _add_at(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Do as `put` where `index` may pick an element more than once."""
    out = np.zeros(shape, g.dtype)
    if isinstance(index, np.ndarray) and len(shape) > 1:
        # the elements of each row one by one: np.add.at is twice as fast on single elements
        width = math.prod(shape[1:])
        rows = np.arange(shape[0])[index].reshape((-1, 1))
        np.add.at(out.reshape(-1), (rows * width + np.arange(width)).reshape(-1), g.reshape(-1))
    else:
        np.add.at(out, index, g)
    return out


def as_places(index: Any) -> Any:
    """Return whole numbers in a dtype in which every function of NumPy takes places.

    Fancy indexing takes every integer dtype, but `np.take`, `np.bincount` and their like of
    NumPy 2.0 refuse what does not fit its own indices: uint64, and int64 where those have 32 bits.
    """
    dtype = getattr(index, "dtype", np.intp)  # lists and Python's numbers may stay what they are
    if dtype == np.intp or np.can_cast(dtype, np.intp):
        return index
    return index.astype(np.intp)


def element_numbers(shape: tuple[int, ...]) -> Any:
    """Return an array of this shape that numbers its elements from 0."""
    return np.arange(math.prod(shape)).reshape(shape)


@primitive(looks_through=False)
def put_taken(g: Any, indices: Any, axis: Any, shape: tuple[int, ...], mode: Any = None) -> Any:
    """Return the adjoint of `np.take`, or of `np.take_along_axis` where `mode` is None."""
    if mode is None:
        numbers = np.take_along_axis(element_numbers(shape), indices, axis)
        return _add_at(g.reshape(-1), numbers.reshape(-1), (math.prod(shape),)).reshape(shape)
    if axis is None:
        return put_taken(g, indices, 0, (math.prod(shape),), mode).reshape(shape)
    index = np.take(np.arange(shape[axis]), as_places(indices), mode=mode)
    axis %= len(shape)
    return _add_at(g, (slice(None),) * axis + (index,) if axis else index, shape)


# fmt: off
defvjp(operator.getitem, lambda g, out, x, index: put(g, index, x.shape))
defvjp(put,       lambda g, out, x, index, shape: g[index], None)
defvjp(np.take,   lambda g, out, a, indices, axis=None, mode="raise":
                  put_taken(g, indices, axis, a.shape, mode=mode), None)
defvjp(np.take_along_axis, lambda g, out, arr, indices, axis=-1:
                  put_taken(g, indices, axis, arr.shape), None)
defvjp(put_taken, lambda g, out, x, indices, axis, shape, mode=None:
                  np.take_along_axis(g, indices, axis) if mode is None else
                  np.take(g, as_places(indices), axis=axis, mode=mode), None)
# fmt: on

nograd(np.nonzero, np.unravel_index, np.ix_, multi=True)
nograd(np.flatnonzero, np.argwhere, np.searchsorted, np.ravel_multi_index)

# NumPy does not hand over np.take where only the index is a Tensor: this one records then, too
take = functools.partial(record, np.take)

# fmt: off
composed(np.compress)(lambda condition, a, axis=None, out=None:
                      take(to_array(a), np.flatnonzero(condition), axis=axis))
composed(np.extract)(lambda condition, arr:
                      take(np.ravel(to_array(arr)), np.flatnonzero(condition)))
# fmt: on
