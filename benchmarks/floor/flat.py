"""One flat array with a view for each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.works import Array


def views(shapes: Sequence[tuple[int, ...]], dtype: np.dtype) -> tuple[Array, list[Array]]:
    """Return a flat array of zeros and its consecutive views of the given `shapes`."""
    sizes = [math.prod(shape) for shape in shapes]
    flat = np.zeros(sum(sizes), dtype)
    ends = np.cumsum(sizes)
    parts = [
        flat[end - size : end].reshape(shape)
        for shape, size, end in zip(shapes, sizes, ends, strict=True)
    ]
    return flat, parts
