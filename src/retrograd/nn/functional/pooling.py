"""Pooling: the elements at one place in all windows are a strided slice of the input.

A pool of windows of `k` places is `k` such slices brought together.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.nn.functional.convolution import Sizes, per_axis
from retrograd.nn.functional.resizing import pad, resample
from retrograd.registry import defvjp

Places = tuple[tuple[Any, ...], ...]


def _places(name: str, size: Any, kernel: Any, stride: Any, dilation: Any) -> Places:
    """Return for each place in a window the index of the elements there."""
    along = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        out = (n - d * (k - 1) - 1) // s + 1
        if out < 1:
            raise ValueError(f"{name}: windows of {kernel} do not fit into {tuple(size)}")
        along.append([slice(d * i, d * i + s * (out - 1) + 1, s) for i in range(k)])
    return tuple((..., *place) for place in itertools.product(*along))


@primitive
def largest(x: Any, places: Places) -> Any:
    """Return the largest element of each window; of equal ones the first gets the gradient."""
    out = x[places[0]]
    for place in places[1:]:
        out = np.maximum(out, x[place])
    return out


@primitive(looks_through=False)
def to_largest(g: Any, x: Any, out: Any, places: Places) -> Any:
    """Put `g`, one number a window, where the first largest element of each window is."""
    dx = np.zeros_like(x, dtype=g.dtype)
    for place in places:
        won = (x[place] == out) * g
        dx[place] += won
        g = g - won
    return dx


@primitive(looks_through=False)
def at_largest(g: Any, x: Any, out: Any, places: Places) -> Any:
    """Pick from `g` what is where the first largest element of each window is."""
    found, free = np.zeros_like(out, dtype=g.dtype), np.ones_like(out, dtype=bool)
    for place in places:
        hit = (x[place] == out) & free
        found += hit * g[place]
        free &= ~hit
    return found


defvjp(largest, lambda g, out, x, places: to_largest(g, x, out, places=places))
defvjp(to_largest, lambda g, dx, given, x, out, places: at_largest(g, x, out, places=places),
       None, None)  # fmt: skip
defvjp(at_largest, lambda g, found, given, x, out, places: to_largest(g, x, out, places=places),
       None, None)  # fmt: skip


@primitive
def total(x: Any, places: Places) -> Any:
    """Return the sum of each window."""
    out = x[places[0]]
    for place in places[1:]:
        out = out + x[place]
    return out


@primitive(looks_through=False)
def to_all(g: Any, x: Any, places: Places) -> Any:
    """Add `g`, one number a window, to all elements of the window, in an array like `x`."""
    dx = np.zeros_like(x, dtype=g.dtype)
    for place in places:
        dx[place] += g
    return dx


defvjp(total, lambda g, out, x, places: to_all(g, x, places=places))
defvjp(to_all, lambda g, out, given, x, places: total(g, places=places), None)


def _windows(
    name: str, axes: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Any, Any, Any, Any]:
    if input.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"{name} takes an input (N, C, ...) or (C, ...) of {axes + 2} or {axes + 1} axes, "
            f"not {input.shape}"
        )
    kernel = per_axis("kernel_size", kernel, axes, 1)
    stride = kernel if stride is None else per_axis("stride", stride, axes, 1)
    padding, dilation = (
        per_axis("padding", padding, axes, 0),
        per_axis("dilation", dilation, axes, 1),
    )
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"{name}: padding {padding} is more than half of the window {kernel}")
    return kernel, stride, padding, dilation


def _padded(input: Any, padding: Any, value: float) -> Any:
    if not any(padding):
        return input
    return pad(input, tuple(p for p in reversed(padding) for _ in range(2)), value=value)


def _max_pool(name: str, axes: int, input: Any, *options: Any) -> Any:
    kernel, stride, padding, dilation = _windows(name, axes, input, *options)
    x = _padded(input, padding, -math.inf)
    return largest(x, places=_places(name, x.shape[-axes:], kernel, stride, dilation))


def _avg_pool(
    name: str, axes: int, input: Any, kernel: Any, stride: Any, padding: Any, counted: bool
) -> Any:
    kernel, stride, padding, one = _windows(name, axes, input, kernel, stride, padding, 1)
    x = _padded(input, padding, 0.0)
    places = _places(name, x.shape[-axes:], kernel, stride, one)
    if counted or not any(padding):
        return total(x, places=places) * (1 / len(places))
    inside = _padded(np.ones(input.shape[-axes:], input.dtype), padding, 0.0)
    return total(x, places=places) / total(inside, places=places)


def max_pool1d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """Return the largest of each window of `input` `(N, C, L)` or `(C, L)`.

    Windows are `stride` apart, by default their own size. `padding` never wins. Of several
    largest elements the first gets the gradient.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.max_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 2.]])
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation)


def max_pool2d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """Return the largest of each window of `input` `(N, C, H, W)` or `(C, H, W)`: see `max_pool1d`.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.max_pool2d(np.arange(4.0).reshape(1, 2, 2), 2)
    array([[[3.]]])
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation)


def avg_pool1d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    *,
    count_include_pad: bool = True,
) -> Any:
    """Return the mean of each window of `input` `(N, C, L)` or `(C, L)`.

    Windows are `stride` apart, by default their own size. `padding` adds zeros, which count
    unless `count_include_pad` is False.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.avg_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[2., 1.]])
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, count_include_pad)


def avg_pool2d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    *,
    count_include_pad: bool = True,
) -> Any:
    """Return the mean of each window of `input` `(N, C, H, W)` or `(C, H, W)`: see `avg_pool1d`.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.avg_pool2d(np.arange(4.0).reshape(1, 2, 2), 2)
    array([[[1.5]]])
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, count_include_pad)


def _adaptive(name: str, axes: int, input: Any, output_size: Any) -> Any:
    """Average windows that share an axis as evenly as whole numbers can."""
    if input.ndim not in (axes + 1, axes + 2):
        raise ValueError(f"{name} takes an input (N, C, ...) or (C, ...), not {input.shape}")
    sizes = (output_size,) * axes if isinstance(output_size, int) else tuple(output_size)
    here = input.shape[-axes:]
    sizes = tuple(n if size is None else size for size, n in zip(sizes, here, strict=True))
    if all(size == 1 for size in sizes):
        return np.mean(input, axis=tuple(range(-axes, 0)), keepdims=True)
    matrices = []
    for size, n in zip(per_axis("output_size", sizes, axes, 1), here, strict=True):
        matrix = np.zeros((size, n))
        for i in range(size):
            start, end = i * n // size, -(-(i + 1) * n // size)
            matrix[i, start:end] = 1 / (end - start)
        matrices.append(matrix)
    return resample(input, matrices)


def adaptive_avg_pool1d(input: Any, output_size: Sizes) -> Any:
    """Return means of windows of `input` `(N, C, L)` or `(C, L)` that leave `output_size` of them.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.adaptive_avg_pool1d(np.array([[1.0, 3.0, 2.0]]), 1)
    array([[2.]])
    """
    return _adaptive("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: int | tuple[int | None, int | None]) -> Any:
    """Return means of windows of `input` `(N, C, H, W)` or `(C, H, W)` that leave `output_size`.

    A length of None stays as it is.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.adaptive_avg_pool2d(np.arange(4.0).reshape(1, 2, 2), (1, None))
    array([[[1., 2.]]])
    """
    return _adaptive("adaptive_avg_pool2d", 2, input, output_size)
