"""Numbers, arrays and places in them, short enough to read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.engine import is_stand_in

# an array of no more elements than this is shown whole
_FEW = 4


def show_number(value: Any) -> str:
    """Return a number with four digits.

    >>> from retrograd.seeing.numbers import show_number
    >>> [show_number(v) for v in (0.46211715, 2.0, -0.0, 1e-12, True)]
    ['0.4621', '2', '0', '1e-12', 'True']
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, complex):
        return f"{value.real:.4g}{value.imag:+.4g}j"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.4g}" if value else "0"


def in_brackets(value: Any) -> str:
    """Return a number as it stands in a formula: a negative one in brackets."""
    text = show_number(value)
    return f"({text})" if text.startswith("-") else text


def is_number(value: Any) -> bool:
    """Tell whether a value is one number, also as an array of one element."""
    return isinstance(value, (int, float, np.generic)) or (
        isinstance(value, np.ndarray) and value.size == 1
    )


def show_value(value: Any) -> str:
    """Return a number; a small array whole; of a larger one its shape and range.

    >>> from retrograd.seeing.numbers import show_value
    >>> show_value(np.array([1.0, -0.5]))
    '[1, -0.5]'
    >>> show_value(np.arange(12.0).reshape(3, 4))
    '(3, 4) from 0 to 11'
    """
    if not isinstance(value, np.ndarray):
        return show_number(value)
    if is_stand_in(value):
        return f"{show_shape(value)}, written over since"
    if value.size == 1:
        return show_number(value.reshape(())[()])
    if not value.size:
        return f"{show_shape(value)} empty"
    if value.ndim == 1 and value.size <= _FEW:
        return f"[{', '.join(show_number(v) for v in value)}]"
    if value.dtype.kind not in "fiu":
        return show_shape(value)
    finite = value[np.isfinite(value)]
    text = show_shape(value)
    if finite.size:
        low, high = show_number(finite.min()), show_number(finite.max())
        text += f" all {low}" if low == high else f" from {low} to {high}"
    if bad := value.size - finite.size:
        text += f", {bad} not finite"
    return text


def show_shape(value: Any) -> str:
    """Return the shape of an array, with its dtype unless that is float64."""
    dtype = "" if value.dtype == np.float64 else f" {value.dtype}"
    return f"{value.shape}{dtype}"


def largest_place(value: Any) -> tuple[int, ...]:
    """Return where the largest element of an array is, of all signs; one that is nan comes first.

    >>> from retrograd.seeing.numbers import largest_place
    >>> largest_place(np.array([[1.0, -3.0], [2.0, 0.0]]))
    (0, 1)
    """
    size = np.abs(value)
    return tuple(map(int, np.unravel_index(int(np.argmax(size)), value.shape)))


def is_place(value: Any, place: Sequence[int]) -> bool:
    """Tell whether an array has an element at a place."""
    return (
        isinstance(value, np.ndarray)
        and value.ndim == len(place)
        and all(-n <= i < n for i, n in zip(place, value.shape, strict=True))
    )


def show_place(place: Sequence[int]) -> str:
    """Return a place in an array as it is written: "[0, 3]"."""
    return f"[{', '.join(map(str, place))}]"


def is_close(x: Any, y: Any) -> bool:
    """Tell whether two numbers are the same but for rounding, by the digits that are shown."""
    x, y = float(x), float(y)
    return x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= 1e-4 * max(abs(x), abs(y))
