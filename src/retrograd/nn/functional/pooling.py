"""Pooling, padding and resizing.

The elements at one place in all windows are a strided slice of the input: a pool of windows of `k`
places is `k` such slices brought together. Resizing is a matrix product along each axis.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.nn.functional.convolution import Sizes, counted, padded, per_axis, window_places
from retrograd.registry import defvjp

Places = tuple[tuple[Any, ...], ...]  # for each place in a window the index of the elements there


@primitive
def largest(x: Any, places: Places) -> Any:
    """Return the largest element of each window; of equal ones the first gets the gradient."""
    return functools.reduce(np.maximum, [x[place] for place in places])


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


@primitive
def total(x: Any, places: Places) -> Any:
    """Return the sum of each window."""
    return functools.reduce(np.add, [x[place] for place in places])


@primitive(looks_through=False)
def to_all(g: Any, x: Any, places: Places) -> Any:
    """Add `g`, one number a window, to all elements of the window, in an array like `x`."""
    dx = np.zeros_like(x, dtype=g.dtype)
    for place in places:
        dx[place] += g
    return dx


# fmt: off
defvjp(largest, lambda g, out, x, places: to_largest(g, x, out, places=places))
defvjp(to_largest, lambda g, dx, given, x, out, places: at_largest(g, x, out, places=places),
       None, None)
defvjp(at_largest, lambda g, found, given, x, out, places: to_largest(g, x, out, places=places),
       None, None)
defvjp(total, lambda g, out, x, places: to_all(g, x, places=places))
defvjp(to_all, lambda g, out, given, x, places: total(g, places=places), None)
# fmt: on


def _windows(
    name: str, axes: int, input: Any, outside: float, kernel: Any, stride: Any, padding: Any,
    dilation: Any = 1,
) -> tuple[Any, Places]:  # fmt: skip
    """Return the input, padded with `outside`, and the places in its windows."""
    if input.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"{name} takes an input (N, C, ...) or (C, ...) of {axes + 2} or {axes + 1} axes, "
            f"not {input.shape}"
        )
    kernel = per_axis("kernel_size", kernel, axes, 1)
    stride = kernel if stride is None else per_axis("stride", stride, axes, 1)
    padding = per_axis("padding", padding, axes, 0)
    dilation = per_axis("dilation", dilation, axes, 1)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"{name}: padding {padding} is more than half of the window {kernel}")
    if any(padding):
        input = pad(input, [p for p in reversed(padding) for _ in range(2)], value=outside)
    size = input.shape[-axes:]
    out = counted(size, (kernel, stride, ((0, 0),) * axes, dilation))
    if min(out) < 1:
        raise ValueError(f"{name}: windows of {kernel} do not fit into {size}")
    return input, tuple((..., *place) for place in window_places(out, kernel, stride, dilation))


def max_pool1d(
    input: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:  # fmt: skip
    """Return the largest of each window of `input` `(N, C, L)` or `(C, L)`.

    Windows are `stride` apart, by default their own size. `padding` never wins. Of several
    largest elements the first gets the gradient.

    >>> max_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 2.]])
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation)


def max_pool2d(
    input: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:  # fmt: skip
    """Return the largest of each window of `input` `(N, C, H, W)` or `(C, H, W)`: see `max_pool1d`.

    >>> max_pool2d(np.arange(4.0).reshape(1, 2, 2), 2)
    array([[[3.]]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation)


def _max_pool(axes: int, input: Any, *options: Any) -> Any:
    x, every = _windows(f"max_pool{axes}d", axes, input, -math.inf, *options)
    return largest(x, places=every)


def avg_pool1d(
    input: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, *,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Return the mean of each window of `input` `(N, C, L)` or `(C, L)`.

    Windows are `stride` apart, by default their own size. `padding` adds zeros, which count
    unless `count_include_pad` is False.

    >>> avg_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[2., 1.]])
    """
    return _avg_pool(1, input, count_include_pad, kernel_size, stride, padding)


def avg_pool2d(
    input: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, *,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Return the mean of each window of `input` `(N, C, H, W)` or `(C, H, W)`: see `avg_pool1d`.

    >>> avg_pool2d(np.arange(4.0).reshape(1, 2, 2), 2)
    array([[[1.5]]])
    """
    return _avg_pool(2, input, count_include_pad, kernel_size, stride, padding)


def _avg_pool(axes: int, input: Any, count_include_pad: bool, *options: Any) -> Any:
    name = f"avg_pool{axes}d"
    x, every = _windows(name, axes, input, 0.0, *options)
    if count_include_pad or x is input:
        return total(x, places=every) * (1 / len(every))
    inside, _ = _windows(name, axes, np.ones((1, *input.shape[-axes:]), input.dtype), 0.0, *options)
    return total(x, places=every) / total(inside, places=every)


def adaptive_avg_pool1d(input: Any, output_size: Sizes) -> Any:
    """Return means of windows of `input` `(N, C, L)` or `(C, L)` that leave `output_size` of them.

    >>> adaptive_avg_pool1d(np.array([[1.0, 3.0, 2.0]]), 1)
    array([[2.]])
    """
    return _adaptive(1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: int | tuple[int | None, int | None]) -> Any:
    """Return means of windows of `input` `(N, C, H, W)` or `(C, H, W)` that leave `output_size`.

    A length of None stays as it is.

    >>> adaptive_avg_pool2d(np.arange(4.0).reshape(1, 2, 2), (1, None))
    array([[[1., 2.]]])
    """
    return _adaptive(2, input, output_size)


def _adaptive(axes: int, input: Any, output_size: Any) -> Any:
    """Average windows that share an axis as evenly as whole numbers can."""
    if input.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"adaptive_avg_pool{axes}d takes an input (N, C, ...) or (C, ...), not {input.shape}"
        )
    sizes = (output_size,) * axes if isinstance(output_size, int) else tuple(output_size)
    here = input.shape[-axes:]
    sizes = tuple(n if size is None else size for size, n in zip(sizes, here, strict=True))
    if all(size == 1 for size in sizes):
        return np.mean(input, axis=tuple(range(-axes, 0)), keepdims=True)
    matrices = []
    for size, n in zip(per_axis("output_size", sizes, axes, 1), here, strict=True):
        row, at = np.arange(size)[:, None], np.arange(n)
        start, end = row * n // size, -(-(row + 1) * n // size)
        matrices.append(((start <= at) & (at < end)) / (end - start))
    return resample(input, matrices)


@primitive(looks_through=False)
def surround(x: Any, widths: tuple[tuple[int, int], ...], value: float) -> Any:
    """Return `x` with `widths[i][0]` elements of `value` before axis i and `widths[i][1]` after."""
    shape, middle = padded(x.shape, widths)
    out = np.full_like(x, value, shape=shape)
    out[middle] = x
    return out


defvjp(surround, lambda g, out, x, widths, value: g[padded(x.shape, widths)[1]])


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Return `input` with `pad[0]` elements before and `pad[1]` after the last axis, and so on.

    `pad` goes by pairs from the last axis to the first. `mode` is "constant" (of `value`, by
    default 0; a negative number cuts off), "reflect", "replicate" or "circular". Raises
    ValueError for another mode, or for more than it finds to pad with.

    >>> pad(np.array([[1.0, 2.0, 3.0]]), (1, 1), mode="reflect")
    array([[2., 1., 2., 3., 2.]])
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(f"pad takes pairs for at most {input.ndim} axes, not {tuple(pad)}")
    pairs = [(0, 0)] * (input.ndim - len(pad) // 2)
    pairs += [(pad[i], pad[i + 1]) for i in reversed(range(0, len(pad), 2))]
    if mode == "constant":
        if min(pad, default=0) < 0:
            input = input[tuple(slice(max(-lo, 0), min(hi, 0) or None) for lo, hi in pairs)]
        widths = tuple((max(lo, 0), max(hi, 0)) for lo, hi in pairs)
        return surround(input, widths=widths, value=0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise ValueError(
            f'pad takes the mode "constant", "reflect", "replicate" or "circular", not {mode!r}'
        )
    for axis, (lo, hi) in enumerate(pairs):
        if lo or hi:
            input = _from_itself(input, axis, lo, hi, mode)
    return input


def _from_itself(x: Any, axis: int, lo: int, hi: int, mode: str) -> Any:
    """Pad one axis with what lies along it."""
    n = x.shape[axis]
    most = {"reflect": n - 1, "circular": n, "replicate": lo + hi}[mode]
    if min(lo, hi) < 0 or max(lo, hi) > most or not n:
        raise ValueError(f"pad with mode={mode!r} of axis {axis}, length {n}, by {lo} and {hi}")

    def part(start: int, stop: int) -> Any:
        return x[(slice(None),) * axis + (slice(start, stop),)]

    if mode == "reflect":
        parts = [np.flip(part(1, lo + 1), axis), x, np.flip(part(n - 1 - hi, n - 1), axis)]
    elif mode == "circular":
        parts = [part(n - lo, n), x, part(0, hi)]
    else:
        parts = [part(0, 1)] * lo + [x] + [part(n - 1, n)] * hi
    return np.concatenate(parts, axis=axis)


def resample(x: Any, matrices: Sequence[Any]) -> Any:
    """Multiply the last axes of `x`, each by its own matrix `(new, old)`."""
    for axis, matrix in enumerate(matrices, x.ndim - len(matrices)):
        moved = np.tensordot(x, matrix.astype(x.dtype), ([axis], [1]))
        x = np.moveaxis(moved, -1, axis)
    return x


def interpolate(
    input: Any, size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:  # fmt: skip
    """Return `input` `(N, C, ...)` with its last axes of length `size`, or scaled by a factor.

    `mode` is "nearest", "linear" (one axis) or "bilinear" (two). With `align_corners` the first
    and the last element stay where they are; without, elements are cells of equal width. Raises
    ValueError unless exactly one of `size` and `scale_factor` is given.

    >>> interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2)
    array([[[1., 1., 2., 2.]]])
    """
    here = input.shape[2:]
    modes = {"nearest": len(here), "linear": 1, "bilinear": 2}
    if mode not in modes or modes[mode] != len(here) or not here:
        raise ValueError(
            f'interpolate takes the mode "nearest", "linear" for (N, C, L) or "bilinear" for '
            f"(N, C, H, W), not {mode!r} for {input.shape}"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate takes either size or scale_factor")
    if mode == "nearest" and align_corners is not None:
        raise ValueError('interpolate with mode="nearest" takes no align_corners')
    given: Any = scale_factor if size is None else size
    given = [given] * len(here) if isinstance(given, (int, float)) else given
    sizes = given if size is not None else [int(n * f) for n, f in zip(here, given, strict=True)]
    if min(*sizes, *here) < 1:
        raise ValueError(f"interpolate of {input.shape} to the lengths {tuple(sizes)}")
    matrices = []
    for old, new, value in zip(here, sizes, given, strict=True):
        step, at = (1 / value if size is None else old / new), np.arange(new)
        if mode == "nearest":
            place = np.floor(at * step)
        elif align_corners:
            place = at * ((old - 1) / (new - 1) if new > 1 else 0.0)
        else:
            place = np.maximum((at + 0.5) * step - 0.5, 0.0)
        # each new element reads the two old ones beside its place, the nearer one more
        distance = np.abs(np.minimum(place, old - 1)[:, None] - np.arange(old))
        matrices.append(np.maximum(1 - distance, 0.0))
    return resample(input, matrices)
