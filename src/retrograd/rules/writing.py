"""NumPy's functions that write into an array, by what they write at which index of a Tensor.

`t[index] = value` itself is told in `retrograd.engine.writes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.engine import Tensor, adapted, added, is_recording, leave_to_numpy, spelled, write
from retrograd.engine.rule import UFUNC_METHODS
from retrograd.rules.axes import to_array

# The functions that are answered here
WRITERS: set[Callable[..., Any]] = set()


def writes(fn: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Answer a function by the decorated one where what it writes into is a Tensor.

    Into an array only values can be written.
    """

    def register(body: Callable[..., None]) -> Callable[..., None]:
        WRITERS.add(fn)
        adapted(fn)(_with_target(fn, body))
        return body

    return register


def _with_target(fn: Callable[..., Any], body: Callable[..., None]) -> Callable[..., Any]:
    def answer(target: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(target, Tensor):
            return body(target, *args, **kwargs)
        return leave_to_numpy(
            fn, (target, *args), kwargs,
            f"{spelled(fn)} into an array would lose the gradient of what is written: write into "
            "a Tensor, t = rg.Tensor(array); np.broadcast_to(t, shape) for np.full; or t.detach() "
            "for the values alone",
        )  # fmt: skip

    return answer


@writes(np.copyto)
def copyto(dst: Tensor, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Write `src` into a Tensor, where a mask says so."""
    is_number = isinstance(src, (bool, int, float))  # of a kind, without a size
    src = to_array(src)
    fits = is_number and src.dtype.kind == dst.dtype.kind
    if not fits and not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {src.dtype!r} to {dst.dtype!r} according to the "
            f"rule {casting!r}"
        )
    if where is True:
        dst[...] = src
    else:
        _write_masked(dst, np.broadcast_to(where, dst.shape), np.broadcast_to(src, dst.shape))


def _write_masked(t: Tensor, mask: Any, value: Any) -> None:
    """Write the elements of `value`, of the shape of `t`, where a mask of that shape is true."""
    if is_recording():  # how many there are may differ from run to run
        t[...] = np.where(mask, value, t)
    else:
        mask = mask._array if isinstance(mask, Tensor) else np.asarray(mask)
        mask = mask.astype(np.bool_, copy=False)
        t[mask] = value[mask]


@writes(np.putmask)
def putmask(a: Tensor, mask: Any, values: Any) -> None:
    """Write the values at the same positions where a mask is true, all of them over and over."""
    mask = _mask_of(mask, a)
    values = np.ravel(to_array(values))
    if values.size:
        at = np.arange(a.size) % values.size
        _write_masked(a, mask, np.reshape(values[at], a.shape))


@writes(np.place)
def place(arr: Tensor, mask: Any, vals: Any) -> None:
    """Write one value after the other where a mask is true, all of them over and over."""
    mask, vals = _mask_of(mask, arr), np.ravel(to_array(vals))
    if not vals.size:
        is_known = not (is_recording() and isinstance(mask, Tensor))
        if is_known and not np.any(_plain(mask)):
            return
        raise ValueError("Cannot insert from an empty array!")
    at = (np.cumsum(np.ravel(mask)) - 1) % vals.size
    _write_masked(arr, mask, np.reshape(np.take(vals, at), arr.shape))


def _mask_of(mask: Any, a: Tensor) -> Any:
    """Return a mask as one of bools, of the shape of `a`; ValueError for another size."""
    mask = to_array(mask)
    if mask.size != a.size:
        raise ValueError(f"a mask of shape {mask.shape} for a Tensor of shape {a.shape}")
    return np.reshape(mask != 0, a.shape)


@writes(np.put)
def put(a: Tensor, ind: Any, v: Any, mode: str = "raise") -> None:
    """Write values at positions in the flat Tensor, over and over where there are fewer."""
    ind, v, size = np.ravel(to_array(ind)), np.ravel(to_array(v)), a.size
    if not ind.size or not v.size:
        return
    if mode == "clip":
        ind = np.clip(ind, 0, size - 1)
    elif mode == "wrap":
        ind = ind % size
    elif mode != "raise":
        raise ValueError(f"mode of np.put is 'raise', 'wrap' or 'clip', not {mode!r}")
    _write_flat(a, ind, v)


def _write_flat(t: Tensor, at: Any, values: Any) -> None:
    """Write values, over and over where there are fewer, at positions in the flat Tensor."""
    values = values[np.arange(at.size) % values.size]
    if t.ndim == 1:
        t[at] = values
        return
    wrong = (_plain(at) < -t.size) | (_plain(at) >= t.size)
    if wrong.any():
        raise IndexError(
            f"index {_plain(at)[wrong][0]} is out of bounds for axis 0 with size {t.size}"
        )
    t[np.unravel_index(np.where(at < 0, at + t.size, at), t.shape)] = values


@writes(np.put_along_axis)
def put_along_axis(arr: Tensor, indices: Any, values: Any, axis: int | None = -1) -> None:
    """Write values where indices along an axis say, as `np.take_along_axis` reads them."""
    indices = to_array(indices)
    if axis is None:
        if indices.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        values = np.ravel(np.broadcast_to(to_array(values), indices.shape))
        if indices.size:
            _write_flat(arr, indices, values)
        return
    if indices.ndim != arr.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    if not -arr.ndim <= axis < arr.ndim:
        raise np.exceptions.AxisError(axis, arr.ndim)
    index: list[Any] = []
    for i, n in enumerate(arr.shape):
        shape = [1] * arr.ndim
        shape[i] = n
        index.append(indices if i == axis % arr.ndim else np.arange(n).reshape(shape))
    arr[tuple(index)] = values


@writes(np.fill_diagonal)
def fill_diagonal(a: Tensor, val: Any, wrap: bool = False) -> None:
    """Write values on the diagonal, over and over where there are fewer."""
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    end = a.size
    if a.ndim == 2:
        step = a.shape[1] + 1
        if not wrap:
            end = min(end, a.shape[1] * a.shape[1])
    else:
        if len({*a.shape}) > 1:
            raise ValueError("All dimensions of input must be of equal length")
        step = 1 + sum(math.prod(a.shape[:i]) for i in range(1, a.ndim))
    val, at = np.ravel(to_array(val)), np.arange(0, end, step)
    if at.size and val.size:
        _write_flat(a, at, val)


def _plain(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def _add_at(a: Any, indices: Any, b: Any) -> None:
    write(a, indices, b, added)


def _subtract_at(a: Any, indices: Any, b: Any) -> None:
    write(a, indices, -to_array(b), added)


UFUNC_METHODS[np.add, "at"] = _with_target(np.add.at, _add_at)
UFUNC_METHODS[np.subtract, "at"] = _with_target(np.subtract.at, _subtract_at)
