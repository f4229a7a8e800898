"""Indexing of every kind, and its adjoint."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.registry import defvjp


@primitive(looks_through=False)
def put(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Add `g` into zeros of `shape` at `index`: the adjoint of indexing."""
    out = np.zeros(shape, g.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, (list, np.ndarray)) and np.asarray(p).dtype.kind != "b" for p in parts):
        np.add.at(out, index, g)  # an element may be picked more than once
    else:
        out[index] = g
    return out


defvjp(operator.getitem, lambda g, out, x, index: put(g, index, x.shape))
defvjp(put, lambda g, out, x, index, shape: g[index], None)
