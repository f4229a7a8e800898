"""`np.pad`, one axis after the other, in all its modes but those that leave values open."""

from typing import Any

import numpy as np

from retrograd.engine import composed
from retrograd.rules.axes import along, check_at_least, shape_with, vector_along

# of each mode the one option that it takes
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
        check_at_least(0, "np.pad", "pad_width", min(width))
        if option not in ("", "reflect_type"):
            before, after = (_padding(array, axis, width, value, mode, i) for i in (0, 1))
            array = np.concatenate([before, array, after], axis=axis)
        elif kwargs.get(option) == "odd":
            # NumPy's own padding of the identity matrix is the linear map
            matrix = np.pad(np.eye(n, dtype=array.dtype), (width, (0, 0)), mode, **kwargs)
            array = np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
        elif any(width):
            # NumPy's own padding of positions tells which elements are repeated
            array = np.take(array, np.pad(np.arange(n), width, mode), axis=axis)
    return array


def _both_sides(value: Any, n: int) -> list[Any]:
    """Return `(before, after)` for each of `n` axes: of a number, a pair, pairs, or a dict."""
    if isinstance(value, dict):
        return [_both_sides(value.get(axis, value.get(axis - n, 0)), 1)[0] for axis in range(n)]
    if value is None or (hasattr(value, "requires_grad") and not value.ndim):
        return [(value, value)] * n
    if isinstance(value, (tuple, list)) and any(hasattr(v, "requires_grad") for v in value):
        return [tuple(value)] * n
    return [tuple(pair) for pair in np.broadcast_to(value, (n, 2)).tolist()]


def _padding(array: Any, axis: int, width: Any, values: Any, mode: str, side: int) -> Any:
    """Return what goes before the array along an axis (`side` 0), or after it (1)."""
    length, value, n = int(width[side]), values[side], array.shape[axis]
    if mode == "constant":
        tensor = hasattr(value, "requires_grad")
        value = value.astype(array.dtype) if tensor else np.full((), value, array.dtype)
    else:
        # how many elements next to the edge decide
        near = 1 if mode == "linear_ramp" else n if value is None else min(value, n)
        part = along(array, axis, slice(n - near, n) if side else slice(0, near))
        if mode == "linear_ramp":
            t = np.arange(length) / max(length, 1)  # 0 at the end, rising towards the edge
            t = vector_along((t[::-1] if side else t).astype(array.dtype), axis, array.ndim)
            return part * t + value * (1 - t)
        of: Any = getattr(np, mode.removesuffix("imum"))
        value = of(part, axis=axis, keepdims=True)
    return np.broadcast_to(value, shape_with(array, (axis,), length))
