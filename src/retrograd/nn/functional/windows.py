"""Windows that slide over the last axes of an array: what convolution and pooling share.

Inside, the batch is the last axis in memory, so that windows are copied in long runs. What comes
out is `(N, C, ...)` to the reader and still has the batch last in memory, for the next layer.
"""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any, TypeAlias

import numpy as np

from retrograd.engine import defvjp, primitive

Sizes: TypeAlias = int | tuple[int, ...]  # a number for all axes, or one for each

# How windows lie, a value for each axis: (kernel, stride, dilation, number, padding), where the
# padding is a pair (before, after). A plain tuple, since compiled programs write it out.
Windows: TypeAlias = tuple[tuple[Any, ...], ...]


def batch_last(x: Any) -> Any:
    """Return `x` with its first axis last."""
    return np.transpose(x, (*range(1, x.ndim), 0))


def batch_first(x: Any) -> Any:
    """Return `x` with its last axis first."""
    return np.transpose(x, (x.ndim - 1, *range(x.ndim - 1)))


def fit_windows(
    name: str, size: Any, kernel: Any, stride: Any, dilation: Any, pads: Any
) -> Windows:
    """Return how windows lie in axes of lengths `size`; ValueError if there is room for none."""
    axes = zip(size, kernel, stride, dilation, pads, strict=True)
    number = tuple((n + lo + hi - d * (k - 1) - 1) // s + 1 for n, k, s, d, (lo, hi) in axes)
    if min(number) < 1:
        raise ValueError(f"{name} windows do not fit: {kernel} does not fit into {size}")
    return kernel, stride, dilation, number, pads


def window_places(kernel: Any, stride: Any, dilation: Any, number: Any) -> list[tuple[slice, ...]]:
    """Return for each place in a window the index that picks this place out of all windows."""
    axes = zip(kernel, stride, dilation, number, strict=True)
    along = [[slice(d * i, d * i + s * (o - 1) + 1, s) for i in range(k)] for k, s, d, o in axes]
    return list(itertools.product(*along))


def padded_size(size: Any, pads: Any) -> tuple[list[int], tuple[slice, ...]]:
    """Return the lengths of axes after padding, and the index of what was there before."""
    axes = list(zip(size, pads, strict=True))
    return [n + lo + hi for n, (lo, hi) in axes], tuple(slice(lo, lo + n) for n, (lo, _) in axes)


@primitive(looks_through=False)
def columns(x: Any, windows: Windows) -> Any:
    """Return the windows of `x` `(N, C, ...)` as columns `(C * kernel, number * N)`.

    The kernel and the number stand for the products of theirs over the axes. (Elsewhere this is
    called im2col.)
    """
    kernel, stride, dilation, number, pads = windows
    n, c, *size = x.shape
    wide, middle = padded_size(size, pads)
    if wide == size:
        x = np.ascontiguousarray(batch_last(x))
    else:
        inner = batch_last(x)
        x = np.zeros((c, *wide, n), x.dtype)
        x[(slice(None), *middle)] = inner
    # A view (C, kernel, number, N), in which windows overlap: going on by one in a window is
    # `dilation` elements further, and going on to the next window `stride` elements.
    first, *steps, last = x.strides
    within, across = (map(operator.mul, steps, by) for by in (dilation, stride))
    strides = first, *within, *across, last
    x = np.ndarray((c, *kernel, *number, n), x.dtype, x, 0, strides)
    return x.reshape((c * math.prod(kernel), math.prod(number) * n))


@primitive(looks_through=False)
def fold(cols: Any, shape: tuple[int, ...], windows: Windows) -> Any:
    """Add columns up where their windows lie in an array of `shape`: the adjoint of `columns`."""
    kernel, *_, number, pads = windows
    n, c, *size = shape
    wide, middle = padded_size(size, pads)
    cols = cols.reshape((c, math.prod(kernel), *number, n))
    x = np.zeros((c, *wide, n), cols.dtype)
    for i, place in enumerate(window_places(*windows[:4])):
        x[(slice(None), *place)] += cols[:, i]
    return batch_first(x[(slice(None), *middle)])


defvjp(columns, lambda g, out, x, windows: fold(g, shape=x.shape, windows=windows))
defvjp(fold, lambda g, out, cols, shape, windows: columns(g, windows=windows))
