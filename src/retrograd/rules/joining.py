"""Functions that join arrays, or take them apart."""

import functools
import itertools
from typing import Any

import numpy as np

from retrograd.engine import adapted, composed, defvjp_joint, record
from retrograd.rules.axes import along, axis_of, check_at_least, in_dtype, shape_with, to_array
from retrograd.rules.shaping import at_least


def concat(*arrays: Any, axis: int | None = 0) -> Any:
    """Return `np.concatenate` with the arrays as arguments, so that each may be a Tensor."""
    return np.concatenate(arrays, axis=axis)


def _concat_joint(needed: Any, g: Any, out: Any, *arrays: Any, axis: int | None = 0) -> Any:
    lengths = [a.size if axis is None else a.shape[axis] for a in arrays]
    ends = list(itertools.accumulate(lengths))
    pieces = {i: along(g, axis or 0, slice(ends[i] - lengths[i], ends[i])) for i in needed}
    return [piece.reshape(arrays[i].shape) for i, piece in pieces.items()]


defvjp_joint(concat, _concat_joint, title="np.concatenate")


def _check_casting(fn: str, casting: str) -> None:
    """Raise TypeError for another casting than NumPy's own default."""
    if casting != "same_kind":
        raise TypeError(f"{fn} of a Tensor takes no casting={casting!r}: use .astype before it")


@adapted(np.concatenate)
def _concatenate(
    arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None,
    casting: str = "same_kind",
) -> Any:  # fmt: skip
    _check_casting("np.concatenate", casting)
    return in_dtype(record(concat, *map(to_array, arrays), axis=axis), dtype)


@composed(np.stack)
def _stack(
    arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    _check_casting("np.stack", casting)
    arrays = [to_array(a) for a in arrays]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        raise ValueError(f"np.stack joins arrays of one shape, got {sorted(shapes)}")
    return _concatenate([np.expand_dims(a, axis) for a in arrays], axis, dtype=dtype)


@composed(np.vstack)
def _vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    _check_casting("np.vstack", casting)
    return _concatenate([at_least(2, to_array(a)) for a in tup], dtype=dtype)


@composed(np.hstack)
def _hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    _check_casting("np.hstack", casting)
    arrays = [at_least(1, to_array(a)) for a in tup]
    return _concatenate(arrays, 0 if arrays and arrays[0].ndim == 1 else 1, dtype=dtype)


# fmt: off
composed(np.dstack)(lambda tup: _concatenate([at_least(3, to_array(a)) for a in tup], 2))
composed(np.column_stack)(lambda tup: _concatenate(
    [a if a.ndim > 1 else np.reshape(a, (-1, 1)) for a in map(to_array, tup)], 1))
adapted(np.append)(lambda arr, values, axis=None: _concatenate((arr, values), axis))
# fmt: on


@composed(np.block)
def _block(arrays: Any) -> Any:
    def depth(part: Any) -> int:
        return 1 + max(map(depth, part)) if isinstance(part, list) else 0

    def join(part: Any, axis: int) -> Any:
        # the innermost lists are joined along the last axis
        if not isinstance(part, list):
            return to_array(part)
        parts = [join(p, axis + 1) for p in part]
        ndim = max(-axis, *(p.ndim for p in parts))
        return np.concatenate([p.reshape((1,) * (ndim - p.ndim) + p.shape) for p in parts], axis)

    whole = join(arrays, -depth(arrays))
    return whole if isinstance(arrays, list) else np.copy(whole)


@composed(np.insert)
def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr, values = to_array(arr), to_array(values)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = axis_of(arr, axis)
    n = arr.shape[axis]
    places = np.arange(*obj.indices(n)) if isinstance(obj, slice) else np.asarray(obj)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    values = np.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
    if not places.ndim:  # then the values have no axis for places, as NumPy's rows have
        values = np.moveaxis(values, 0, axis)
    number = values.shape[axis] if places.size == 1 else places.size
    values = np.broadcast_to(values.astype(arr.dtype), shape_with(arr, (axis,), number))
    # NumPy's own insert of numbers tells where each element comes to stand
    order = np.insert(np.arange(n), places, n + np.arange(number))
    return np.take(_concatenate([arr, values], axis), order, axis=axis)


@composed(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    n = ary.shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [int(i) for i in indices_or_sections]
    else:
        sections = int(indices_or_sections)
        check_at_least(1, "np.array_split", "sections", sections)
        short, longer = divmod(n, sections)
        cuts = [i * short + min(i, longer) for i in range(1, sections)]
    return [along(ary, axis, slice(a, b)) for a, b in itertools.pairwise([0, *cuts, n])]


@composed(np.split)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    n = ary.shape[axis]
    if not np.ndim(indices_or_sections) and n % indices_or_sections:
        raise ValueError(
            f"np.split of length {n} into {indices_or_sections} equal parts: np.array_split "
            "makes unequal ones"
        )
    return _array_split(ary, indices_or_sections, axis)


def _split_along(name: str, axis: int, least: int, ary: Any, indices_or_sections: Any) -> list[Any]:
    """Split along `axis`, or along the last one of an array that has at least `least`."""
    check_at_least(least, name, "ndim", ary.ndim)
    return _split(ary, indices_or_sections, min(axis, ary.ndim - 1))


composed(np.hsplit)(functools.partial(_split_along, "np.hsplit", 1, 1))
composed(np.vsplit)(functools.partial(_split_along, "np.vsplit", 0, 2))
composed(np.dsplit)(functools.partial(_split_along, "np.dsplit", 2, 3))


def _unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    check_at_least(1, "np.unstack", "ndim", x.ndim)
    return tuple(along(x, axis, i) for i in range(x.shape[axis]))


if hasattr(np, "unstack"):  # NumPy 2.1
    composed(np.unstack)(_unstack)


@composed(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    axis = axis_of(arr, axis)
    moved = np.moveaxis(arr, axis, -1)
    lead = moved.shape[:-1]
    check_at_least(1, "np.apply_along_axis", "axes", min(lead, default=1))
    results = [to_array(func1d(moved[i], *args, **kwargs)) for i in np.ndindex(lead)]
    shape = results[0].shape
    out = np.reshape(np.stack(results), lead + shape)
    new = range(len(lead), len(lead) + len(shape))
    return np.moveaxis(out, tuple(new), tuple(range(axis, axis + len(shape))))


@composed(np.apply_over_axes)
def _apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    for axis in axes if np.ndim(axes) else [axes]:
        axis = axis_of(a, int(axis))
        result = func(a, axis)
        a = result if result.ndim == a.ndim else np.expand_dims(result, axis)
    return a
