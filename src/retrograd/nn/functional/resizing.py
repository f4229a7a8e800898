"""Padding, and resizing as a matrix product along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.registry import defvjp


@primitive(looks_through=False)
def surround(x: Any, widths: tuple[tuple[int, int], ...], value: float) -> Any:
    """Return `x` with `widths[i][0]` elements of `value` before axis i and `widths[i][1]` after."""
    shape = [n + lo + hi for n, (lo, hi) in zip(x.shape, widths, strict=True)]
    out = np.full_like(x, value, shape=shape)
    out[tuple(slice(lo, lo + n) for n, (lo, _) in zip(x.shape, widths, strict=True))] = x
    return out


def _surround_dx(g: Any, out: Any, x: Any, widths: Any, value: Any) -> Any:
    return g[tuple(slice(lo, lo + n) for n, (lo, _) in zip(x.shape, widths, strict=True))]


defvjp(surround, _surround_dx)


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Return `input` with `pad[0]` elements before and `pad[1]` after the last axis, and so on.

    `pad` goes by pairs from the last axis to the first. `mode` is "constant" (of `value`, by
    default 0; a negative number cuts off), "reflect", "replicate" or "circular". Raises
    ValueError for another mode, or for more than it finds to pad with.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.pad(np.array([[1.0, 2.0, 3.0]]), (1, 1), mode="reflect")
    array([[2., 1., 2., 3., 2.]])
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(f"pad takes pairs for at most {input.ndim} axes, not {tuple(pad)}")
    pairs = [(0, 0)] * (input.ndim - len(pad) // 2)
    pairs += [(pad[i], pad[i + 1]) for i in reversed(range(0, len(pad), 2))]
    if mode == "constant":
        cut = tuple(slice(max(-lo, 0), min(hi, 0) or None) for lo, hi in pairs)
        if min(pad, default=0) < 0:
            input = input[cut]
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
    most = n - 1 if mode == "reflect" else n if mode == "circular" else lo + hi
    if min(lo, hi) < 0 or max(lo, hi) > most or not n:
        raise ValueError(f"pad with mode={mode!r} of axis {axis}, length {n}, by {lo} and {hi}")

    def part(*where: int | None) -> Any:
        return x[(slice(None),) * axis + (slice(*where),)]

    def edge(piece: Any, times: int) -> Any:
        return np.broadcast_to(piece, (*x.shape[:axis], times, *x.shape[axis + 1 :]))

    if mode == "reflect":
        before, after = part(lo, 0, -1), part(n - 2, n - 2 - hi if hi < n - 1 else None, -1)
    elif mode == "circular":
        before, after = part(n - lo, None), part(0, hi)
    else:
        before, after = edge(part(0, 1), lo), edge(part(n - 1, n), hi)
    return np.concatenate([before, x, after], axis=axis)


def resample(x: Any, matrices: Sequence[Any]) -> Any:
    """Multiply the last axes of `x`, each by its own matrix `(new, old)`."""
    for axis, matrix in enumerate(matrices, x.ndim - len(matrices)):
        moved = np.tensordot(x, matrix.astype(x.dtype), ([axis], [1]))
        x = np.moveaxis(moved, -1, axis)
    return x


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:
    """Return `input` `(N, C, ...)` with its last axes of length `size`, or scaled by a factor.

    `mode` is "nearest", "linear" (one axis) or "bilinear" (two). With `align_corners` the first
    and the last element stay where they are; without, elements are cells of equal width. Raises
    ValueError unless exactly one of `size` and `scale_factor` is given.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2)
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
    if scale_factor is not None:
        factors = _each(scale_factor, len(here))
        sizes = [int(n * f) for n, f in zip(here, factors, strict=True)]
        steps = [1 / f for f in factors]
    else:
        sizes = _each(size, len(here))
        steps = [n / s if s else 0.0 for n, s in zip(here, sizes, strict=True)]
    if min(sizes) < 1:
        raise ValueError(f"interpolate of {input.shape} to the lengths {tuple(sizes)}")
    matrices = []
    for old, new, step in zip(here, sizes, steps, strict=True):
        at = np.arange(new)
        if mode == "nearest":
            place = np.minimum(np.floor(at * step), old - 1)
        elif align_corners:
            place = at * ((old - 1) / (new - 1) if new > 1 else 0.0)
        else:
            place = np.maximum((at + 0.5) * step - 0.5, 0.0)
        matrices.append(_between(place, old))
    return resample(input, matrices)


def _each(value: Any, axes: int) -> list[Any]:
    return [value] * axes if isinstance(value, (int, float)) else list(value)


def _between(place: Any, length: int) -> Any:
    """Return the matrix that reads a line of `length` elements at fractional places."""
    low = np.minimum(place.astype(int), length - 1)
    high = np.minimum(low + 1, length - 1)
    part = np.minimum(place - low, 1.0)
    matrix = np.zeros((len(place), length))
    rows = np.arange(len(place))
    matrix[rows, low] = 1 - part
    matrix[rows, high] += part
    return matrix
