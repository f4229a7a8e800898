"""How functions run on a batch in one call: most need only be told of the axis that comes first.

Each batcher takes a `Call` and returns what it gives, with the leading axis. What is in no table
here goes one by one.
"""

from __future__ import annotations

import math
import operator
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.engine import Tensor, astype, pick, wrap
from retrograd.engine.rule import defaults
from retrograd.engine.tensor import plain
from retrograd.func.calls import Batched, Call, one_by_one, repeat, widen
from retrograd.func.run import variable
from retrograd.nn.functional import activations, piecewise
from retrograd.nn.functional.linear import linear, rows
from retrograd.nn.functional.pooling import from_window, to_window
from retrograd.nn.functional.resizing import surround
from retrograd.nn.functional.windows import columns, fold
from retrograd.rules.elementwise import kinked, times_sign
from retrograd.rules.indexing import put, put_taken
from retrograd.rules.joining import concat
from retrograd.rules.nesting import pile
from retrograd.rules.products import contract
from retrograd.special import logistic


def batcher_of(fn: Callable[..., Any]) -> Callable[[Call], Any] | None:
    """Return how a function runs on a batch, or None where that is not in one call."""
    if isinstance(fn, np.ufunc) and fn.signature is None:
        return elementwise
    if getattr(fn, "__module__", None) in ELEMENTWISE_ROOMS:
        return elementwise
    return BATCHERS.get(fn)


def elementwise(c: Call) -> Any:
    """Run a function of which each element of the result is that of the same elements."""
    ndim = c.ndim
    most = max(ndim)
    values = c.values
    if any(n < most for n in ndim):
        values = c.map_flagged(lambda v: widen(v, 1 + most), values)
    return c.run(values)


def _likeness(c: Call) -> Any:
    return one_by_one(c) if c.kwargs.get("shape") is not None else c.run(c.values)


def _kinked(c: Call) -> Any:
    same = c.ndim[0] == c.ndim[1]
    return c.run(_all_flagged(c)) if same else one_by_one(c)


# Functions of axes


def _shift(axis: Any, ndim: int) -> Any:
    """Return what `axis` of an array with `ndim` axes is called where there is a leading one."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    return tuple(a % ndim + 1 for a in axis) if np.ndim(axis) else axis % ndim + 1


def _along_axes(c: Call) -> Any:
    """Run a function that goes over axes of its one array."""
    options = _options(c)
    shifted = {k: _shift(options.get(k), c.ndim[0]) for k in AXES[c.rule.fn]}
    return c.run(c.values[:1], **{**options, **shifted})


def _options(c: Call) -> dict[str, Any]:
    """Return what comes after the first argument by name: rules without gradients leave it open."""
    if len(c.values) == 1:
        return c.kwargs
    names = c.rule.names or tuple(defaults(c.rule.fn))
    return {**dict(zip(names[1:], c.values[1:], strict=False)), **c.kwargs}


def _along_one_axis(default: int | None) -> Callable[[Call], Any]:
    """Return the batcher of a function that goes along one axis, or with None along all elements.

    Args:
        default: the axis where none is given.
    """

    def batcher(c: Call) -> Any:
        options = _options(c)
        axis, keeps = options.get("axis", default), options.get("keepdims", False) is True
        if not c.flags[0] or any(c.flags[1:]) or not c.ndim[0] or (keeps and axis is None):
            return one_by_one(c)
        x = c.x.reshape((c.size, math.prod(c.x.shape[1:]))) if axis is None else c.x
        axis = 1 if axis is None else _shift(axis, c.ndim[0])
        return c.run([x], **{**options, "axis": axis})

    return batcher


def _transpose(c: Call) -> Any:
    axes, ndim = c.kwargs.get("axes"), c.ndim[0]
    order = range(ndim)[::-1] if axes is None else axes
    return np.transpose(c.x, (0, *_shift(order, ndim)))


def _diagonal(c: Call) -> Any:
    axes = (_shift(c.kwargs.get(f"axis{i + 1}", i), c.ndim[0]) for i in range(2))
    return np.diagonal(c.x, c.kwargs.get("offset", 0), *axes)


def _diag(c: Call) -> Any:
    k = c.kwargs.get("k", 0)
    if c.ndim[0] == 2:
        return np.diagonal(c.x, k, 1, 2)
    rows, columns = np.nonzero(np.eye(c.shape[1], k=k))
    return put(c.x, (slice(None), rows, columns), c.shape)


def _roll(c: Call) -> Any:
    options = _options(c)
    axis = options.get("axis")
    if any(c.flags[1:]) or not c.ndim[0]:
        return one_by_one(c)
    if axis is not None:
        return c.run([c.x], **{**options, "axis": _shift(axis, c.ndim[0])})
    rows = c.x.reshape((c.size, math.prod(c.x.shape[1:])))
    return c.run([rows], **{**options, "axis": 1}).reshape(c.x.shape)


# Products


def _matmul(c: Call) -> Any:
    x, y = c.values
    nx, ny = c.ndim
    if not c.flags[1] and ny <= 2:  # all rows of all matrices in one product
        out = np.matmul(x.reshape((math.prod(x.shape[:-1]), x.shape[-1])), y)
        return out.reshape((*x.shape[:-1], *y.shape[1:]))
    if not c.flags[0] and nx <= 2 and ny == 1:
        return np.matmul(y, x.T)
    x, y = x[..., None, :] if nx == 1 else x, y[..., None] if ny == 1 else y
    ndim = max(nx, ny, 2) + 1
    if _sums_nothing(x, y, c.flags):
        out = np.multiply(*c.map_flagged(lambda v: widen(v, ndim), [x, y]))
    else:
        out = np.matmul(*c.map_flagged(lambda v: widen(v, ndim), [x, y]))
    shape = out.shape
    if nx == 1:
        shape = (*shape[:-2], *shape[-1:])
    return out.reshape(shape[:-1] if ny == 1 else shape)


def _sums_nothing(x: Any, y: Any, flags: Any) -> bool:
    """Tell whether a product of matrices has sums of one term: then it is one of elements."""
    return x.shape[-1] == 1 and y.shape[-2] == 1 and all(flags)


def _contract(c: Call) -> Any:
    terms, _, result = c.kwargs["subscripts"].partition("->")
    lead = next(a for a in string.ascii_letters if a not in c.kwargs["subscripts"])
    named = (lead * flag + term for term, flag in zip(terms.split(","), c.flags, strict=True))
    return c.run(c.values, subscripts=f"{','.join(named)}->{lead}{result}")


def _linear(c: Call) -> Any:
    if c.flags[0] and not any(c.flags[1:]):
        return c.run(c.values)
    x, weight, bias = c.values
    n = c.ndim[0]
    # one matrix for each entry: its transpose, with axes for those of the input in between
    other = np.swapaxes(weight, -1, -2)
    if c.flags[1] and n > 2:
        other = widen(other, n + 1)
    x = x[..., None, :] if n == 1 else x
    out = np.matmul(x, other)
    out = out[..., 0, :] if n == 1 else out
    if bias is None:
        return out
    return out + (widen(bias, n + 1) if c.flags[2] else bias)


# Joining


def _concat(c: Call) -> Any:
    axis = c.kwargs.get("axis", 0)
    if axis is None:
        return one_by_one(c)
    return np.concatenate(_all_flagged(c), axis=_shift(axis, max(c.ndim)))


def _pile(c: Call) -> Any:
    return np.stack(_all_flagged(c), axis=1)


def _all_flagged(c: Call) -> list[Any]:
    pairs = zip(c.values, c.flags, strict=True)
    return [v if flag else repeat(np.asarray(v) if np.isscalar(v) else v, c.size)
            for v, flag in pairs]  # fmt: skip


# Indexing


def _indexing(c: Call) -> Any:
    if c.flags[1]:
        return _with_indices_of_each(c)
    index = c.args[1]
    parts = index if isinstance(index, tuple) else (index,)
    is_put = c.rule.fn is put
    if _keeps_lead(parts):
        whole = (slice(None), *parts)
        return put(c.x, whole, (c.size, *c.kwargs["shape"])) if is_put else c.x[whole]
    # the leading axis goes last, where an index that says nothing of it leaves it
    if any(p is Ellipsis for p in parts):
        parts = (*parts, slice(None))
    x = np.moveaxis(c.x, 0, -1)
    found = put(x, parts, (*c.kwargs["shape"], c.size)) if is_put else x[parts]
    return np.moveaxis(found, -1, 0)


def _keeps_lead(parts: tuple[Any, ...]) -> bool:
    """Tell whether `x[:, *parts]` puts no axis before the leading one."""
    if all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts):
        return True
    arrays = [p for p in parts if isinstance(p, (np.ndarray, list))]
    return len(arrays) == 1 and not any(isinstance(p, (int, np.integer)) for p in parts)


def _with_indices_of_each(c: Call) -> Any:
    """Index where each entry of the batch has indices of its own."""
    index_values = c.values[1]
    given = index_values if isinstance(index_values, tuple) else (Batched(index_values),)
    for one in given:
        if isinstance(one, Batched) and one.value.dtype.kind == "b":
            raise TypeError(
                "a mask that differs from entry to entry of a batch picks other numbers of "
                "elements: write np.where(mask, x, 0.0), which keeps the shape"
            )
    places = [i for i, one in enumerate(given) if _is_array(one)]
    depth = max(np.ndim(c.args[1][i] if isinstance(c.args[1], tuple) else c.args[1])
                for i in places)  # fmt: skip
    if places != [*range(len(places))] or any(
        isinstance(one, np.ndarray) and one.dtype.kind == "b" for one in given
    ):
        return one_by_one(c)
    index: list[Any] = [
        widen(one.value, depth + 1) if isinstance(one, Batched) else one for one in given
    ]
    x = c.x
    if c.rule.fn is put:
        x = x if c.flags[0] else repeat(x, c.size)
    if c.flags[0] or c.rule.fn is put:
        index.insert(0, np.arange(c.size).reshape((c.size,) + (1,) * depth))
    if any(isinstance(one, Tensor) for one in index) and not isinstance(x, Tensor):
        x = wrap(x)  # so that the call is heard of
    changes = {"shape": (c.size, *c.kwargs["shape"])} if c.rule.fn is put else {}
    return c.run([x, plain(tuple(index))], **changes)


def _is_array(part: Any) -> bool:
    whole = isinstance(part, (int, np.integer)) and not isinstance(part, bool)
    return whole or isinstance(part, (Batched, np.ndarray, list))


def _take(c: Call) -> Any:
    axis = c.kwargs.get("axis")
    if not c.flags[0]:
        return c.run(c.values) if axis is None or axis == 0 else one_by_one(c)
    if c.flags[1]:
        return one_by_one(c)
    if axis is None:
        return c.run([c.x.reshape((c.size, -1)), *c.values[1:]], axis=1)
    return c.run(c.values, axis=_shift(axis, c.ndim[0]))


def _take_along(c: Call) -> Any:
    axis = c.kwargs.get("axis", -1)
    if axis is None:
        return one_by_one(c)
    return c.run(_all_flagged(c), axis=_shift(axis, c.ndim[0]))


def _put_taken(c: Call) -> Any:
    axis, mode = c.kwargs["axis"], c.kwargs.get("mode")
    shape = c.kwargs["shape"]
    if axis is None or (mode is not None and (c.flags[1] or not c.flags[0])):
        return one_by_one(c)
    values = _all_flagged(c) if mode is None else c.values
    return c.run(values, axis=_shift(axis, len(shape)), shape=(c.size, *shape))


def _lookup(position: int) -> Callable[[Call], Any]:
    """Return the batcher of a function that looks up each element of one argument in the others."""

    def batcher(c: Call) -> Any:
        others = [flag for i, flag in enumerate(c.flags) if i != position]
        return one_by_one(c) if any(others) else c.run(c.values)

    return batcher


# Windows of images: the batch is one of more images


def _columns(c: Call) -> Any:
    n, *rest = c.x.shape[1:]
    cols = columns(c.x.reshape((c.size * n, *rest)), windows=c.kwargs["windows"])
    rows, number = cols.shape[0], math.prod(c.kwargs["windows"][3])
    parts = np.moveaxis(cols.reshape((rows, number, c.size, n)), 2, 0)
    return parts.reshape((c.size, rows, number * n))


def _fold(c: Call) -> Any:
    n, *rest = c.kwargs["shape"]
    rows, number = c.x.shape[1], math.prod(c.kwargs["windows"][3])
    parts = np.moveaxis(c.x.reshape((c.size, rows, number, n)), 0, 2)
    whole = parts.reshape((rows, number * c.size * n))
    images = fold(whole, shape=(c.size * n, *rest), windows=c.kwargs["windows"])
    return images.reshape((c.size, n, *rest))


def _surround(c: Call) -> Any:
    return c.run(c.values, widths=((0, 0), *c.kwargs["widths"]))


def _pooled(c: Call) -> Any:
    pairs = zip(c.values, c.flags, strict=True)
    return c.run([v if flag or v is None else repeat(v, c.size) for v, flag in pairs])


# Linear algebra, where NumPy has stacks of matrices


def _stacked(c: Call) -> Any:
    return c.run(c.values)


def _solve(c: Call) -> Any:
    a, b = c.values
    is_vector = c.ndim[1] == 1
    b = b[..., None] if is_vector else b
    ndim = max(c.ndim[0], c.ndim[1] + is_vector) + 1
    out = c.run(c.map_flagged(lambda v: widen(v, ndim), [a, b]))
    return out[..., 0] if is_vector else out


# The keywords of functions of one array that name axes, which are to be shifted.
AXES: dict[Callable[..., Any], tuple[str, ...]] = {
    **dict.fromkeys((np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std, np.any, np.all,
                     np.count_nonzero, np.flip), ("axis",)),
    **dict.fromkeys((np.copy, astype), ()),
    np.swapaxes: ("axis1", "axis2"),
    np.moveaxis: ("source", "destination"),
    np.lib.stride_tricks.sliding_window_view: ("axis",),
}  # fmt: skip
ELEMENTWISE = (
    np.where, np.clip, np.isclose, np.round, np.around, np.fix, np.nan_to_num, np.i0, np.sinc,
    np.isneginf, np.isposinf, np.isreal, times_sign, variable, logistic.sigmoid,
    logistic.logsigmoid, logistic.expit, logistic.logit, activations.relu, activations.leaky_relu,
    activations.elu, activations.celu, activations.softplus, activations.softsign,
    activations.hardtanh, piecewise.hardsigmoid,
)  # fmt: skip
# Modules that have functions of elements alone, which are not to be loaded for that.
ELEMENTWISE_ROOMS = frozenset(
    f"retrograd.special.{room}" for room in ("bessel", "errors", "gammas", "incomplete")
)
# How functions run on a batch, where it is not one by one. Ufuncs are known to be elementwise.
BATCHERS: dict[Callable[..., Any], Callable[[Call], Any]] = {
    **dict.fromkeys(AXES, _along_axes),
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys((np.zeros_like, np.ones_like, np.empty_like), _likeness),
    **dict.fromkeys((np.reshape, np.ravel, np.squeeze, np.expand_dims),
                    lambda c: c.x.reshape(c.shape)),
    **dict.fromkeys((np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.cumsum),
                    _along_one_axis(None)),
    **dict.fromkeys((np.argsort, np.argpartition, np.unwrap, logistic.softmax,
                     logistic.log_softmax), _along_one_axis(-1)),
    **dict.fromkeys((np.linalg.inv, np.linalg.det, np.linalg.slogdet, np.linalg.cholesky,
                     np.linalg.qr, np.linalg.eigh, np.linalg.svd, np.linalg.pinv), _stacked),
    kinked: _kinked, np.linalg.solve: _solve, np.transpose: _transpose,
    np.diagonal: _diagonal, np.diag: _diag, np.roll: _roll,
    np.matmul: _matmul, contract: _contract, linear: _linear,
    np.broadcast_to: lambda c: np.broadcast_to(widen(c.x, len(c.shape)), c.shape),
    operator.getitem: _indexing, put: _indexing, concat: _concat, pile: _pile,
    np.take: _take, np.take_along_axis: _take_along, put_taken: _put_taken,
    np.searchsorted: _lookup(1), np.isin: _lookup(0), np.digitize: _lookup(0),
    to_window: _pooled, from_window: _pooled, columns: _columns, fold: _fold,
    surround: _surround, rows: _lookup(0),
    pick: lambda c: c.x[c.values[1]],
}  # fmt: skip
