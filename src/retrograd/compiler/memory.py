"""Memory that begins where a whole line of the processor's cache does."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.engine import Array

LINE = 64  # bytes: the longest vectors are as long, and one that lies across two lines costs twice


def empty_in_lines(size: int, dtype: Any) -> Array:
    """Return a new array of one axis, not filled, whose memory begins at a line.

    Args:
        size: how many elements it has.
        dtype: their dtype.
    """
    kind = np.dtype(dtype)
    memory = np.empty(size * kind.itemsize + LINE, np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + size * kind.itemsize].view(kind)
