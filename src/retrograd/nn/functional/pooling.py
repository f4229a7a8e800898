"""Pooling: each window becomes its largest element or its mean.

The elements at one place in all windows are a strided slice of the input; a pool of windows of k
elements is k such slices brought together.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, overload

import numpy as np

from retrograd.checks import ensure, per_axis
from retrograd.engine import TensorT, defvjp, primitive
from retrograd.nn.functional.resizing import pad, resample
from retrograd.nn.functional.windows import Sizes, Windows, fit_windows, window_places

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "max_pool1d",
    "max_pool2d",
]  # fmt: skip


def _check_axes(name: str, axes: int, input: Any) -> None:
    if input.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"{name} takes input (N, C, ...) or (C, ...), {axes} axes for ..., not {input.shape}"
        )


def _pad_and_place(
    name: str, axes: int, input: Any, outside: float, kernel: Any, stride: Any, padding: Any,
    dilation: Any = 1, ceil_mode: bool = False,
) -> tuple[Any, Windows, Windows]:  # fmt: skip
    """Return the input, padded with `outside`, an index for each place in a window, and the pads.

    With `ceil_mode` a last window may reach beyond the padding: more of it is put there.
    """
    _check_axes(name, axes, input)
    kernel = per_axis("kernel_size", kernel, axes, 1)
    stride = kernel if stride is None else per_axis("stride", stride, axes, 1)
    padding = per_axis("padding", padding, axes, 0)
    dilation = per_axis("dilation", dilation, axes, 1)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"{name} {padding=} is more than half of the window {kernel}")
    pads = tuple((p, p) for p in padding)
    if ceil_mode:
        along = zip(input.shape[-axes:], kernel, stride, dilation, padding, strict=True)
        pads = tuple((p, p + _beyond(n, k, s, d, p)) for n, k, s, d, p in along)
    if any(map(any, pads)):
        input = pad(input, [n for pair in reversed(pads) for n in pair], value=outside)
    *sizes, _ = fit_windows(name, input.shape[-axes:], kernel, stride, dilation, ((0, 0),) * axes)
    return input, tuple((..., *place) for place in window_places(*sizes)), pads


def _beyond(n: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """Return how far the last window reaches behind an axis of length `n` and its padding.

    It begins at the latest with the last element of the input or of the padding before it.
    """
    span = dilation * (kernel - 1) + 1
    windows = -(-(n + 2 * padding - span) // stride) + 1
    if (windows - 1) * stride >= n + padding:
        windows -= 1
    return max((windows - 1) * stride + span - n - 2 * padding, 0)


# The largest of each window


@primitive
def _largest(x: Any, places: Windows) -> Any:
    return functools.reduce(np.maximum, [x[place] for place in places])


@primitive(looks_through=False)
def to_window(g: Any, x: Any, out: Any, places: Windows) -> Any:
    """Add `g` to the first element of its window that is `out`, or to all where `out` is None."""
    dx = np.zeros_like(x, dtype=g.dtype)
    for place in places:
        if out is None:
            dx[place] += g
        else:
            won = (x[place] == out) * g
            dx[place] += won
            g = g - won
    return dx


@primitive(looks_through=False)
def from_window(g: Any, x: Any, out: Any, places: Windows) -> Any:
    """Pick from `g` what lies where `to_window` adds, or sum whole windows: its adjoint."""
    if out is None:
        return functools.reduce(np.add, [g[place] for place in places])
    found, free = np.zeros_like(out, dtype=g.dtype), np.ones_like(out, dtype=bool)
    for place in places:
        hit = (x[place] == out) & free
        found += hit * g[place]
        free &= ~hit
    return found


# fmt: off
defvjp(_largest, lambda g, out, x, places: to_window(g, x, out, places=places))
defvjp(to_window, lambda g, dx, g_of, x, out, places: from_window(g, x, out, places=places),
       None, None)
defvjp(from_window, lambda g, found, g_of, x, out, places: to_window(g, x, out, places=places),
       None, None)
# fmt: on


@overload
def max_pool1d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: Literal[False] = False,
) -> TensorT: ...  # fmt: skip
@overload
def max_pool1d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> TensorT | tuple[TensorT, TensorT]: ...  # fmt: skip
def max_pool1d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Return the largest element of each window of signals.

    The gradient of a window goes to its largest element, to the first if there are several.

    Args:
        input: signals `(N, C, L)`: a batch of N, each of C channels and length L. Or one signal
            `(C, L)`.
        kernel_size: how many elements a window has.
        stride: how many elements windows are apart; None is `kernel_size`, windows side by side.
        padding: how many elements to think of on both sides; none of them is ever the largest. At
            most half of `kernel_size`.
        dilation: how far apart the elements of a window are.
        ceil_mode: whether a last window may begin in the input and end behind the padding: M is
            rounded up then.
        return_indices: whether to return also where the largest elements are.

    Returns:
        A Tensor `(N, C, M)`, or `(C, M)` for one signal, where
        `M = (L + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`; an array for an
        array. With `return_indices` a pair: that, and integers of its shape, the places in L.

    Raises:
        ValueError: if `input` has another number of axes, is shorter than a window, or an option is
            none of the above.

    >>> F.max_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 2.]])
    """
    options = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool(1, input, return_indices, *options)


@overload
def max_pool2d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: Literal[False] = False,
) -> TensorT: ...  # fmt: skip
@overload
def max_pool2d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> TensorT | tuple[TensorT, TensorT]: ...  # fmt: skip
def max_pool2d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Return the largest element of each window of images.

    The gradient of a window goes to its largest element, to the first if there are several.

    Args:
        input: images `(N, C, H, W)`: a batch of N, each of C channels, height H and width W. Or
            one image `(C, H, W)`.
        kernel_size: how many elements a window has in height and width: a number for both, or a
            pair (rows, columns), as all that follows.
        stride: how many elements windows are apart; None is `kernel_size`, windows side by side.
        padding: how many elements to think of on both sides of an axis; none of them is ever the
            largest. At most half of `kernel_size`.
        dilation: how far apart the elements of a window are.
        ceil_mode: whether a last window may begin in the input and end behind the padding: P and Q
            are rounded up then.
        return_indices: whether to return also where the largest elements are.

    Returns:
        A Tensor `(N, C, P, Q)`, or `(C, P, Q)` for one image, where
        `P = (H + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`, and Q likewise of
        W; an array for an array. With `return_indices` a pair: that, and integers of its shape,
        the places in the image, row by row: `row * W + column`.

    Raises:
        ValueError: if `input` has another number of axes, is smaller than a window, or an option is
            none of the above.

    >>> F.max_pool2d(np.arange(4.0).reshape(1, 2, 2), 2)
    array([[[3.]]])
    """
    options = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool(2, input, return_indices, *options)


def _max_pool(axes: int, input: Any, return_indices: bool, *options: Any) -> Any:
    name = f"max_pool{axes}d"
    x, places, _ = _pad_and_place(name, axes, input, -math.inf, *options)
    largest = _largest(x, places=places)
    if not return_indices:
        return largest
    sizes = input.shape[-axes:]
    numbers = np.arange(math.prod(sizes)).reshape((1, *sizes))
    numbers, *_ = _pad_and_place(name, axes, numbers, 0, *options)
    return largest, _places_of_largest(x, largest, numbers, places=places)


@primitive(looks_through=False)
def _places_of_largest(x: Any, largest: Any, numbers: Any, places: Windows) -> Any:
    """Return the number of the first element of each window that is its largest, or is nan."""
    found = np.zeros(largest.shape, np.int64)
    for place in reversed(places):
        hit = (x[place] == largest) | np.isnan(x[place])
        np.copyto(found, np.broadcast_to(numbers[place], found.shape), where=hit)
    return found


defvjp(_places_of_largest, None, None, None)


# The mean of each window


def avg_pool1d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> TensorT:  # fmt: skip
    """Return the mean of each window of signals.

    Args:
        input: signals `(N, C, L)`: a batch of N, each of C channels and length L. Or one signal
            `(C, L)`.
        kernel_size: how many elements a window has.
        stride: how many elements windows are apart; None is `kernel_size`, windows side by side.
        padding: how many zeros to put on both sides; at most half of `kernel_size`.
        ceil_mode: whether a last window may begin in the input and end behind the padding, which is
            not counted there: M is rounded up then.
        count_include_pad: whether those zeros count in the mean; if not, it is that of the elements
            of `input` in the window.

    Returns:
        A Tensor `(N, C, M)`, or `(C, M)` for one signal, where
        `M = (L + 2 * padding - kernel_size) // stride + 1`; an array for an array.

    Raises:
        ValueError: if `input` has another number of axes, is shorter than a window, or an option is
            none of the above.

    >>> F.avg_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[2., 1.]])
    """
    options = kernel_size, stride, padding, 1, ceil_mode
    return _avg_pool(1, input, count_include_pad, None, *options)


def avg_pool2d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> TensorT:  # fmt: skip
    """Return the mean of each window of images.

    Args:
        input: images `(N, C, H, W)`: a batch of N, each of C channels, height H and width W. Or
            one image `(C, H, W)`.
        kernel_size: how many elements a window has in height and width: a number for both, or a
            pair (rows, columns), as `stride` and `padding`.
        stride: how many elements windows are apart; None is `kernel_size`, windows side by side.
        padding: how many zeros to put on both sides of an axis; at most half of `kernel_size`.
        ceil_mode: whether a last window may begin in the input and end behind the padding, which is
            not counted there: P and Q are rounded up then.
        count_include_pad: whether those zeros count in the mean; if not, it is that of the elements
            of `input` in the window.
        divisor_override: what to divide the sums by, instead of the number of elements.

    Returns:
        A Tensor `(N, C, P, Q)`, or `(C, P, Q)` for one image, where
        `P = (H + 2 * padding - kernel_size) // stride + 1`, and Q likewise of W; an array for an
        array.

    Raises:
        ValueError: if `input` has another number of axes, is smaller than a window, or an option is
            none of the above.

    >>> F.avg_pool2d(np.arange(4.0).reshape(1, 2, 2), 2)
    array([[[1.5]]])
    """
    options = kernel_size, stride, padding, 1, ceil_mode
    return _avg_pool(2, input, count_include_pad, divisor_override, *options)


def _avg_pool(
    axes: int, input: Any, count_include_pad: bool, divisor: int | None, *options: Any
) -> Any:
    name = f"avg_pool{axes}d"
    x, places, pads = _pad_and_place(name, axes, input, 0.0, *options)
    sums = from_window(x, x, None, places=places)
    if divisor is not None:
        ensure(divisor != 0, "divisor_override", "a number other than 0", divisor, name)
        return sums * (1 / divisor)
    # what lies behind the padding is never counted
    if x is input or (count_include_pad and all(before == after for before, after in pads)):
        return sums * (1 / len(places))
    counts = np.zeros((1, *x.shape[-axes:]), input.dtype)
    sizes = zip(input.shape[-axes:], pads, strict=True)
    reach = [(0, before + n + before) if count_include_pad else (before, before + n)
             for n, (before, _) in sizes]  # fmt: skip
    counts[(slice(None), *(slice(start, end) for start, end in reach))] = 1.0
    return sums / from_window(counts, counts, None, places=places)


def adaptive_avg_pool1d(input: TensorT, output_size: Sizes) -> TensorT:
    """Return the means of as many windows of signals as are wanted.

    Window i of m goes from `floor(i * L / m)` to before `ceil((i + 1) * L / m)`: windows differ in
    length by at most 1 and overlap where m does not divide L.

    Args:
        input: signals `(N, C, L)`: a batch of N, each of C channels and length L. Or one signal
            `(C, L)`.
        output_size: how many windows there are, m.

    Returns:
        A Tensor `(N, C, m)`, or `(C, m)` for one signal; an array for an array.

    Raises:
        ValueError: if `input` has another number of axes, or `output_size` is no whole number of at
            least 1.

    >>> F.adaptive_avg_pool1d(np.array([[1.0, 3.0, 2.0]]), 1)
    array([[2.]])
    """
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(
    input: TensorT, output_size: int | tuple[int | None, int | None]
) -> TensorT:
    """Return the means of as many windows of images as are wanted.

    Row i of p windows goes from `floor(i * H / p)` to before `ceil((i + 1) * H / p)`, and columns
    likewise. With `output_size=1` it is the mean of each channel, "global average pooling".

    Args:
        input: images `(N, C, H, W)`: a batch of N, each of C channels, height H and width W. Or
            one image `(C, H, W)`.
        output_size: how many windows there are in height and width: a number for both, or a pair
            (p, q), in which None keeps a length.

    Returns:
        A Tensor `(N, C, p, q)`, or `(C, p, q)` for one image; an array for an array.

    Raises:
        ValueError: if `input` has another number of axes, or `output_size` is none of the above.

    >>> F.adaptive_avg_pool2d(np.arange(4.0).reshape(1, 2, 2), (1, None))
    array([[[1., 2.]]])
    """
    return _adaptive_avg_pool(2, input, output_size)


def _adaptive_avg_pool(axes: int, input: Any, output_size: Any) -> Any:
    _check_axes(f"adaptive_avg_pool{axes}d", axes, input)
    here = input.shape[-axes:]
    if not isinstance(output_size, int):
        output_size = [n if s is None else s for s, n in zip(output_size, here, strict=True)]
    sizes = per_axis("output_size", output_size, axes, 1)
    if max(sizes) == 1:
        return np.mean(input, axis=tuple(range(-axes, 0)), keepdims=True)
    matrices = []
    for size, n in zip(sizes, here, strict=True):
        row, at = np.arange(size)[:, None], np.arange(n)
        start, end = row * n // size, -(-(row + 1) * n // size)
        matrices.append(((start <= at) & (at < end)) / (end - start))
    return resample(input, matrices)
