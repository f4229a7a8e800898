"""Functions that join arrays, take them apart, or make them longer."""

import functools
import itertools
from typing import Any

import numpy as np

from retrograd.engine import composed, defvjp_joint, record
from retrograd.rules.arithmetic import along, at_least, column, given, in_dtype, resized


def concat(*arrays: Any, axis: int | None = 0) -> Any:
    """Return `np.concatenate` with the arrays as arguments."""
    return np.concatenate(arrays, axis=axis)


def _concat_joint(needed: Any, g: Any, out: Any, *arrays: Any, axis: int | None = 0) -> Any:
    lengths = [a.size if axis is None else a.shape[axis] for a in arrays]
    ends = list(itertools.accumulate(lengths))
    pieces = {i: along(g, axis or 0, slice(ends[i] - lengths[i], ends[i])) for i in needed}
    return [piece.reshape(arrays[i].shape) for i, piece in pieces.items()]


defvjp_joint(concat, _concat_joint)


@composed(np.concatenate)
def _concatenate(
    arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None
) -> Any:
    joined = record(concat, *map(given, arrays), axis=axis)
    return in_dtype(joined, dtype)


@composed(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None) -> Any:
    arrays = [given(a) for a in arrays]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        raise ValueError(f"np.stack joins arrays of one shape, got {sorted(shapes)}")
    return _concatenate([np.expand_dims(a, axis) for a in arrays], axis, dtype=dtype)


@composed(np.hstack)
def _hstack(tup: Any, *, dtype: Any = None) -> Any:
    arrays = [np.atleast_1d(a) for a in tup]
    return _concatenate(arrays, 0 if arrays and arrays[0].ndim == 1 else 1, dtype=dtype)


# fmt: off
composed(np.vstack)(lambda tup, *, dtype=None: _concatenate(map(np.atleast_2d, tup), dtype=dtype))
composed(np.dstack)(lambda tup: _concatenate(map(np.atleast_3d, tup), 2))
composed(np.column_stack)(lambda tup: _concatenate(
    [a if a.ndim > 1 else np.reshape(a, (-1, 1)) for a in map(given, tup)], 1))
composed(np.append)(lambda arr, values, axis=None: _concatenate((arr, values), axis))
# fmt: on


@composed(np.block)
def _block(arrays: Any) -> Any:
    def depth(part: Any) -> int:
        return 1 + max(map(depth, part)) if isinstance(part, list) else 0

    def joined(part: Any, axis: int) -> Any:
        if not isinstance(part, list):
            return given(part)
        parts = [joined(p, axis + 1) for p in part]
        ndim = max(-axis, *(p.ndim for p in parts))
        return np.concatenate([p.reshape((1,) * (ndim - p.ndim) + p.shape) for p in parts], axis)

    whole = joined(arrays, -depth(arrays))
    return whole if isinstance(arrays, list) else np.copy(whole)


@composed(np.insert)
def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
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
    values = np.broadcast_to(values.astype(arr.dtype), resized(arr, (axis,), number))
    order = np.insert(np.arange(n), places, n + np.arange(number))
    return np.take(_concatenate([arr, values], axis), order, axis=axis)


@composed(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    n = ary.shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [int(i) for i in indices_or_sections]
    else:
        sections = int(indices_or_sections)
        at_least(1, "np.array_split", "sections", sections)
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
    at_least(least, name, "ndim", ary.ndim)
    return _split(ary, indices_or_sections, min(axis, ary.ndim - 1))


composed(np.hsplit)(functools.partial(_split_along, "np.hsplit", 1, 1))
composed(np.vsplit)(functools.partial(_split_along, "np.vsplit", 0, 2))
composed(np.dsplit)(functools.partial(_split_along, "np.dsplit", 2, 3))


def _unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    at_least(1, "np.unstack", "ndim", x.ndim)
    return tuple(along(x, axis, i) for i in range(x.shape[axis]))


if hasattr(np, "unstack"):  # NumPy 2.1
    composed(np.unstack)(_unstack)


@composed(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    axis %= arr.ndim
    moved = np.moveaxis(arr, axis, -1)
    lead = moved.shape[:-1]
    at_least(1, "np.apply_along_axis", "axes", min(lead, default=1))
    results = [given(func1d(moved[i], *args, **kwargs)) for i in np.ndindex(lead)]
    shape = results[0].shape
    out = np.reshape(np.stack(results), lead + shape)
    added = range(len(lead), len(lead) + len(shape))
    return np.moveaxis(out, tuple(added), tuple(range(axis, axis + len(shape))))


@composed(np.apply_over_axes)
def _apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    for axis in axes if np.ndim(axes) else [axes]:
        axis = int(axis) % a.ndim
        result = func(a, axis)
        a = result if result.ndim == a.ndim else np.expand_dims(result, axis)
    return a


_PAD_OPTIONS = {
    "constant": "constant_values", "linear_ramp": "end_values", "edge": "", "wrap": "",
    "reflect": "reflect_type", "symmetric": "reflect_type",
    **dict.fromkeys(("maximum", "minimum", "mean", "median"), "stat_length"),
}  # fmt: skip


@composed(np.pad)
def _pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    if mode not in _PAD_OPTIONS:
        kind = TypeError if callable(mode) or mode == "empty" else ValueError
        raise kind(f"np.pad of a Tensor takes a mode of {[*_PAD_OPTIONS]}, not {mode!r}")
    option = _PAD_OPTIONS[mode]
    if unknown := kwargs.keys() - {option}:
        raise ValueError(f"np.pad in mode {mode!r} does not take {', '.join(sorted(unknown))}")
    widths = _both_sides(pad_width, array.ndim)
    values = _both_sides(kwargs.get(option, None if option == "stat_length" else 0), array.ndim)
    for axis, (width, value) in enumerate(zip(widths, values, strict=True)):
        n = array.shape[axis]
        at_least(0, "np.pad", "pad_width", min(width))
        if option not in ("", "reflect_type"):
            before, after = (_padding(array, axis, width, value, mode, i) for i in (0, 1))
            array = np.concatenate([before, array, after], axis=axis)
        elif kwargs.get(option) == "odd":  # linear in the elements
            matrix = np.pad(np.eye(n, dtype=array.dtype), (width, (0, 0)), mode, **kwargs)
            array = np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
        elif any(width):
            array = np.take(array, np.pad(np.arange(n), width, mode), axis=axis)
    return array


def _both_sides(value: Any, n: int) -> list[Any]:
    """Return `(before, after)` for each of `n` axes."""
    if isinstance(value, dict):
        return [_both_sides(value.get(axis, value.get(axis - n, 0)), 1)[0] for axis in range(n)]
    if value is None or (hasattr(value, "requires_grad") and not value.ndim):
        return [(value, value)] * n
    if isinstance(value, (tuple, list)) and any(hasattr(v, "requires_grad") for v in value):
        return [tuple(value)] * n
    return [tuple(pair) for pair in np.broadcast_to(value, (n, 2)).tolist()]


def _padding(array: Any, axis: int, width: Any, values: Any, mode: str, side: int) -> Any:
    """Return what goes before (side 0) or after."""
    length, value, n = int(width[side]), values[side], array.shape[axis]
    if mode == "constant":
        tensor = hasattr(value, "requires_grad")
        value = value.astype(array.dtype) if tensor else np.full((), value, array.dtype)
    else:
        near = 1 if mode == "linear_ramp" else n if value is None else min(value, n)
        part = along(array, axis, slice(n - near, n) if side else slice(0, near))
        if mode == "linear_ramp":
            t = np.arange(length) / max(length, 1)  # 0 at the end, rising towards the edge
            t = column((t[::-1] if side else t).astype(array.dtype), axis, array.ndim)
            return part * t + value * (1 - t)
        of: Any = getattr(np, mode.removesuffix("imum"))
        value = of(part, axis=axis, keepdims=True)
    return np.broadcast_to(value, resized(array, (axis,), length))
