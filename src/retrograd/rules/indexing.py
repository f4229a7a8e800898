"""Picking and rearranging the elements of an array, and putting them back."""

import functools
import math
import operator
from typing import Any

import numpy as np

from retrograd.engine import astype as change_dtype
from retrograd.engine import composed, defvjp, defvjp_joint, nograd, primitive, record
from retrograd.engine.rule import defaults
from retrograd.rules.arithmetic import at_least, column, given, in_dtype, inverse


@primitive(looks_through=False)
def put(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Add `g` into zeros at `index`: the adjoint of indexing."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, (list, np.ndarray)) and np.asarray(p).dtype.kind != "b" for p in parts):
        return _added(g, index, shape)  # an element may be picked more than once
    out = np.zeros(shape, g.dtype)
    out[index] = g
    return out


def _added(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    if isinstance(index, np.ndarray) and len(shape) > 1:
        # np.add.at is twice as fast on single elements
        width = math.prod(shape[1:])
        rows = np.arange(shape[0])[index].reshape((-1, 1))
        np.add.at(out.reshape(-1), (rows * width + np.arange(width)).reshape(-1), g.reshape(-1))
    else:
        np.add.at(out, index, g)
    return out


def _numbers(shape: tuple[int, ...]) -> Any:
    return np.arange(math.prod(shape)).reshape(shape)


@primitive(looks_through=False)
def put_taken(g: Any, indices: Any, axis: Any, shape: tuple[int, ...], mode: Any = None) -> Any:
    """Return the adjoint of `np.take`, or of `np.take_along_axis` where mode is None."""
    if mode is None:
        numbers = np.take_along_axis(_numbers(shape), indices, axis)
        return _added(g.reshape(-1), numbers.reshape(-1), (math.prod(shape),)).reshape(shape)
    if axis is None:
        return put_taken(g, indices, 0, (math.prod(shape),), mode).reshape(shape)
    index = np.take(np.arange(shape[axis]), indices, mode=mode)
    axis %= len(shape)
    return _added(g, (slice(None),) * axis + (index,) if axis else index, shape)


LAST = defaults(np.take_along_axis)["axis"]  # NumPy before 2.3 has no default there

# fmt: off
defvjp(operator.getitem, lambda g, out, x, index: put(g, index, x.shape))
defvjp(put, lambda g, out, x, index, shape: g[index], None)
defvjp(put_taken, lambda g, out, x, indices, axis, shape, mode=None:
                  np.take_along_axis(g, indices, axis) if mode is None else
                  np.take(g, indices, axis=axis, mode=mode), None)
defvjp(np.take, lambda g, out, a, indices, axis=None, mode="raise":
                put_taken(g, indices, axis, a.shape, mode=mode), None)
defvjp(np.take_along_axis, lambda g, out, arr, indices, axis=LAST:
                           put_taken(g, indices, axis, arr.shape), None)
defvjp(np.reshape,      lambda g, out, a, shape: g.reshape(a.shape),
                        run=lambda a, shape: a.reshape(shape))
defvjp(np.ravel,        lambda g, out, a: g.reshape(a.shape))
defvjp(np.transpose,    lambda g, out, a, axes=None: g.transpose(inverse(axes)),
                        run=lambda a, axes=None: a.transpose(axes))
defvjp(np.swapaxes,     lambda g, out, a, axis1, axis2: g.swapaxes(axis1, axis2),
                        run=lambda a, axis1, axis2: a.swapaxes(axis1, axis2))
defvjp(np.moveaxis,     lambda g, out, a, source, destination:
                        np.moveaxis(g, destination, source))
defvjp(np.squeeze,      lambda g, out, a, axis=None: g.reshape(a.shape))
defvjp(np.expand_dims,  lambda g, out, a, axis: g.reshape(a.shape))
defvjp(np.broadcast_to, lambda g, out, array, shape: g)
defvjp(np.copy,         lambda g, out, a: g)
defvjp(np.flip,         lambda g, out, m, axis=None: np.flip(g, axis))
defvjp(np.fliplr,       lambda g, out, m: np.fliplr(g))
defvjp(np.flipud,       lambda g, out, m: np.flipud(g))
defvjp(np.roll,         lambda g, out, a, shift, axis=None:
                        np.roll(g, tuple(-s for s in shift) if np.ndim(shift) else -shift, axis))
defvjp(np.rot90,        lambda g, out, m, k=1, axes=(0, 1): np.rot90(g, -k, axes))

# without NumPy's Python layers
# fmt: on


def _rearranged(fn: Any) -> None:
    """Give its rule to a function that only moves and repeats elements, or adds zeros.

    Run on 1, 2, ... it tells where each comes from.
    """

    def vjp(g: Any, out: Any, x: Any, **options: Any) -> Any:
        places = fn(1 + _numbers(x.shape), **options).ravel()
        return put(g.reshape(-1), places, (1 + x.size,))[1:].reshape(x.shape)

    defvjp(fn, vjp, names=[name for name in defaults(fn) if name != "out"])


for _fn in (
    np.tile, np.repeat, np.resize, np.delete, np.diag, np.diagflat, np.diagonal,
    np.rollaxis, np.lib.stride_tricks.sliding_window_view,
):  # fmt: skip
    _rearranged(_fn)

nograd(np.nonzero, np.unravel_index, np.ix_, multi=True)
nograd(
    np.flatnonzero, np.argwhere, np.searchsorted,
    np.ravel_multi_index, np.zeros_like, np.ones_like, np.empty_like,
)  # fmt: skip


# np.take does not ask the index whether it is a Tensor
_take = functools.partial(record, np.take)


@composed(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"np.select got {len(condlist)} conditions, {len(choicelist)} choices")
    out = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = np.where(condition, choice, out)
    return out


def chosen(a: Any, *choices: Any, mode: Any = "raise") -> Any:
    """Return `np.choose` with the choices as arguments."""
    return np.choose(a, choices, mode=mode)


def _chosen_joint(needed: Any, g: Any, out: Any, *arrays: Any, mode: Any = "raise") -> Any:
    a, n = arrays[0], len(arrays) - 1
    if mode != "raise":
        a = a % n if mode == "wrap" else np.clip(a, 0, n - 1)
    return [np.where(a == i - 1, g, 0.0) for i in needed]


defvjp_joint(chosen, _chosen_joint)


@composed(np.piecewise)
def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    if np.isscalar(condlist) or (x.ndim and not np.ndim(condlist[0])):
        condlist = [condlist]
    masks = [np.broadcast_to(c, x.shape) for c in condlist]
    if len(funclist) == len(masks) + 1:
        masks.append(np.logical_not(functools.reduce(np.logical_or, masks)))
    if len(funclist) != len(masks):
        raise ValueError(f"np.piecewise got {len(funclist)} functions for {len(condlist)} parts")
    out = np.zeros(x.shape, x.dtype)
    for mask, fn in zip(masks, funclist, strict=True):
        value = put(fn(x[mask], *args, **kw), mask, x.shape) if callable(fn) else fn
        out = np.where(mask, value, out)
    return out.astype(x.dtype)


@composed(np.interp)
def _interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: float | None = None
) -> Any:
    x, xp, fp = (given(v).astype(float) for v in (x, xp, fp))
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ValueError(f"np.interp takes two vectors, not {xp.shape} and {fp.shape}")
    if period is not None:
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = _take(xp, order), _take(fp, order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    last = xp.shape[0] - 1
    between = fp[0]
    if last:
        i = np.searchsorted(xp[1:-1], x, side="right")
        x0, f0 = _take(xp, i), _take(fp, i)
        between = f0 + (_take(fp, i + 1) - f0) * ((x - x0) / (_take(xp, i + 1) - x0))
    between = np.where(x < xp[0], fp[0] if left is None else left, between)
    return np.where(x > xp[last], fp[last] if right is None else right, between)


@composed(np.reshape)
def _reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None,
             copy: bool | None = None) -> Any:  # fmt: skip
    if order != "C":
        raise TypeError("np.reshape of a Tensor keeps order='C': transpose before and after")
    return record(np.reshape, a, newshape if shape is None else shape)


@composed(np.matrix_transpose, np.linalg.matrix_transpose)
def _matrix_transpose(x: Any, /) -> Any:
    at_least(2, "np.matrix_transpose", "ndim", x.ndim)
    return x.mT


# with the index for each number of axes that is too low
def _at_least(places: list[Any], *arys: Any) -> Any:
    out = [x[places[x.ndim]] if x.ndim < len(places) else x for x in map(given, arys)]
    return out[0] if len(out) == 1 else tuple(out)


composed(np.atleast_1d)(functools.partial(_at_least, [None]))
composed(np.atleast_2d)(functools.partial(_at_least, [(None, None), None]))
composed(np.atleast_3d)(functools.partial(_at_least, [(None,) * 3, (None, ..., None), (..., None)]))


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


def _below(m: Any, k: int) -> Any:
    rows, columns = (m.shape * 2)[-2:]
    return np.tri(rows, columns, k, dtype=bool)


# fmt: off
composed(np.compress)(lambda condition, a, axis=None, out=None:
                      _take(given(a), np.flatnonzero(condition), axis=axis))
composed(np.extract)(lambda condition, arr: _take(np.ravel(arr), np.flatnonzero(condition)))
composed(np.choose)(lambda a, choices, out=None, mode="raise":
                    record(chosen, given(a), *choices, mode=mode))
if hasattr(np, "astype"):  # NumPy 2.1
    composed(np.astype)(lambda x, dtype, /, *, copy=True, device=None:
                        record(change_dtype, x, np.dtype(dtype)))
composed(np.linalg.diagonal)(lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1))
composed(np.trace)(lambda a, offset=0, axis1=0, axis2=1, dtype=None, out=None:
    np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype))
composed(np.linalg.trace)(lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype))
composed(np.tril)(lambda m, k=0: np.where(_below(m, k), m, 0))
composed(np.triu)(lambda m, k=0: np.where(_below(m, k - 1), 0, m))
composed(np.full_like)(
    lambda a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None:
    record(np.copy, np.broadcast_to(given(fill_value), a.shape if shape is None else shape)
                    .astype(a.dtype if dtype is None else dtype)))
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
    step = (stop - start) / (parts or math.nan)
    count = np.arange(num, dtype=kind).reshape((-1,) + (1,) * step.ndim)
    out = start + count * (step if parts else stop - start)
    if endpoint and num > 1:
        out = np.concatenate([out[:-1], np.broadcast_to(stop, out.shape[1:])[None]])
    out = in_dtype(np.moveaxis(out, 0, axis), dtype)
    return (out, step) if retstep else out


@composed(np.logspace)
def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    if np.ndim(base):
        base = np.expand_dims(base, axis)
    return in_dtype(np.power(base, _linspace(start, stop, num, endpoint, axis=axis)), dtype)


@composed(np.geomspace)
def _geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    start, stop = given(start).astype(float), given(stop).astype(float)
    powers = _linspace(np.log(np.abs(start)), np.log(np.abs(stop)), num, endpoint, axis=axis)
    signs = np.broadcast_to(np.sign(start), (start + stop).shape)
    return in_dtype(np.exp(powers) * np.expand_dims(signs, axis), dtype)
