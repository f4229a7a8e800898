"""Functions that join arrays, take them apart, or make them longer."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import composed, defvjp_each, spelled
from retrograd.rules.reductions import along, column, given, in_dtype, resized


def concat(*arrays: Any, axis: int | None = 0) -> Any:
    """Return `np.concatenate` with the arrays as arguments."""
    return np.concatenate(arrays, axis=axis)


def concat_piece(position: int, g: Any, out: Any, *arrays: Any, axis: int | None = 0) -> Any:
    """Cut out of `g` what belongs to one of the joined arrays."""
    lengths = [a.size if axis is None else a.shape[axis] for a in arrays]
    start = sum(lengths[:position])
    piece = along(g, axis or 0, slice(start, start + lengths[position]))
    return piece.reshape(arrays[position].shape)


defvjp_each(concat, concat_piece)


@composed(np.concatenate)
def concatenate(arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None) -> Any:
    """Answer `np.concatenate`."""
    joined = record(concat, *map(given, arrays), axis=axis)
    return in_dtype(joined, dtype)


@composed(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None) -> Any:
    arrays = [given(a) for a in arrays]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        raise ValueError(f"np.stack joins arrays of one shape, got {sorted(shapes)}")
    return concatenate([np.expand_dims(a, axis) for a in arrays], axis, dtype=dtype)


@composed(np.hstack)
def _hstack(tup: Any, *, dtype: Any = None) -> Any:
    arrays = [np.atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if arrays and arrays[0].ndim == 1 else 1, dtype=dtype)


# fmt: off
composed(np.vstack)(lambda tup, *, dtype=None: concatenate(map(np.atleast_2d, tup), dtype=dtype))
composed(np.dstack)(lambda tup: concatenate(map(np.atleast_3d, tup), 2))
composed(np.column_stack)(lambda tup: concatenate(
    [a if a.ndim > 1 else np.reshape(a, (-1, 1)) for a in map(given, tup)], 1))
composed(np.append)(lambda arr, values, axis=None: concatenate((arr, values), axis))
# fmt: on


@composed(np.block)
def _block(arrays: Any) -> Any:
    def depth(part: Any) -> int:
        return 1 + max(map(depth, part)) if isinstance(part, list) else 0

    def axes(part: Any) -> int:
        return max(map(axes, part)) if isinstance(part, list) else np.ndim(part)

    levels = depth(arrays)
    ndim = max(levels, axes(arrays))

    def joined(part: Any, level: int) -> Any:
        """Join the parts of a list, those of the innermost lists along the last axis."""
        if isinstance(part, list):
            return np.concatenate([joined(p, level + 1) for p in part], axis=level - levels)
        part = given(part)
        return np.reshape(part, (1,) * (ndim - part.ndim) + part.shape)

    whole = joined(arrays, 0)
    return whole if levels else np.copy(whole)


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
    return np.take(concatenate([arr, values], axis), order, axis=axis)


@composed(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
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
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    n = ary.shape[axis]
    if not np.ndim(indices_or_sections) and n % indices_or_sections:
        raise ValueError(
            f"np.split: axis {axis} of length {n} does not divide into {indices_or_sections} "
            "equal parts; np.array_split takes unequal ones"
        )
    return _array_split(ary, indices_or_sections, axis)


# fmt: off
composed(np.hsplit)(lambda ary, indices_or_sections:
                    _split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0))
# fmt: on


def _split_along(fn: Any, axis: int, ndim: int) -> None:
    @composed(fn)
    def split(ary: Any, indices_or_sections: Any) -> list[Any]:
        if ary.ndim < ndim:
            raise ValueError(f"{spelled(fn)} takes {ndim} axes or more, not shape {ary.shape}")
        return _split(ary, indices_or_sections, axis)


_split_along(np.vsplit, 0, 2)
_split_along(np.dsplit, 2, 3)


def _unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    if not x.ndim:
        raise ValueError("np.unstack takes one axis or more")
    return tuple(along(x, axis, i) for i in range(x.shape[axis]))


if hasattr(np, "unstack"):  # NumPy 2.1
    composed(np.unstack)(_unstack)


@composed(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
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
def _apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    for axis in axes if np.ndim(axes) else [axes]:
        axis = int(axis) % a.ndim
        result = func(a, axis)
        a = result if result.ndim == a.ndim else np.expand_dims(result, axis)
    return a


@composed(np.pad)
def _pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    if callable(mode) or mode == "empty":
        raise TypeError(f"np.pad of a Tensor takes a mode that says the values, not {mode!r}")
    if mode not in _MODES:
        raise ValueError(f"np.pad takes a mode of {sorted(_MODES)}, not {mode!r}")
    option, pad_axis = _MODES[mode]
    if unknown := kwargs.keys() - {option}:
        raise ValueError(f"np.pad in mode {mode!r} does not take {', '.join(sorted(unknown))}")
    n = array.ndim
    default = None if option == "stat_length" else 0
    values = [kwargs.get(option, "even")] * n
    if option != "reflect_type":
        values = _both_sides(kwargs.get(option, default), n)
    for axis, (width, value) in enumerate(zip(_both_sides(pad_width, n), values, strict=True)):
        if any(w < 0 for w in width):
            raise ValueError(f"np.pad by {width}: a width is 0 or more")
        array = pad_axis(array, axis, (int(width[0]), int(width[1])), mode, value)
    return array


def _both_sides(value: Any, n: int) -> list[Any]:
    """Return `(before, after)` for each of `n` axes; a number or a pair is for all."""
    if isinstance(value, dict):
        width: list[Any] = [(0, 0)] * n
        for axis, w in value.items():
            width[axis] = w if np.ndim(w) else (w, w)
        return width
    if value is None or (hasattr(value, "requires_grad") and not value.ndim):
        return [(value, value)] * n
    if isinstance(value, (tuple, list)) and any(hasattr(v, "requires_grad") for v in value):
        return [tuple(value)] * n
    return [tuple(pair) for pair in np.broadcast_to(value, (n, 2)).tolist()]


def _beside(array: Any, axis: int, before: Any, after: Any) -> Any:
    return np.concatenate([before, array, after], axis=axis)


def _constant(array: Any, axis: int, width: Any, mode: str, values: Any) -> Any:
    blocks = []
    for length, value in zip(width, values, strict=True):
        tensor = hasattr(value, "requires_grad")
        value = value.astype(array.dtype) if tensor else np.full((), value, array.dtype)
        blocks.append(np.broadcast_to(value, resized(array, (axis,), length)))
    return _beside(array, axis, *blocks)


def _copied(array: Any, axis: int, width: Any, mode: Any, reflect_type: str) -> Any:
    """Pad with elements of the array, or with what is linear in them."""
    n = array.shape[axis]
    if not any(width):
        return array
    if reflect_type == "odd":
        matrix = np.pad(np.eye(n), (width, (0, 0)), mode, reflect_type="odd").astype(array.dtype)
        return np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
    return np.take(array, np.pad(np.arange(n), width, mode), axis=axis)


def _ramp(array: Any, axis: int, width: Any, mode: str, end_values: Any) -> Any:
    """Pad with straight lines from the edges to the end values."""
    n = array.shape[axis]
    sides = (slice(0, 1), 1), (slice(n - 1, n), -1)
    blocks = []
    for length, end, (edge, step) in zip(width, end_values, sides, strict=True):
        t = np.arange(length) / max(length, 1)  # 0 at the end, rising towards the edge
        t = column(t[::step].astype(array.dtype), axis, array.ndim)
        blocks.append(along(array, axis, edge) * t + end * (1 - t))
    return _beside(array, axis, *blocks)


def _statistic(array: Any, axis: int, width: Any, mode: str, stat_length: Any) -> Any:
    """Pad with the maximum, minimum, mean or median of the elements near each edge."""
    of: Any = getattr(np, {"maximum": "max", "minimum": "min"}.get(mode, mode))
    n = array.shape[axis]
    first, last = (n if m is None else min(m, n) for m in stat_length)
    blocks = []
    for length, part in zip(width, (slice(0, first), slice(n - last, n)), strict=True):
        value = of(along(array, axis, part), axis=axis, keepdims=True)
        blocks.append(np.broadcast_to(value, resized(array, (axis,), length)))
    return _beside(array, axis, *blocks)


# of each mode, the option it takes
_MODES: dict[str, tuple[str, Any]] = {
    "constant": ("constant_values", _constant),
    "edge": ("", _copied), "wrap": ("", _copied),
    "reflect": ("reflect_type", _copied), "symmetric": ("reflect_type", _copied),
    "linear_ramp": ("end_values", _ramp),
    **dict.fromkeys(("maximum", "minimum", "mean", "median"), ("stat_length", _statistic)),
}  # fmt: skip
