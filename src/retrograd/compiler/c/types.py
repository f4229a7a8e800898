"""What NumPy's dtypes are in C, and numbers of them as text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_NAMES = {
    ("f", 8): "double", ("f", 4): "float", ("b", 1): "uint8_t",
    **{("i", n): f"int{8 * n}_t" for n in (1, 2, 4, 8)},
    **{("u", n): f"uint{8 * n}_t" for n in (1, 2, 4, 8)},
}  # fmt: skip


def has_type(dtype: np.dtype[Any]) -> bool:
    """Tell whether C99 has numbers of a dtype: not so of float16 and of complex numbers."""
    return dtype.isnative and (dtype.kind, dtype.itemsize) in _NAMES


def type_name(dtype: np.dtype[Any]) -> str:
    """Return the name of a dtype in C, such as "double"."""
    return _NAMES[dtype.kind, dtype.itemsize]


def number(value: Any, dtype: np.dtype[Any]) -> str:
    """Return a number of a dtype as C text; it reads back as the same bits."""
    exact: Any = np.asarray(value).astype(dtype)[()]
    if dtype.kind == "f":
        suffix = "f" if dtype.itemsize == 4 else ""
        if math.isnan(exact):
            return f"({type_name(dtype)})NAN"
        if math.isinf(exact):
            return f"({type_name(dtype)}){'-' if exact < 0 else ''}INFINITY"
        # the shortest text that gives a float32 is enough for C, which rounds it as such
        text = np.format_float_scientific(exact, unique=True, trim="0")
        plain = repr(float(text))
        return f"({plain}{suffix})" if math.copysign(1, exact) < 0 else f"{plain}{suffix}"
    whole = int(exact)
    if dtype.kind == "b":
        return str(whole)
    if dtype.kind == "i":
        least = -(2 ** (8 * dtype.itemsize - 1))
        text = f"(-INT64_C({-(whole + 1)}) - 1)" if whole == least else f"INT64_C({whole})"
    else:
        text = f"UINT64_C({whole})"
    return f"({type_name(dtype)}){text}"


def is_float(dtype: np.dtype[Any]) -> bool:
    """Tell whether a dtype is one of C's floats."""
    return dtype.kind == "f" and dtype.itemsize in (4, 8)
