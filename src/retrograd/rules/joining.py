"""Functions that join arrays, take them apart, or make them longer."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import composed, defvjp_each
from retrograd.rules.reductions import along, given


def concat(*arrays: Any, axis: int | None = 0) -> Any:
    """Join arrays along an axis: `np.concatenate` with the arrays as arguments."""
    return np.concatenate(arrays, axis=axis)


def concat_piece(position: int, g: Any, out: Any, *arrays: Any, axis: int | None = 0) -> Any:
    """Cut out of `g` what belongs to one of the joined arrays."""
    here = arrays[position]
    along = 0 if axis is None else axis % g.ndim
    lengths = [a.size if axis is None else a.shape[along] for a in arrays]
    start = sum(lengths[:position])
    piece = g[(slice(None),) * along + (slice(start, start + lengths[position]),)]
    return piece.reshape(here.shape)


defvjp_each(concat, concat_piece)


@composed(np.concatenate)
def concatenate(arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None) -> Any:
    """Answer `np.concatenate`."""
    joined = record(concat, *map(given, arrays), axis=axis)
    return joined if dtype is None else joined.astype(dtype)


@composed(np.stack)
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None) -> Any:
    """Answer `np.stack`: each array gets the new axis, then they are joined."""
    arrays = [given(a) for a in arrays]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        raise ValueError(f"np.stack joins arrays of one shape, got {sorted(shapes)}")
    return concatenate([np.expand_dims(a, axis) for a in arrays], axis, dtype=dtype)


@composed(np.hstack)
def hstack(tup: Any, *, dtype: Any = None) -> Any:
    """Answer `np.hstack`."""
    arrays = [np.atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if arrays and arrays[0].ndim == 1 else 1, dtype=dtype)


@composed(np.vstack)
def vstack(tup: Any, *, dtype: Any = None) -> Any:
    """Answer `np.vstack`."""
    return concatenate([np.atleast_2d(a) for a in tup], dtype=dtype)


@composed(np.dstack)
def dstack(tup: Any) -> Any:
    """Answer `np.dstack`."""
    return concatenate([np.atleast_3d(a) for a in tup], 2)


@composed(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Answer `np.column_stack`."""
    arrays = [given(a) for a in tup]
    return concatenate([a if a.ndim > 1 else np.reshape(a, (-1, 1)) for a in arrays], 1)


@composed(np.block)
def block(arrays: Any) -> Any:
    """Answer `np.block`: the innermost lists are joined along the last axis."""

    def depth(part: Any) -> int:
        return 1 + max(map(depth, part)) if isinstance(part, list) else 0

    def axes(part: Any) -> int:
        return max(map(axes, part)) if isinstance(part, list) else np.ndim(part)

    levels = depth(arrays)
    ndim = max(levels, axes(arrays))

    def joined(part: Any, level: int) -> Any:
        if isinstance(part, list):
            return np.concatenate([joined(p, level + 1) for p in part], axis=level - levels)
        part = given(part)
        return np.reshape(part, (1,) * (ndim - part.ndim) + part.shape)

    whole = joined(arrays, 0)
    return whole if levels else np.copy(whole)


@composed(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Answer `np.append`."""
    return np.concatenate([given(arr), given(values)], axis=axis)


@composed(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Answer `np.insert`: both arrays are joined, then taken in the order NumPy gives."""
    arr, values = given(arr), given(values)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis %= arr.ndim
    n = arr.shape[axis]
    places = np.arange(*obj.indices(n)) if isinstance(obj, slice) else np.asarray(obj)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    values = np.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
    if not places.ndim:
        values = np.moveaxis(values, 0, axis)
    number = values.shape[axis] if places.size == 1 else places.size
    shape = tuple(number if i == axis else m for i, m in enumerate(arr.shape))
    both = np.concatenate([arr, np.broadcast_to(values.astype(arr.dtype), shape)], axis=axis)
    order = np.insert(np.arange(n), places, n + np.arange(number))
    return np.take(both, order, axis=axis)


# --- taking apart --------------------------------------------------------------------------------


@composed(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Answer `np.array_split`: the pieces are slices, the first ones longer."""
    n = ary.shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [int(i) for i in indices_or_sections]
    else:
        sections = int(indices_or_sections)
        if sections < 1:
            raise ValueError(f"np.array_split into {sections} parts: at least one")
        short, longer = divmod(n, sections)
        cuts = [i * short + min(i, longer) for i in range(1, sections)]
    return [along(ary, axis, slice(a, b)) for a, b in itertools.pairwise([0, *cuts, n])]


@composed(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Answer `np.split`."""
    n = ary.shape[axis]
    if not np.ndim(indices_or_sections) and n % indices_or_sections:
        raise ValueError(
            f"np.split: axis {axis} of length {n} does not divide into {indices_or_sections} "
            "equal parts; np.array_split takes unequal ones"
        )
    return array_split(ary, indices_or_sections, axis)


@composed(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Answer `np.hsplit`."""
    return split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@composed(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Answer `np.vsplit`."""
    if ary.ndim < 2:
        raise ValueError(f"np.vsplit takes two axes or more, not shape {ary.shape}")
    return split(ary, indices_or_sections, 0)


@composed(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Answer `np.dsplit`."""
    if ary.ndim < 3:
        raise ValueError(f"np.dsplit takes three axes or more, not shape {ary.shape}")
    return split(ary, indices_or_sections, 2)


def _unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Answer `np.unstack`."""
    if not x.ndim:
        raise ValueError("np.unstack takes one axis or more")
    return tuple(along(x, axis, i) for i in range(x.shape[axis]))


if hasattr(np, "unstack"):  # NumPy 2.1
    composed(np.unstack)(_unstack)


# --- a function along axes -----------------------------------------------------------------------


@composed(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """Answer `np.apply_along_axis`: one call for each line of the array."""
    axis %= arr.ndim
    moved = np.moveaxis(arr, axis, -1)
    lead = moved.shape[:-1]
    if not all(lead):
        raise ValueError(f"np.apply_along_axis has no line to call with in shape {arr.shape}")
    results = [given(func1d(moved[i], *args, **kwargs)) for i in np.ndindex(lead)]
    shape = results[0].shape
    out = np.reshape(np.stack(results), lead + shape)
    added = range(len(lead), len(lead) + len(shape))
    return np.moveaxis(out, tuple(added), tuple(range(axis, axis + len(shape))))


@composed(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """Answer `np.apply_over_axes`."""
    for axis in axes if np.ndim(axes) else [axes]:
        axis = int(axis) % a.ndim
        result = func(a, axis)
        a = result if result.ndim == a.ndim else np.expand_dims(result, axis)
    return a
