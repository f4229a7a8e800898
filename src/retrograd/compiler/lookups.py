"""`X[index]` where X is a NumPy array outside, and the index a Tensor of the run.

NumPy asks the Tensor for its values and returns an array, so that nothing would be recorded. Which
array is looked up stands in the line that is being run.
"""

from __future__ import annotations

import ast
import dis
import linecache
import sys
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from retrograd.compiler.lines import HERE
from retrograd.engine import Array, Tensor

CURE = (
    "the next run has another index. To look up values of a NumPy array X outside, make it a "
    "Tensor once, outside: X = rg.Tensor(X), and write X[index] here."
)
_MISSING = object()


class Lookup(NamedTuple):
    """A lookup whose result has not been met yet.

    Args:
        source: the array outside.
        found: what the recorded lookup gave, equal to what NumPy returns by itself.
        place: the user's line.
    """

    source: Array
    found: Array
    place: tuple[str, int]


def find_source(index: Tensor) -> Array | None:
    """Return the NumPy array that the user's line looks up by a Tensor; None if it is not clear."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    if frame is None or not index.ndim or index.dtype.kind not in "iub":
        return None
    expression = _subscript(frame)
    if expression is None or _value(expression.slice, frame) is not index:
        return None
    source = _value(expression.value, frame)
    fits = type(source) is np.ndarray and source.ndim and source.dtype.kind in "fiub"
    return source if fits else None


def _subscript(frame: FrameType) -> ast.Subscript | None:
    """Return the expression `x[i]` that a frame is at, as its source says."""
    code, at = frame.f_code, frame.f_lasti
    if dis.opname[code.co_code[at]] not in ("BINARY_SUBSCR", "BINARY_OP"):
        return None
    first, last, start, end = [*code.co_positions()][at // 2]
    if first is None or first != last or start is None or end is None:
        return None
    line = linecache.getline(code.co_filename, first).encode()
    try:
        found = ast.parse(line[start:end].decode(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return found if isinstance(found, ast.Subscript) else None


def _value(expression: Any, frame: FrameType) -> Any:
    """Return the value of a variable, or of an attribute of one."""
    if isinstance(expression, ast.Name):
        name = expression.id
        return frame.f_locals.get(name, frame.f_globals.get(name, _MISSING))
    if isinstance(expression, ast.Attribute):
        owner = _value(expression.value, frame)
        return getattr(owner, "__dict__", {}).get(expression.attr, _MISSING)
    return _MISSING
