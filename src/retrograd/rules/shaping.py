"""Functions that rearrange the elements of one array without computing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.core import astype as change_dtype
from retrograd.core import record
from retrograd.registry import composed, defvjp, kernel, nograd
from retrograd.rules.reductions import column, given


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

# The methods of an array: the same views without the Python layers of NumPy's functions.
kernel(np.reshape)(lambda a, shape: a.reshape(shape))
kernel(np.transpose)(lambda a, axes=None: a.transpose(axes))
kernel(np.swapaxes)(lambda a, axis1, axis2: a.swapaxes(axis1, axis2))
# fmt: on

nograd(np.zeros_like, np.ones_like, np.empty_like)


@composed(np.reshape)
def _reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None,
             copy: bool | None = None) -> Any:  # fmt: skip
    if order != "C":
        raise TypeError("np.reshape of a Tensor keeps order='C': transpose before and after")
    return record(np.reshape, a, newshape if shape is None else shape)


# fmt: off
if hasattr(np, "astype"):  # NumPy 2.1
    composed(np.astype)(lambda x, dtype, /, *, copy=True, device=None:
                        record(change_dtype, x, np.dtype(dtype)))
# fmt: on


@composed(np.matrix_transpose, np.linalg.matrix_transpose)
def _matrix_transpose(x: Any, /) -> Any:
    if x.ndim < 2:
        raise ValueError(f"np.matrix_transpose takes two axes or more, not shape {x.shape}")
    return x.mT


def _at_least(*places: tuple[Any, ...]) -> Callable[..., Any]:
    """Return a function that gives arrays of fewer axes the index for their number of axes."""

    def at_least(*arys: Any) -> Any:
        out = [x[places[x.ndim]] if x.ndim < len(places) else x for x in map(given, arys)]
        return out[0] if len(out) == 1 else tuple(out)

    return at_least


_ALL = slice(None)
composed(np.atleast_1d)(_at_least((None,)))
composed(np.atleast_2d)(_at_least((None, None), (None, _ALL)))
composed(np.atleast_3d)(_at_least((None, None, None), (None, _ALL, None), (_ALL, _ALL, None)))


@composed(np.broadcast_arrays)
def _broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    arrays = [given(x) for x in args]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(np.broadcast_to(x, shape) for x in arrays)


@composed(np.meshgrid)
def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if indexing not in ("xy", "ij"):
        raise ValueError(f'np.meshgrid takes indexing "xy" or "ij", not {indexing!r}')
    places = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        places[:2] = 1, 0
    out = [column(given(x), place, len(xi)) for x, place in zip(xi, places, strict=True)]
    return tuple(out) if sparse else _broadcast_arrays(*out)


def below(m: Any, k: int) -> Any:
    """Return the mask of what is on or below a diagonal of a matrix (or of the vector's square)."""
    rows, columns = m.shape[-2:] if m.ndim > 1 else m.shape * 2
    return np.tri(rows, columns, k, dtype=bool)


# fmt: off
composed(np.linalg.diagonal)(lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1))
composed(np.trace)(lambda a, offset=0, axis1=0, axis2=1, dtype=None, out=None:
    np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype))
composed(np.linalg.trace)(lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype))
composed(np.tril)(lambda m, k=0: np.where(below(m, k), m, 0))
composed(np.full_like)(
    lambda a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None:
    record(np.copy, np.broadcast_to(given(fill_value), a.shape if shape is None else shape)
                    .astype(a.dtype if dtype is None else dtype)))
composed(np.triu)(lambda m, k=0: np.where(below(m, k - 1), 0, m))
# fmt: on


@composed(np.linspace)
def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    start, stop = given(start), given(stop)
    kind = np.result_type(start.dtype, stop.dtype, float(num))
    start, stop = start.astype(kind), stop.astype(kind)
    parts = max(num - endpoint, 0)
    step = (stop - start) / parts if parts else (stop - start) * math.nan
    count = np.arange(num, dtype=kind).reshape((-1,) + (1,) * step.ndim)
    out = start + (step * count if parts else count * 0 * (stop - start))
    if endpoint and num > 1:
        out = np.concatenate([out[:-1], np.broadcast_to(stop, out.shape[1:])[None]])
    out = np.moveaxis(out, 0, axis)
    if dtype is not None:
        out = out.astype(dtype)
    return (out, step) if retstep else out


@composed(np.logspace)
def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    if np.ndim(base):
        base = np.expand_dims(base, axis)
    out = np.power(base, _linspace(start, stop, num, endpoint, axis=axis))
    return out if dtype is None else out.astype(dtype)


@composed(np.geomspace)
def _geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Go between numbers of one sign."""
    start, stop = given(start).astype(float), given(stop).astype(float)
    powers = _linspace(np.log(np.abs(start)), np.log(np.abs(stop)), num, endpoint, axis=axis)
    signs = np.broadcast_to(np.sign(start), (start + stop).shape)
    out = np.exp(powers) * np.expand_dims(signs, axis)
    return out if dtype is None else out.astype(dtype)
