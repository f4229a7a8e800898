"""Functions that rearrange the elements of one array without computing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.core import astype as change_dtype
from retrograd.core import record
from retrograd.registry import composed, defvjp, kernel, nograd
from retrograd.rules.indexing import put
from retrograd.rules.reductions import given


def inverse(axes: Sequence[int] | None) -> Any:
    """Return the order of axes that undoes `axes`."""
    if axes is None:
        return None
    order = [a % len(axes) for a in axes]
    return tuple(order.index(i) for i in range(len(order)))


def opposite(shift: Any) -> Any:
    """Return the shift that undoes `shift`, a number or several."""
    return tuple(-s for s in shift) if isinstance(shift, (tuple, list)) else -shift


# fmt: off
defvjp(np.reshape,      lambda g, out, a, shape: g.reshape(a.shape))
defvjp(np.ravel,        lambda g, out, a: g.reshape(a.shape))
defvjp(np.transpose,    lambda g, out, a, axes=None: g.transpose(inverse(axes)))
defvjp(np.swapaxes,     lambda g, out, a, axis1, axis2: g.swapaxes(axis1, axis2))
defvjp(np.moveaxis,     lambda g, out, a, source, destination:
                        np.moveaxis(g, destination, source))
defvjp(np.squeeze,      lambda g, out, a, axis=None: g.reshape(a.shape))
defvjp(np.expand_dims,  lambda g, out, a, axis: g.reshape(a.shape))
defvjp(np.broadcast_to, lambda g, out, array, shape: g)
defvjp(np.copy,         lambda g, out, a: g)
defvjp(np.flip,         lambda g, out, m, axis=None: np.flip(g, axis))
defvjp(np.fliplr,       lambda g, out, m: np.fliplr(g))
defvjp(np.flipud,       lambda g, out, m: np.flipud(g))
defvjp(np.roll,         lambda g, out, a, shift, axis=None: np.roll(g, opposite(shift), axis))
defvjp(np.rot90,        lambda g, out, m, k=1, axes=(0, 1): np.rot90(g, -k, axes))
# fmt: on


# The methods of an array: the same views without the Python layers of NumPy's functions.
@kernel(np.reshape)
def _reshape(a: Any, shape: Any) -> Any:
    return a.reshape(shape)


@kernel(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    return a.transpose(axes)


@kernel(np.swapaxes)
def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    return a.swapaxes(axis1, axis2)


@composed(np.reshape)
def reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None,
            copy: bool | None = None) -> Any:  # fmt: skip
    """Answer `np.reshape`."""
    if order != "C":
        raise TypeError("np.reshape of a Tensor keeps order='C': transpose before and after")
    return record(np.reshape, a, newshape if shape is None else shape)


def _as_type(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Answer `np.astype`."""
    return record(change_dtype, x, np.dtype(dtype))


if hasattr(np, "astype"):  # NumPy 2.1
    composed(np.astype)(_as_type)


@composed(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Answer `np.matrix_transpose`: the last two axes change places."""
    if x.ndim < 2:
        raise ValueError(f"np.matrix_transpose takes two axes or more, not shape {x.shape}")
    return np.swapaxes(x, -1, -2)


# --- number of axes ------------------------------------------------------------------------------


def _at_least(*places: tuple[Any, ...]) -> Callable[..., Any]:
    """Return a function that gives arrays of fewer axes the index for their number of axes."""

    def at_least(*arys: Any) -> Any:
        out = [x[places[x.ndim]] if x.ndim < len(places) else x for x in map(given, arys)]
        return out[0] if len(out) == 1 else tuple(out)

    return at_least


composed(np.atleast_1d)(_at_least((None,)))
composed(np.atleast_2d)(_at_least((None, None), (None, slice(None))))
composed(np.atleast_3d)(
    _at_least((None, None, None), (None, slice(None), None), (slice(None), slice(None), None))
)


@composed(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    """Answer `np.broadcast_arrays`."""
    arrays = [given(x) for x in args]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(np.broadcast_to(x, shape) for x in arrays)


@composed(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """Answer `np.meshgrid`."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f'np.meshgrid takes indexing "xy" or "ij", not {indexing!r}')
    places = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        places[:2] = 1, 0
    out = tuple(
        np.reshape(given(x), tuple(-1 if i == place else 1 for i in range(len(xi))))
        for x, place in zip(xi, places, strict=True)
    )
    return out if sparse else broadcast_arrays(*out)


# --- diagonals and triangles ---------------------------------------------------------------------


@composed(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """Answer `np.diag`: a matrix of its diagonal, or the diagonal of a matrix."""
    if v.ndim == 2:
        return np.diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"np.diag takes one or two axes, not shape {v.shape}")
    n = v.shape[0] + abs(k)
    rows = np.arange(v.shape[0]) + max(-k, 0)
    return put(v, (rows, rows + k), (n, n))


@composed(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """Answer `np.diagflat`."""
    return diag(np.ravel(v), k)


@composed(np.linalg.diagonal)
def matrix_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Answer `np.linalg.diagonal`: of the last two axes."""
    return np.diagonal(x, offset, -2, -1)


@composed(np.trace)
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """Answer `np.trace`."""
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@composed(np.linalg.trace)
def matrix_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Answer `np.linalg.trace`: of the last two axes."""
    return trace(x, offset, -2, -1, dtype)


def below(m: Any, k: int) -> Any:
    """Return the mask of what is on or below a diagonal of a matrix (or of the vector's square)."""
    rows, columns = m.shape[-2:] if m.ndim > 1 else m.shape * 2
    return np.tri(rows, columns, k, dtype=bool)


@composed(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """Answer `np.tril`."""
    return np.where(below(m, k), m, 0)


@composed(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """Answer `np.triu`."""
    return np.where(below(m, k - 1), 0, m)


# --- arrays of a shape ---------------------------------------------------------------------------

nograd(np.zeros_like, np.ones_like, np.empty_like)


@composed(np.full_like)
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True,
    shape: Any = None, *, device: Any = None,
) -> Any:  # fmt: skip
    """Answer `np.full_like`; the gradient goes to `fill_value`."""
    filled = np.broadcast_to(given(fill_value), a.shape if shape is None else shape)
    return record(np.copy, filled.astype(a.dtype if dtype is None else dtype))


@composed(np.linspace)
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """Answer `np.linspace`."""
    start, stop = given(start), given(stop)
    kind = np.result_type(start.dtype, stop.dtype, float(num))
    start, stop = start.astype(kind), stop.astype(kind)
    parts = max(num - endpoint, 0)
    step = (stop - start) / parts if parts else (stop - start) * math.nan
    count = np.arange(num, dtype=kind).reshape((-1,) + (1,) * step.ndim)
    out = start + (step * count if parts else count * 0 * (stop - start))
    if endpoint and num > 1:
        last = np.broadcast_to(stop, out.shape[1:])[None]
        out = np.concatenate([out[:-1], last])
    out = np.moveaxis(out, 0, axis)
    if dtype is not None:
        out = out.astype(dtype)
    return (out, step) if retstep else out


@composed(np.logspace)
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """Answer `np.logspace`: `base` to the powers of `np.linspace`."""
    if np.ndim(base):
        base = np.expand_dims(base, axis)
    out = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return out if dtype is None else out.astype(dtype)


@composed(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Answer `np.geomspace` between numbers of one sign."""
    start, stop = given(start).astype(float), given(stop).astype(float)
    powers = linspace(np.log(np.abs(start)), np.log(np.abs(stop)), num, endpoint, axis=axis)
    out = np.exp(powers) * np.expand_dims(
        np.broadcast_to(np.sign(start), (start + stop).shape), axis
    )
    return out if dtype is None else out.astype(dtype)
