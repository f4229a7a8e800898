"""`np.pad` in all its modes but a function, one axis after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.registry import composed
from retrograd.rules.reductions import along


@composed(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Answer `np.pad`."""
    if callable(mode) or mode == "empty":
        raise TypeError(f"np.pad of a Tensor takes a mode that says the values, not {mode!r}")
    if mode not in _MODES:
        raise ValueError(f"np.pad takes a mode of {sorted(_MODES)}, not {mode!r}")
    known, pad_axis = _MODES[mode]
    if unknown := kwargs.keys() - known:
        raise ValueError(f"np.pad in mode {mode!r} does not take {', '.join(sorted(unknown))}")
    n = array.ndim
    widths = _pairs(pad_width, n)
    options = {
        name: _pairs(value, n) if name != "reflect_type" else [value] * n
        for name, value in kwargs.items()
    }
    for axis, width in enumerate(widths):
        if any(w < 0 for w in width):
            raise ValueError(f"np.pad by {width}: a width is 0 or more")
        here = {name: values[axis] for name, values in options.items()}
        array = pad_axis(array, axis, (int(width[0]), int(width[1])), mode, **here)
    return array


def _pairs(value: Any, n: int) -> list[Any]:
    """Return `(before, after)` for each of `n` axes; a number or a pair is for all."""
    if isinstance(value, dict):
        width: list[Any] = [(0, 0)] * n
        for axis, w in value.items():
            width[axis] = w if np.ndim(w) else (w, w)
        return width
    if hasattr(value, "requires_grad") and not value.ndim:
        return [(value, value)] * n
    if isinstance(value, (tuple, list)) and any(hasattr(v, "requires_grad") for v in value):
        return [tuple(value)] * n
    if value is None:
        return [(None, None)] * n
    return [tuple(pair) for pair in np.broadcast_to(value, (n, 2)).tolist()]


def _filled(array: Any, axis: int, length: int, value: Any) -> Any:
    """Return a block of `length` to put beside `array`."""
    shape = tuple(length if i == axis else m for i, m in enumerate(array.shape))
    if not hasattr(value, "requires_grad"):
        return np.full(shape, value, array.dtype)
    return np.broadcast_to(value.astype(array.dtype), shape)


def _constant(array: Any, axis: int, width: Any, mode: str, constant_values: Any = (0, 0)) -> Any:
    before = _filled(array, axis, width[0], constant_values[0])
    after = _filled(array, axis, width[1], constant_values[1])
    return np.concatenate([before, array, after], axis=axis)


def _copied(array: Any, axis: int, width: Any, mode: str, reflect_type: str = "even") -> Any:
    """Pad with elements of the array, or with what is linear in them."""
    n = array.shape[axis]
    if not any(width):
        return array
    if reflect_type == "odd":
        matrix = np.pad(np.eye(n), (width, (0, 0)), mode, reflect_type="odd")  # type: ignore[call-overload]
        moved = np.matmul(matrix.astype(array.dtype), np.moveaxis(array, axis, 0).reshape((n, -1)))
        shape = [m for i, m in enumerate(array.shape) if i != axis]
        return np.moveaxis(moved.reshape((-1, *shape)), 0, axis)
    source = np.pad(np.arange(n), width, mode)  # type: ignore[call-overload]
    return np.take(array, source, axis=axis)


def _ramp(array: Any, axis: int, width: Any, mode: str, end_values: Any = (0, 0)) -> Any:
    """Pad with straight lines from the edges to the end values."""
    n = array.shape[axis]
    parts = [array]
    for side, edge in ((0, slice(0, 1)), (1, slice(n - 1, n))):
        length, end = width[side], end_values[side]
        t = np.arange(length) / max(length, 1)  # 0 at the end, rising towards the edge
        t = (t if side == 0 else t[::-1]).astype(array.dtype)
        t = t.reshape([-1 if i == axis else 1 for i in range(array.ndim)])
        block = along(array, axis, edge) * t + end * (1 - t)
        parts.insert(0 if side == 0 else 2, block)
    return np.concatenate(parts, axis=axis)


def _statistic(array: Any, axis: int, width: Any, mode: str, stat_length: Any = None) -> Any:
    """Pad with the maximum, minimum, mean or median of the elements near each edge."""
    of: Callable[..., Any] = getattr(np, {"maximum": "max", "minimum": "min"}.get(mode, mode))
    n = array.shape[axis]
    first, last = stat_length or (None, None)
    first, last = (n if m is None else min(m, n) for m in (first, last))
    blocks = []
    for length, part in ((width[0], slice(0, first)), (width[1], slice(n - last, n))):
        value = of(along(array, axis, part), axis=axis, keepdims=True)
        shape = tuple(length if i == axis else m for i, m in enumerate(array.shape))
        blocks.append(np.broadcast_to(value, shape))
    return np.concatenate([blocks[0], array, blocks[1]], axis=axis)


_MODES: dict[str, tuple[set[str], Callable[..., Any]]] = {
    "constant": ({"constant_values"}, _constant),
    "edge": (set(), _copied),
    "wrap": (set(), _copied),
    "reflect": ({"reflect_type"}, _copied),
    "symmetric": ({"reflect_type"}, _copied),
    "linear_ramp": ({"end_values"}, _ramp),
    "maximum": ({"stat_length"}, _statistic),
    "minimum": ({"stat_length"}, _statistic),
    "mean": ({"stat_length"}, _statistic),
    "median": ({"stat_length"}, _statistic),
}
