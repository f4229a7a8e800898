"""Padding, and resizing as a matrix product along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from retrograd.checks import ensure, whole
from retrograd.engine import TensorT, defvjp, primitive
from retrograd.nn.functional.windows import Windows, padded_size

__all__ = ["interpolate", "pad", "pixel_shuffle"]


@primitive(looks_through=False)
def surround(x: Any, widths: Windows, value: float) -> Any:
    """Return `x` with elements of `value` round it: a pair (before, after) for each axis."""
    shape, middle = padded_size(x.shape, widths)
    out = np.full_like(x, value, shape=shape)
    out[middle] = x
    return out


defvjp(surround, lambda g, out, x, widths, value: g[padded_size(x.shape, widths)[1]])

# PyTorch's names of modes, and NumPy's
_MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(
    input: TensorT, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> TensorT:
    """Return `input` with elements put before and after its last axes.

    Unlike `np.pad`, it takes the widths of the last axis first.

    Args:
        input: array or Tensor of any shape.
        pad: how many elements to add: before and after the last axis, then before and after the
            axis in front of it, and so on; an even number of whole numbers, at most two an axis.
            Negative numbers cut elements off.
        mode: "constant"; or with elements that are there, "reflect" (mirrored at the outermost
            element, which is not repeated), "replicate" (the outermost element again and again) or
            "circular" (those of the other end).
        value: what to add with mode "constant"; None is 0.

    Returns:
        A Tensor, each axis of which is longer by the two numbers for it; an array for an array.

    Raises:
        ValueError: if `pad` has no pairs or too many, the mode is none of the above, or an axis is
            too short for it: "reflect" adds less than its length, "circular" at most its length.

    >>> F.pad(np.array([[1.0, 2.0, 3.0]]), (1, 1), mode="reflect")
    array([[2., 1., 2., 3., 2.]])
    >>> F.pad(np.array([[1.0, 2.0, 3.0]]), (0, -1, 1, 0))
    array([[0., 0.],
           [1., 2.]])
    """
    x: Any = input
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(f"pad takes pairs for at most {x.ndim} axes, not {tuple(pad)}")
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2)
    pairs += zip(pad[-2::-2], pad[::-2], strict=True)
    if mode == "constant":
        if min(pad, default=0) < 0:
            x = x[tuple(slice(max(-lo, 0), min(hi, 0) or None) for lo, hi in pairs)]
        widths = tuple((max(lo, 0), max(hi, 0)) for lo, hi in pairs)
        return surround(x, widths=widths, value=0.0 if value is None else value)
    if mode not in _MODES:
        raise ValueError(f"pad takes mode constant, {', '.join(_MODES)}, not {mode!r}")
    for axis, (lo, hi) in enumerate(pairs):
        if lo or hi:
            x = _pad_with_own(x, axis, lo, hi, mode)
    return x


def _pad_with_own(x: Any, axis: int, lo: int, hi: int, mode: str) -> Any:
    """Return `x` with elements of its own before and after an axis; negative numbers cut off.

    What is added is taken from the whole of `x`, but with mode "circular", as in PyTorch, from
    what the cuts leave.
    """
    source, n, at = x, x.shape[axis], (slice(None),) * axis
    if min(lo, hi) < 0:
        x = x[(*at, slice(max(-lo, 0), min(hi, 0) or None))]
        if mode == "circular":
            source, n = x, x.shape[axis]
    before, after = max(lo, 0), max(hi, 0)
    most = {"reflect": n - 1, "circular": n}.get(mode, before + after)
    if max(before, after) > most or not x.shape[axis]:
        raise ValueError(f"pad with {mode=} of length {n} by {lo}, {hi}")
    places = np.pad(np.arange(n), (before, after), _MODES[mode])
    ends = (np.take(source, p, axis) for p in (places[:before], places[before + n :]))
    return np.concatenate([next(ends), x, *ends], axis)


def resample(x: Any, matrices: Sequence[Any]) -> Any:
    """Multiply the last axes of `x`, each by a matrix of its own, `(new, old)`."""
    for axis, matrix in enumerate(matrices, x.ndim - len(matrices)):
        moved = np.tensordot(x, matrix.astype(x.dtype), ([axis], [1]))
        x = np.moveaxis(moved, -1, axis)
    return x


def interpolate(
    input: TensorT, size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> TensorT:  # fmt: skip
    """Return `input` with other lengths of its axes from axis 2 on, its elements interpolated.

    Args:
        input: signals `(N, C, L)`, images `(N, C, H, W)`, or with more axes.
        size: the new length of each of those axes; one number for all or one for each.
        scale_factor: instead of `size`, what to multiply their lengths by (rounded down); one
            number for all or one for each.
        mode: "nearest" repeats or drops elements; "linear" (one axis) and "bilinear" (two) weigh
            the elements on both sides by how near they are.
        align_corners: for "linear" and "bilinear", what is kept in place: the outermost elements
            (True), or the outer edges of the input, in which elements are cells of equal width
            (False or None).
        recompute_scale_factor: for `scale_factor`, whether places are computed from the lengths
            that come out (True), or from the factor itself (False or None).
        antialias: is not there; False.

    Returns:
        A Tensor `(N, C, ...)` with the new lengths; an array for an array.

    Raises:
        ValueError: unless either `size` or `scale_factor` is given, the mode fits the number of
            axes, "nearest" comes without `align_corners`, all lengths are at least 1, and
            `antialias` is False.

    >>> F.interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2)
    array([[[1., 1., 2., 2.]]])
    >>> F.interpolate(np.array([[[1.0, 2.0]]]), size=3, mode="linear", align_corners=True)
    array([[[1. , 1.5, 2. ]]])
    """
    here = input.shape[2:]
    ensure(not antialias, "antialias", "False", antialias, "interpolate")
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
    wanted: Any = scale_factor if size is None else size
    wanted = [wanted] * len(here) if isinstance(wanted, (int, float)) else wanted
    sizes = [int(n * f) for n, f in zip(here, wanted, strict=True)] if size is None else wanted
    if min(*sizes, *here) < 1:
        raise ValueError(f"interpolate of {input.shape} to {tuple(sizes)}")
    matrices = []
    for old, new, value in zip(here, sizes, wanted, strict=True):
        # PyTorch steps by the factor where one is given, even if the length was rounded
        step = 1 / value if size is None and not recompute_scale_factor else old / new
        matrices.append(_weights(old, new, step, mode, bool(align_corners)))
    return resample(input, matrices)


def _weights(old: int, new: int, step: float, mode: str, align_corners: bool) -> Any:
    """Return how much each old element counts in each new one, `(new, old)`."""
    at = np.arange(new)
    if mode == "nearest":
        place = np.floor(at * step)
    elif align_corners:
        place = at * ((old - 1) / max(new - 1, 1))
    else:
        place = np.maximum((at + 0.5) * step - 0.5, 0.0)
    # of the old elements on both sides of a place the nearer counts more
    distance = np.abs(np.minimum(place, old - 1)[:, None] - np.arange(old))
    return np.maximum(1 - distance, 0.0)


def pixel_shuffle(input: TensorT, upscale_factor: int) -> TensorT:
    """Return images that are larger by a whole factor r, made of r * r channels each.

    Element `(y, x)` of channel c comes from channel `c * r * r + (y % r) * r + x % r`.

    Args:
        input: images `(..., C * r * r, H, W)`.
        upscale_factor: r.

    Returns:
        A Tensor `(..., C, H * r, W * r)`; an array for an array.

    Raises:
        ValueError: if there are fewer than three axes, the factor is no whole number of at least 1,
            or its square does not divide the channels.

    Shi et al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network".

    >>> F.pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])
    """
    whole("pixel_shuffle", upscale_factor=upscale_factor)
    r, x = int(upscale_factor), cast("Any", input)
    if x.ndim < 3 or x.shape[-3] % (r * r):
        raise ValueError(f"pixel_shuffle by {r} takes (..., C * {r * r}, H, W), not {x.shape}")
    batch: tuple[int, ...] = x.shape[:-3]
    c, height, width = x.shape[-3:]
    n: int = len(batch)
    parts = x.reshape((*batch, c // (r * r), r, r, height, width))
    parts = np.transpose(parts, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    out: Any = parts.reshape((*batch, c // (r * r), height * r, width * r))
    return out
