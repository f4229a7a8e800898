"""Convolution in n dimensions: windows laid out as columns, then one matrix product.

Inside, the batch is the last axis in memory. Windows are then copied in long runs, and what comes
out, `(N, C, ...)` to the reader, is in that order in memory for the next layer too.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.registry import defvjp, defvjp_shared

Sizes = int | tuple[int, ...]
# For each axis the length, stride, padding `(before, after)` and dilation of the windows.
Windows = tuple[tuple[Any, ...], ...]

# Columns are megabytes that every step makes and drops. glibc hands such memory back to the system
# and asks for it anew each time, until it has seen a larger block go: one that is never touched.
np.empty(31 << 20, np.uint8)


def per_axis(name: str, value: Any, axes: int, at_least: int) -> tuple[int, ...]:
    """Return one whole number for each axis, from one for all or a sequence of them."""
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes or any(not isinstance(v, int) or v < at_least for v in values):
        raise ValueError(
            f"{name} must be {axes} whole numbers of at least {at_least}, or one for all axes, "
            f"not {value!r}"
        )
    return values


def counted(size: Any, windows: Windows) -> tuple[int, ...]:
    """Return how many windows there are along each axis."""
    axes = zip(size, *windows, strict=True)
    return tuple((n + lo + hi - d * (k - 1) - 1) // s + 1 for n, k, s, (lo, hi), d in axes)


def window_places(out: Any, kernel: Any, stride: Any, dilation: Any) -> list[tuple[slice, ...]]:
    """Return for each place in a window the index of the elements there in all windows."""
    axes = zip(out, kernel, stride, dilation, strict=True)
    along = [[slice(d * i, d * i + s * (o - 1) + 1, s) for i in range(k)] for o, k, s, d in axes]
    return list(itertools.product(*along))


def padded(size: Any, pads: Any) -> tuple[list[int], tuple[slice, ...]]:
    """Return the lengths with all `pads`, and where the elements of `size` lie in the middle."""
    axes = list(zip(size, pads, strict=True))
    return [n + lo + hi for n, (lo, hi) in axes], tuple(slice(lo, lo + n) for n, (lo, _) in axes)


@primitive(looks_through=False)
def columns(x: Any, windows: Windows) -> Any:
    """Return the windows of `x` `(N, C, ...)` as columns: `(C * kernel, out * N)`."""
    kernel, stride, pads, dilation = windows
    n, c, *size = x.shape
    out = counted(size, windows)
    wide, middle = padded(size, pads)
    batch_last = x.transpose((*range(1, x.ndim), 0))
    if wide == size:
        x = np.ascontiguousarray(batch_last)
    else:
        x = np.zeros((c, *wide, n), x.dtype)
        x[(slice(None), *middle)] = batch_last
    first, *steps, last = x.strides
    within = [s * d for s, d in zip(steps, dilation, strict=True)]
    across = [s * d for s, d in zip(steps, stride, strict=True)]
    shape, strides = (c, *kernel, *out, n), (first, *within, *across, last)
    every = np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)
    return every.reshape((c * math.prod(kernel), math.prod(out) * n))


@primitive(looks_through=False)
def fold(cols: Any, shape: tuple[int, ...], windows: Windows) -> Any:
    """Add columns up where their windows lie in an array of `shape`: the adjoint of `columns`."""
    kernel, stride, pads, dilation = windows
    n, c, *size = shape
    out = counted(size, windows)
    wide, middle = padded(size, pads)
    cols = cols.reshape((c, math.prod(kernel), *out, n))
    x = np.zeros((c, *wide, n), cols.dtype)
    for i, place in enumerate(window_places(out, kernel, stride, dilation)):
        x[(slice(None), *place)] += cols[:, i]
    return x[(slice(None), *middle)].transpose((-1 % x.ndim, *range(x.ndim - 1)))


defvjp(columns, lambda g, out, x, windows: fold(g, shape=x.shape, windows=windows))
defvjp(fold, lambda g, out, cols, shape, windows: columns(g, windows=windows))


def grouped(x: Any, groups: int) -> Any:
    """Return a matrix as `groups` matrices of as many rows each."""
    return x.reshape((groups, x.shape[0] // groups, -1))


@primitive
def mix(cols: Any, weight: Any, bias: Any, groups: int, size: tuple[int, ...]) -> Any:
    """Return `weight` times the columns, each group its own, plus `bias`, as `(N, O, *size)`."""
    mixed = np.matmul(grouped(weight, groups), grouped(cols, groups))
    mixed = mixed.reshape((weight.shape[0], *size, -1))
    if bias is not None:
        mixed = mixed + bias.reshape((-1,) + (1,) * (len(size) + 1))
    return np.transpose(mixed, (len(size) + 1, *range(len(size) + 1)))


defvjp_shared(
    mix,
    lambda g, out, cols, weight, bias, groups, size:
        grouped(np.transpose(g, (*range(1, g.ndim), 0)), groups),
    lambda g, out, cols, weight, bias, groups, size:
        np.matmul(np.swapaxes(grouped(weight, groups), 1, 2), g).reshape(cols.shape),
    lambda g, out, cols, weight, bias, groups, size:
        np.matmul(g, np.swapaxes(grouped(cols, groups), 1, 2)).reshape(weight.shape),
    lambda g, out, cols, weight, bias, groups, size: np.sum(g, axis=2).reshape(bias.shape),
)  # fmt: skip


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Return `weight` `(O, C / groups, k)` slid along `input` `(N, C, L)` or `(C, L)`, plus `bias`.

    `padding` zeros are added on both sides; "same" adds as many as keep the length at stride 1,
    "valid" none. Raises ValueError for shapes that do not fit.

    >>> conv1d(np.arange(5.0).reshape(1, 1, 5), np.ones((1, 1, 3)))
    array([[[3., 6., 9.]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Return `weight` `(O, C / groups, k, k)` slid over `input` `(N, C, H, W)` or `(C, H, W)`.

    `bias` is `(O,)`; the rest is as in `conv1d`, one number for both axes or one for each.

    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    array([[[[4., 4.],
             [4., 4.]]]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def _conv(axes: int, input: Any, weight: Any, bias: Any, *options: Any) -> Any:
    if input.ndim == axes + 1:
        return _conv(axes, input[None], weight, bias, *options)[0]
    name, (stride, padding, dilation, groups) = f"conv{axes}d", options
    _check(name, axes, input, weight, bias, groups)
    kernel = weight.shape[2:]
    stride = per_axis("stride", stride, axes, 1)
    dilation = per_axis("dilation", dilation, axes, 1)
    windows = (kernel, stride, _pads(name, padding, kernel, stride, dilation), dilation)
    out = counted(input.shape[2:], windows)
    if min(out) < 1:
        raise ValueError(f"{name}: the kernel {kernel} does not fit into {input.shape[2:]}")
    return mix(columns(input, windows=windows), weight, bias, groups=groups, size=out)


def _check(
    name: str, axes: int, input: Any, weight: Any, bias: Any, groups: int, transposed: bool = False
) -> int:
    """Return the number of output channels; raise ValueError unless the shapes fit."""
    shapes = f"got input {input.shape}, weight {weight.shape}, groups={groups}"
    if input.ndim != axes + 2 or weight.ndim != axes + 2:
        raise ValueError(f"{name} takes input and weight of {axes + 2} axes; {shapes}")
    outs, channels = weight.shape[0], weight.shape[1] * groups
    if transposed:
        outs, channels = channels, outs
    if input.shape[1] != channels or weight.shape[0] % groups:
        raise ValueError(f"{name}: the channels of input, weight and groups do not fit; {shapes}")
    if bias is not None and bias.shape != (outs,):
        raise ValueError(f"{name} takes a bias ({outs},), not {bias.shape}")
    return int(outs)


def _pads(name: str, padding: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    """Return the padding `(before, after)` of each axis."""
    if padding == "same":
        if max(stride) > 1:
            raise ValueError(f'{name} with padding="same" takes stride 1, not {stride}')
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f'{name} takes numbers, "same" or "valid" as padding, not {padding!r}')
    padding = 0 if padding == "valid" else padding
    return tuple((p, p) for p in per_axis("padding", padding, len(kernel), 0))


def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Any:  # fmt: skip
    """Return what has `input` as the gradient's shape of a `conv2d`: it makes images larger.

    `input` is `(N, C, H, W)` or `(C, H, W)`, `weight` `(C, O / groups, k, k)`, `bias` `(O,)`.
    A length becomes `(n - 1) * stride - 2 * padding + dilation * (k - 1) + output_padding + 1`.
    Raises ValueError for shapes that do not fit.

    >>> conv_transpose2d(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 2)), stride=2)
    array([[[[1., 1., 1., 1.]]]])
    """
    if input.ndim == 3:
        given = (weight, bias, stride, padding, output_padding, groups, dilation)
        return conv_transpose2d(input[None], *given)[0]
    outs = _check("conv_transpose2d", 2, input, weight, bias, groups, transposed=True)
    kernel = weight.shape[2:]
    stride, dilation = per_axis("stride", stride, 2, 1), per_axis("dilation", dilation, 2, 1)
    padding = per_axis("padding", padding, 2, 0)
    extra = per_axis("output_padding", output_padding, 2, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"output_padding {extra} must be below the stride or the dilation")
    axes = zip(input.shape[2:], kernel, stride, padding, dilation, extra, strict=True)
    size = [(n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, d, e in axes]
    if min(size) < 1:
        raise ValueError(f"conv_transpose2d: padding {padding} leaves nothing of {input.shape}")
    x = grouped(np.transpose(input, (1, 2, 3, 0)).reshape((input.shape[1], -1)), groups)
    cols = np.matmul(np.swapaxes(grouped(weight, groups), 1, 2), x).reshape((-1, x.shape[2]))
    windows = (kernel, stride, tuple((p, p) for p in padding), dilation)
    out = fold(cols, shape=(input.shape[0], outs, *size), windows=windows)
    return out if bias is None else out + bias.reshape((-1, 1, 1))
