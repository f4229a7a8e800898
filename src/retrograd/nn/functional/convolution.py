"""Convolution, pooling, padding and resizing.

Inside, the batch is the last axis in memory, so that windows are copied in long runs; so it is in
what comes out, `(N, C, ...)` to the reader.
"""

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.engine import defvjp, defvjp_joint, primitive, shared
from retrograd.nn.functional.dense import batch_first, batch_last

Sizes = int | tuple[int, ...]
# the length, stride, dilation, number and padding (before, after) of windows along each axis
Windows = tuple[tuple[Any, ...], ...]

# glibc hands columns back to the system in every step until it has seen a larger block go: this.
np.empty(31 << 20, np.uint8)


def per_axis(name: str, value: Any, axes: int, at_least: int) -> tuple[int, ...]:
    """Return a number for each axis, from one for all or a sequence."""
    whole = (int, np.integer)
    values: tuple[Any, ...] = (value,) * axes if isinstance(value, whole) else tuple(value)
    if len(values) != axes or any(not isinstance(v, whole) or v < at_least for v in values):
        raise ValueError(
            f"{name} takes {axes} whole numbers from {at_least}, or one for all, not {value!r}"
        )
    return values


def _windows(name: str, size: Any, kernel: Any, stride: Any, dilation: Any, pads: Any) -> Windows:
    axes = zip(size, kernel, stride, dilation, pads, strict=True)
    out = tuple((n + lo + hi - d * (k - 1) - 1) // s + 1 for n, k, s, d, (lo, hi) in axes)
    if min(out) < 1:
        raise ValueError(f"{name} windows do not fit: {kernel} does not fit into {size}")
    return kernel, stride, dilation, out, pads


def _window_places(kernel: Any, stride: Any, dilation: Any, out: Any) -> list[tuple[slice, ...]]:
    """Return for each place in a window its index in all windows."""
    axes = zip(kernel, stride, dilation, out, strict=True)
    along = [[slice(d * i, d * i + s * (o - 1) + 1, s) for i in range(k)] for k, s, d, o in axes]
    return list(itertools.product(*along))


def _padded(size: Any, pads: Any) -> tuple[list[int], tuple[slice, ...]]:
    """Return the padded lengths and the index of the middle."""
    axes = list(zip(size, pads, strict=True))
    return [n + lo + hi for n, (lo, hi) in axes], tuple(slice(lo, lo + n) for n, (lo, _) in axes)


@primitive(looks_through=False)
def columns(x: Any, windows: Windows) -> Any:
    """Return the windows of `x` `(N, C, ...)` as columns `(C * kernel, out * N)`."""
    kernel, stride, dilation, out, pads = windows
    n, c, *size = x.shape
    wide, middle = _padded(size, pads)
    turned = batch_last(x)
    if wide == size:
        x = np.ascontiguousarray(turned)
    else:
        x = np.zeros((c, *wide, n), x.dtype)
        x[(slice(None), *middle)] = turned
    first, *steps, last = x.strides
    within, across = (map(operator.mul, steps, by) for by in (dilation, stride))
    strides = first, *within, *across, last
    x = np.ndarray((c, *kernel, *out, n), x.dtype, x, 0, strides)
    return x.reshape((c * math.prod(kernel), math.prod(out) * n))


@primitive(looks_through=False)
def fold(cols: Any, shape: tuple[int, ...], windows: Windows) -> Any:
    """Add columns up in `shape`: the adjoint of `columns`."""
    out, pads = windows[3:]
    n, c, *size = shape
    wide, middle = _padded(size, pads)
    cols = cols.reshape((c, math.prod(windows[0]), *out, n))
    x = np.zeros((c, *wide, n), cols.dtype)
    for i, place in enumerate(_window_places(*windows[:4])):
        x[(slice(None), *place)] += cols[:, i]
    return batch_first(x[(slice(None), *middle)])


defvjp(columns, lambda g, out, x, windows: fold(g, shape=x.shape, windows=windows))
defvjp(fold, lambda g, out, cols, shape, windows: columns(g, windows=windows))


def _grouped(x: Any, groups: int) -> Any:
    return x.reshape((groups, x.shape[0] // groups, -1))


@primitive
def mix(cols: Any, weight: Any, bias: Any, groups: int, size: tuple[int, ...]) -> Any:
    """Return `weight` times the columns, plus `bias`, as `(N, O, *size)`."""
    mixed = np.matmul(_grouped(weight, groups), _grouped(cols, groups))
    mixed = mixed.reshape((weight.shape[0], *size, -1))
    if bias is not None:
        mixed = mixed + bias.reshape((-1,) + (1,) * (len(size) + 1))
    return batch_first(mixed)


defvjp_joint(mix, arrays=3, joint=shared(
    lambda g, out, cols, weight, bias, groups, size:
        _grouped(batch_last(g), groups),
    lambda g, out, cols, weight, bias, groups, size:
        np.matmul(np.swapaxes(_grouped(weight, groups), 1, 2), g).reshape(cols.shape),
    lambda g, out, cols, weight, bias, groups, size:
        np.matmul(g, np.swapaxes(_grouped(cols, groups), 1, 2)).reshape(weight.shape),
    lambda g, out, cols, weight, bias, groups, size: np.sum(g, axis=2).reshape(bias.shape),
))  # fmt: skip


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Return `weight` `(O, C / groups, k)` slid along `input` `(N, C, L)` or `(C, L)`, plus `bias`.

    `padding` zeros go on both sides; "same" keeps the length, "valid" is 0.

    >>> F.conv1d(np.arange(5.0).reshape(1, 1, 5), np.ones((1, 1, 3)))
    array([[[3., 6., 9.]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Return `weight` `(O, C / groups, k, k)` slid over `input` `(N, C, H, W)` or `(C, H, W)`.

    As `conv1d`; a size is for both axes, or one for each.

    >>> F.conv2d(np.ones((1, 1, 3, 2)), np.ones((1, 1, 2, 2)))
    array([[[[4.], [4.]]]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def _conv(axes: int, input: Any, weight: Any, bias: Any, *options: Any) -> Any:
    if input.ndim == axes + 1:
        return _conv(axes, input[None], weight, bias, *options)[0]
    name, kernel, (stride, padding, dilation, groups) = f"conv{axes}d", weight.shape[2:], options
    _output_channels(name, axes, input, weight, bias, groups)
    stride = per_axis("stride", stride, axes, 1)
    dilation = per_axis("dilation", dilation, axes, 1)
    pads = _pads(name, padding, kernel, stride, dilation)
    windows = _windows(name, input.shape[2:], kernel, stride, dilation, pads)
    return mix(columns(input, windows=windows), weight, bias, groups=groups, size=windows[3])


def _output_channels(
    name: str, axes: int, input: Any, weight: Any, bias: Any, groups: int, transposed: bool = False
) -> int:
    fit = input.ndim == weight.ndim == axes + 2
    if fit:
        outs, channels = weight.shape[0], weight.shape[1] * groups
        if transposed:
            outs, channels = channels, outs
        fit = input.shape[1] == channels and weight.shape[0] % groups == 0
    if not fit:
        raise ValueError(
            f"{name} takes input and weight of {axes + 2} axes whose channels fit, not "
            f"{input.shape}, {weight.shape} and {groups=}"
        )
    if bias is not None and bias.shape != (outs,):
        raise ValueError(f"{name} takes a bias ({outs},), not {bias.shape}")
    return int(outs)


def _pads(name: str, padding: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    if padding == "same":
        if max(stride) > 1:
            raise ValueError(f"{name} with {padding=} takes stride 1, not {stride}")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    if padding == "valid":
        padding = 0
    if isinstance(padding, str):
        raise ValueError(f'{name} takes numbers, "same" or "valid", not {padding=}')
    return tuple((p, p) for p in per_axis("padding", padding, len(kernel), 0))


def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Any:  # fmt: skip
    """Return the adjoint of a `conv2d`, plus `bias` `(O,)`.

    `input` is `(N, C, H, W)` or `(C, H, W)`, `weight` `(C, O / groups, k, k)`. A length becomes
    `(n - 1) * stride - 2 * padding + dilation * (k - 1) + output_padding + 1`.

    >>> F.conv_transpose2d(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 2)), stride=2)
    array([[[[1., 1., 1., 1.]]]])
    """
    if input.ndim == 3:
        options: Any = stride, padding, output_padding, groups, dilation
        return conv_transpose2d(input[None], weight, bias, *options)[0]
    outs = _output_channels("conv_transpose2d", 2, input, weight, bias, groups, transposed=True)
    kernel, here = weight.shape[2:], input.shape[2:]
    stride = per_axis("stride", stride, 2, 1)
    dilation = per_axis("dilation", dilation, 2, 1)
    pads = tuple((p, p) for p in per_axis("padding", padding, 2, 0))
    extra = per_axis("output_padding", output_padding, 2, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"output_padding {extra} must be below stride or dilation")
    axes = zip(here, kernel, stride, dilation, pads, extra, strict=True)
    size = [(n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, d, (p, _), e in axes]
    if min(size) < 1:
        raise ValueError(f"{padding=} leaves nothing of {input.shape}")
    x = _grouped(batch_last(input), groups)
    cols = np.matmul(np.swapaxes(_grouped(weight, groups), 1, 2), x).reshape((-1, x.shape[2]))
    windows = (kernel, stride, dilation, here, pads)
    out = fold(cols, shape=(input.shape[0], outs, *size), windows=windows)
    return out if bias is None else out + bias.reshape((-1, 1, 1))


# Pooling, place in the window by place: a strided slice has that of all windows


@primitive
def _largest(x: Any, places: Windows) -> Any:
    return functools.reduce(np.maximum, [x[place] for place in places])


@primitive(looks_through=False)
def to_window(g: Any, x: Any, out: Any, places: Windows) -> Any:
    """Add `g` to the first element of its window that is `out`, or to all where that is None."""
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
    """Return the adjoint of `to_window`."""
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
defvjp(to_window, lambda g, dx, given, x, out, places: from_window(g, x, out, places=places),
       None, None)
defvjp(from_window, lambda g, found, given, x, out, places: to_window(g, x, out, places=places),
       None, None)
# fmt: on


def _batch_or_one(name: str, axes: int, input: Any) -> None:
    if input.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"{name} takes input (N, C, ...) or (C, ...), {axes} axes for ..., not {input.shape}"
        )


def _places(
    name: str, axes: int, input: Any, outside: float, kernel: Any, stride: Any, padding: Any,
    dilation: Any = 1,
) -> tuple[Any, Windows]:  # fmt: skip
    _batch_or_one(name, axes, input)
    kernel = per_axis("kernel_size", kernel, axes, 1)
    stride = kernel if stride is None else per_axis("stride", stride, axes, 1)
    padding = per_axis("padding", padding, axes, 0)
    dilation = per_axis("dilation", dilation, axes, 1)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"{name} {padding=} is more than half of the window {kernel}")
    if any(padding):
        input = pad(input, [p for p in reversed(padding) for _ in range(2)], value=outside)
    *sizes, _ = _windows(name, input.shape[-axes:], kernel, stride, dilation, ((0, 0),) * axes)
    return input, tuple((..., *place) for place in _window_places(*sizes))


def max_pool1d(
    input: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:  # fmt: skip
    """Return the largest of each window of `input` `(N, C, L)` or `(C, L)`.

    Windows are `stride` apart, by default their size; `padding` never wins. Of equal elements the
    first gets the gradient.

    >>> F.max_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 2.]])
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation)


def max_pool2d(
    input: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:  # fmt: skip
    """Return the largest of each window of `input` `(N, C, H, W)` or `(C, H, W)`: see `max_pool1d`.

    >>> F.max_pool2d(np.arange(4.0).reshape(1, 2, 2), 2)
    array([[[3.]]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation)


def _max_pool(axes: int, input: Any, *options: Any) -> Any:
    x, places = _places(f"max_pool{axes}d", axes, input, -math.inf, *options)
    return _largest(x, places=places)


def avg_pool1d(
    input: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, *,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Return the mean of each window of `input` `(N, C, L)` or `(C, L)`.

    Windows are `stride` apart, by default their size. `padding` adds zeros, which count with
    `count_include_pad`.

    >>> F.avg_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[2., 1.]])
    """
    return _avg_pool(1, input, count_include_pad, kernel_size, stride, padding)


def avg_pool2d(
    input: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, *,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Return the mean of each window of `input` `(N, C, H, W)` or `(C, H, W)`: see `avg_pool1d`.

    >>> F.avg_pool2d(np.arange(4.0).reshape(1, 2, 2), 2)
    array([[[1.5]]])
    """
    return _avg_pool(2, input, count_include_pad, kernel_size, stride, padding)


def _avg_pool(axes: int, input: Any, count_include_pad: bool, *options: Any) -> Any:
    name = f"avg_pool{axes}d"
    x, places = _places(name, axes, input, 0.0, *options)
    sums = from_window(x, x, None, places=places)
    if count_include_pad or x is input:
        return sums * (1 / len(places))
    inside, _ = _places(name, axes, np.ones((1, *input.shape[-axes:]), input.dtype), 0.0, *options)
    return sums / from_window(inside, inside, None, places=places)


def adaptive_avg_pool1d(input: Any, output_size: Sizes) -> Any:
    """Return the means of `output_size` windows of `input` `(N, C, L)` or `(C, L)`.

    >>> F.adaptive_avg_pool1d(np.array([[1.0, 3.0, 2.0]]), 1)
    array([[2.]])
    """
    return _adaptive(1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: int | tuple[int | None, int | None]) -> Any:
    """Return the means of `output_size` windows of `input` `(N, C, H, W)` or `(C, H, W)`.

    None keeps a length.

    >>> F.adaptive_avg_pool2d(np.arange(4.0).reshape(1, 2, 2), (1, None))
    array([[[1., 2.]]])
    """
    return _adaptive(2, input, output_size)


def _adaptive(axes: int, input: Any, output_size: Any) -> Any:
    _batch_or_one(f"adaptive_avg_pool{axes}d", axes, input)
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
    return _resample(input, matrices)


@primitive(looks_through=False)
def surround(x: Any, widths: Windows, value: float) -> Any:
    """Return `x` with elements of `value` round it, as many as `widths`."""
    shape, middle = _padded(x.shape, widths)
    out = np.full_like(x, value, shape=shape)
    out[middle] = x
    return out


defvjp(surround, lambda g, out, x, widths, value: g[_padded(x.shape, widths)[1]])

_MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Return `input` with elements before and after its axes: `pad` has pairs, the last axis first.

    `mode` is "constant" (of `value` or 0; negative numbers cut off), "reflect", "replicate" or
    "circular".

    >>> F.pad(np.array([[1.0, 2.0, 3.0]]), (1, 1), mode="reflect")
    array([[2., 1., 2., 3., 2.]])
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(f"pad takes pairs for at most {input.ndim} axes, not {tuple(pad)}")
    pairs = [(0, 0)] * (input.ndim - len(pad) // 2)
    pairs += zip(pad[-2::-2], pad[::-2], strict=True)
    if mode == "constant":
        if min(pad, default=0) < 0:
            input = input[tuple(slice(max(-lo, 0), min(hi, 0) or None) for lo, hi in pairs)]
        widths = tuple((max(lo, 0), max(hi, 0)) for lo, hi in pairs)
        return surround(input, widths=widths, value=0.0 if value is None else value)
    if mode not in _MODES:
        raise ValueError(f"pad takes mode constant, {', '.join(_MODES)}, not {mode!r}")
    for axis, (lo, hi) in enumerate(pairs):
        if lo or hi:
            n = input.shape[axis]
            most = {"reflect": n - 1, "circular": n}.get(mode, lo + hi)
            if min(lo, hi) < 0 or max(lo, hi) > most or not n:
                raise ValueError(f"pad with {mode=} of length {n} by {lo}, {hi}")
            places = np.pad(np.arange(n), (lo, hi), _MODES[mode])
            before, after = (np.take(input, at, axis) for at in (places[:lo], places[lo + n :]))
            input = np.concatenate([before, input, after], axis)
    return input


def _resample(x: Any, matrices: Sequence[Any]) -> Any:
    """Multiply each of the last axes by a matrix `(new, old)`."""
    for axis, matrix in enumerate(matrices, x.ndim - len(matrices)):
        moved = np.tensordot(x, matrix.astype(x.dtype), ([axis], [1]))
        x = np.moveaxis(moved, -1, axis)
    return x


def interpolate(
    input: Any, size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:  # fmt: skip
    """Return `input` `(N, C, ...)` with axes `...` of length `size`, or times `scale_factor`.

    `mode` is "nearest", "linear" (one axis) or "bilinear" (two). With `align_corners` the ends stay
    in place; without, elements are cells of equal width.

    >>> F.interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2)
    array([[[1., 1., 2., 2.]]])
    """
    here = input.shape[2:]
    if (
        not here
        or {"nearest": len(here), "linear": 1, "bilinear": 2}.get(mode) != len(here)
        or (mode == "nearest" and align_corners is not None)
    ):
        raise ValueError(
            "interpolate takes mode nearest without align_corners, linear (one axis) or bilinear "
            f"(two), not {mode!r} for {input.shape}"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate takes either size or scale_factor")
    given: Any = scale_factor if size is None else size
    given = [given] * len(here) if isinstance(given, (int, float)) else given
    sizes = [int(n * f) for n, f in zip(here, given, strict=True)] if size is None else given
    if min(*sizes, *here) < 1:
        raise ValueError(f"interpolate of {input.shape} to {tuple(sizes)}")
    matrices = []
    for old, new, value in zip(here, sizes, given, strict=True):
        step, at = (1 / value if size is None else old / new), np.arange(new)
        if mode == "nearest":
            place = np.floor(at * step)
        elif align_corners:
            place = at * ((old - 1) / max(new - 1, 1))
        else:
            place = np.maximum((at + 0.5) * step - 0.5, 0.0)
        # of the old elements on both sides the nearer counts more
        distance = np.abs(np.minimum(place, old - 1)[:, None] - np.arange(old))
        matrices.append(np.maximum(1 - distance, 0.0))
    return _resample(input, matrices)
