"""Running sums, differences, ufunc methods, sorting, sets, statistics."""

import functools
import itertools
import math
from typing import Any

import numpy as np

from retrograd.engine import RULES, composed, defvjp, nograd, primitive, record
from retrograd.engine.rule import COMPOSED, UFUNC_METHODS
from retrograd.rules.arithmetic import (
    along,
    at_least,
    axes_of,
    column,
    floating,
    given,
    in_dtype,
    lined,
    resized,
    weighing,
)  # fmt: skip


def accumulate(ufunc: Any, x: Any, axis: int = 0) -> Any:
    """Return the running results of an associative `ufunc`.

    Each round doubles how many elements are in one; zeros are exact.
    """
    x = np.moveaxis(x, axis, 0)
    step = 1
    while step < x.shape[0]:
        x = np.concatenate([x[:step], ufunc(x[:-step], x[step:])])
        step *= 2
    return np.moveaxis(x, 0, axis)


def reduce(ufunc: Any, x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    """Return the result of an associative `ufunc`."""
    axes = axes_of(x, axis)
    line = lined(x, axes)
    at_least(1, f"np.{ufunc.__name__}.reduce", "elements", line.shape[-1])
    while (n := line.shape[-1]) > 1:
        pairs = ufunc(line[..., : n // 2 * 2 : 2], line[..., 1::2])
        line = np.concatenate([pairs, line[..., n - 1 :]], axis=-1) if n % 2 else pairs
    return line.reshape(resized(x, axes)) if keepdims else line[..., 0]


def _running(
    scan: Any, unit: int, skips: bool, a: Any, axis: int | None = None, dtype: Any = None,
    out: Any = None,
) -> Any:  # fmt: skip
    a = in_dtype(np.where(np.isnan(a), unit, a) if skips else a, dtype)
    return scan(np.ravel(a), axis=0) if axis is None else scan(a, axis=axis)


def _cumulative(
    fn: Any, unit: int, x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None,
    include_initial: bool = False,
) -> Any:  # fmt: skip
    if axis is None and x.ndim > 1:
        raise ValueError(f"a cumulative {fn.__name__} of shape {x.shape} needs axis=")
    result = fn(x, axis, dtype)
    if include_initial:
        axis = (axis or 0) % result.ndim
        first = np.full(resized(result, (axis,)), unit, result.dtype)
        result = np.concatenate([first, result], axis=axis)
    return result


# fmt: off
defvjp(np.cumsum, lambda g, out, a, axis:
                  np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis))
# fmt: on
_cumsum = functools.partial(record, np.cumsum)
_cumprod = functools.partial(accumulate, np.multiply)
composed(np.cumsum)(functools.partial(_running, _cumsum, 0, False))
composed(np.cumprod)(functools.partial(_running, _cumprod, 1, False))
composed(np.nancumsum)(functools.partial(_running, _cumsum, 0, True))
composed(np.nancumprod)(functools.partial(_running, _cumprod, 1, True))
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    composed(np.cumulative_sum)(functools.partial(_cumulative, np.cumsum, 0))
    composed(np.cumulative_prod)(functools.partial(_cumulative, np.cumprod, 1))


def _pairs(x: Any, axis: int) -> tuple[Any, Any]:
    return along(x, axis, slice(1, None)), along(x, axis, slice(None, -1))


@composed(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    a = given(a)
    at_least(0, "np.diff", "n", n)
    if not n:
        return a
    at_least(1, "np.diff", "ndim", a.ndim)
    one = resized(a, (axis % a.ndim,))
    ends = [given(x) for x in (prepend, a, append) if x is not None]
    if len(ends) > 1:
        ends = [x if x.ndim else np.broadcast_to(x, one) for x in ends]
        a = np.concatenate(ends, axis=axis)
    for _ in range(n):
        later, earlier = _pairs(a, axis)
        a = np.not_equal(later, earlier) if a.dtype == bool else later - earlier
    return a


@composed(np.ediff1d)
def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(given(ary))
    parts = [to_begin, ary[1:] - ary[:-1], to_end]
    parts = [np.ravel(given(part)) for part in parts if part is not None]
    return np.concatenate(parts).astype(ary.dtype)


@composed(np.trapezoid)
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = given(y)
    if x is not None:
        x = given(x)
        dx = column(np.diff(x), axis, y.ndim) if x.ndim == 1 else np.diff(x, axis=axis)
    later, earlier = _pairs(y, axis)
    return np.sum(dx * (later + earlier) / 2.0, axis=axis)


@composed(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = given(f)
    axes = axes_of(f, tuple(axis) if isinstance(axis, list) else axis)
    if edge_order not in (1, 2):
        raise ValueError(f"np.gradient takes edge_order 1 or 2, not {edge_order}")
    steps = varargs or (1.0,)
    if len(steps) == 1 and not np.ndim(steps[0]):
        steps *= len(axes)
    if len(steps) != len(axes):
        raise TypeError(f"np.gradient got {len(steps)} steps for {len(axes)} axes")
    slopes = tuple(_slope(f, given(h), i, edge_order) for i, h in zip(axes, steps, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Return the derivative along one axis."""
    n = f.shape[axis]
    at_least(edge_order + 1, "np.gradient", "elements", n)
    f = np.moveaxis(f, axis, 0)
    h = np.diff(step) if step.ndim else step.astype(np.result_type(f.dtype, 0.0))
    h = column(np.broadcast_to(h, (n - 1,)), 0, f.ndim)
    slopes = (f[1:] - f[:-1]) / h
    one, two = h[:-1], h[1:]
    inner = (slopes[1:] * one + slopes[:-1] * two) / (one + two)
    first, last = slopes[:1], slopes[-1:]
    if edge_order == 2:
        # corrected by the curvature
        first = first - (slopes[1:2] - first) * h[:1] / (h[:1] + h[1:2])
        last = last + (last - slopes[-2:-1]) * h[-1:] / (h[-1:] + h[-2:-1])
    return np.moveaxis(np.concatenate([first, inner, last]), 0, axis)


def _outer(ufunc: Any, a: Any, b: Any) -> Any:
    a, b = given(a), given(b)
    return ufunc(a.reshape(a.shape + (1,) * b.ndim), b)


def _reduceat(ufunc: Any, array: Any, indices: Any, axis: int = 0) -> Any:
    edges = [*(int(i) for i in np.asarray(indices)), array.shape[axis]]
    ends = ((a, b if a < b else a + 1) for a, b in itertools.pairwise(edges))
    pieces = [ufunc.reduce(along(array, axis, slice(a, b)), axis=axis) for a, b in ends]
    return np.stack(pieces, axis=axis)


for _ufunc in [f for f in RULES if isinstance(f, np.ufunc) and (f.nin, f.nout) == (2, 1)]:
    if not _ufunc.signature:
        UFUNC_METHODS[_ufunc, "outer"] = functools.partial(_outer, _ufunc)
for _ufunc in (np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp,
               np.logaddexp2):  # fmt: skip
    UFUNC_METHODS.setdefault((_ufunc, "reduce"), functools.partial(reduce, _ufunc))
    UFUNC_METHODS[_ufunc, "accumulate"] = functools.partial(accumulate, _ufunc)
    UFUNC_METHODS[_ufunc, "reduceat"] = functools.partial(_reduceat, _ufunc)
UFUNC_METHODS[np.add, "accumulate"] = lambda x, axis=0: np.cumsum(x, axis)


def _sorted_by(positions: Any, a: Any, axis: int | None, **options: Any) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, positions(a, axis=axis, **options), axis=axis)


# fmt: off
composed(np.sort)(lambda a, axis=-1, kind=None, order=None, *, stable=None:
                  _sorted_by(np.argsort, a, axis, kind=kind, order=order, stable=stable))
composed(np.partition)(lambda a, kth, axis=-1, kind="introselect", order=None:
                       _sorted_by(np.argpartition, a, axis, kth=kth, kind=kind, order=order))
# fmt: on


@primitive(looks_through=False)
def unique_parts(ar: Any, axis: int | None = None, equal_nan: bool = True) -> Any:
    """Return what `np.unique` returns but the values."""
    return np.unique(ar, True, True, True, axis, equal_nan=equal_nan)[1:]


@primitive(looks_through=False)
def common_parts(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return where the common values are."""
    return np.intersect1d(ar1, ar2, assume_unique, return_indices=True)[1:]


@primitive(looks_through=False)
def places(x: Any, q: Any, weights: Any = None, method: str = "linear", skip: bool = False) -> Any:
    """Return where in the sorted last axis the quantiles are: those of the ranks."""
    ranks = np.argsort(np.argsort(x, axis=-1), axis=-1).astype(float)
    ranks[np.isnan(x)] = np.nan
    quantile: Any = np.nanquantile if skip else np.quantile
    return quantile(ranks, q, axis=-1, method=method, weights=weights)


nograd(unique_parts, common_parts, multi=True)
nograd(np.argsort, np.argpartition, np.lexsort, np.isin, np.digitize, places,
       *(fn for fn in [getattr(np, "in1d", None)] if fn))  # fmt: skip # gone in NumPy 2.4


@composed(np.unique)
def _unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, *, equal_nan: bool = True,
    sorted: bool = True,
) -> Any:  # fmt: skip
    """Of equal elements the first gets the gradient."""
    parts = record(unique_parts, ar, axis=axis, equal_nan=equal_nan)
    values = np.take(ar, parts[0], axis=axis)
    wanted = (return_index, return_inverse, return_counts)
    extra = [*itertools.compress(parts, wanted)]
    return (values, *extra) if extra else values


def _unique_by_name(kind: Any, x: Any, /) -> Any:
    found = _unique(x, True, True, True, equal_nan=False)
    by_name = dict(zip(("values", "indices", "inverse_indices", "counts"), found, strict=True))
    return kind(*(by_name[name] for name in kind._fields))


composed(np.unique_values)(lambda x, /: _unique(x, equal_nan=False))
for _fn in (np.unique_all, np.unique_counts, np.unique_inverse):
    composed(_fn)(functools.partial(_unique_by_name, type(_fn(np.zeros(0)))))
composed(np.union1d)(lambda ar1, ar2: np.unique(np.concatenate([np.ravel(ar1), np.ravel(ar2)])))


@composed(np.intersect1d)
def _intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    ar1, ar2 = np.ravel(ar1), np.ravel(ar2)
    one, two = record(common_parts, ar1, ar2, assume_unique=assume_unique)
    values = np.take(ar1, one).astype(np.result_type(ar1, ar2))
    return (values, one, two) if return_indices else values


@composed(np.setdiff1d)
def _setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    ar1 = np.ravel(ar1) if assume_unique else np.unique(ar1)
    return np.extract(np.isin(ar1, given(ar2), invert=True), ar1)


@composed(np.setxor1d)
def _setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    if not assume_unique:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    both = np.sort(np.concatenate([np.ravel(ar1), np.ravel(ar2)]))
    edge = np.ones(min(both.shape[0], 1), bool)
    differs = np.concatenate([edge, both[1:] != both[:-1], edge])
    return np.extract(differs[1:] & differs[:-1], both)


@composed(np.trim_zeros)
def _trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    if filt.ndim != 1:
        raise TypeError(f"np.trim_zeros of a Tensor takes one axis, not shape {filt.shape}")
    filled = np.flatnonzero(filt)
    if not filled.shape[0]:
        return filt[:0]
    start = int(filled[0]) if "f" in trim.lower() else 0
    stop = int(filled[-1]) + 1 if "b" in trim.lower() else filt.shape[0]
    return filt[start:stop]


def _without_nan(fn: Any, a: Any, *args: Any, where: Any = True, **kwargs: Any) -> Any:
    a = given(a)
    counts = np.logical_not(np.isnan(a))
    return fn(a, *args, where=counts if where is True else counts & where, **kwargs)


def _extreme_without_nan(
    fn: Any, worst: float, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    missing = np.isnan(a)
    filled = np.where(missing, worst, a)
    found = fn(filled, axis=axis, keepdims=keepdims, initial=initial, where=where)
    if initial is not None:
        return found
    return np.where(np.all(missing, axis=axis, keepdims=keepdims), math.nan, found)


for _nan, _plain in ((np.nansum, np.sum), (np.nanprod, np.prod), (np.nanmean, np.mean),
                    (np.nanvar, np.var), (np.nanstd, np.std)):  # fmt: skip
    composed(_nan)(functools.partial(_without_nan, COMPOSED[_plain]))
composed(np.nanmax)(functools.partial(_extreme_without_nan, COMPOSED[np.max], -math.inf))
composed(np.nanmin)(functools.partial(_extreme_without_nan, COMPOSED[np.min], math.inf))


def _quantile(
    skip: bool, percent: bool, a: Any, q: Any, axis: Any = None, out: Any = None,
    overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: Any = None,
) -> Any:  # fmt: skip
    if getattr(q, "requires_grad", False):
        raise TypeError("a quantile has no gradient to q: pass q.detach()")
    a = floating(given(a))
    fn: Any = np.percentile if percent else np.quantile
    kind = fn(np.ones(1, a.dtype), getattr(q, "_array", q), method=method).dtype
    q = given(q) / 100 if percent else given(q)
    axes = axes_of(a, axis)
    if weights is not None:
        weights = lined(np.broadcast_to(weighing(weights, a, axis), a.shape), axes)
    flat = lined(a, axes)
    place = record(places, flat, q, weights, method=method, skip=skip)
    found = _at(np.sort(flat, axis=-1).astype(kind), place, q.shape)
    return found.reshape((*q.shape, *resized(a, axes))) if keepdims else found


def _at(x: Any, place: Any, shape: tuple[int, ...]) -> Any:
    """Return the values of the last axis at places `(*shape, ...)`."""
    rest = x.shape[:-1]
    place = np.moveaxis(place.reshape((math.prod(shape), *rest)), 0, -1)
    below = np.floor(np.where(np.isnan(place), 0.0, place))
    above = np.minimum(below + 1, x.shape[-1] - 1)
    low, high = (np.take_along_axis(x, i.astype(np.intp), axis=-1) for i in (below, above))
    found = low + (high - low) * (place - below).astype(x.dtype)
    return np.moveaxis(found, -1, 0).reshape((*shape, *rest))


def _median(
    skip: bool, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    return _quantile(skip, False, a, 0.5, axis, keepdims=keepdims)


composed(np.quantile)(functools.partial(_quantile, False, False))
composed(np.percentile)(functools.partial(_quantile, False, True))
composed(np.nanquantile)(functools.partial(_quantile, True, False))
composed(np.nanpercentile)(functools.partial(_quantile, True, True))
composed(np.median)(functools.partial(_median, False))
composed(np.nanmedian)(functools.partial(_median, True))


@composed(np.cov)
def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    every = [given(v) for v in (m, y) if v is not None]
    x = np.concatenate([np.atleast_2d(v) if rowvar or v.ndim < 2 else v.T for v in every])
    if x.ndim > 2:
        raise ValueError(f"np.cov takes a matrix, not shape {x.shape}")
    x = x.astype(np.result_type(x.dtype, np.float64) if dtype is None else dtype)
    ddof = int(not bias) if ddof is None else ddof
    every = [given(w) for w in (fweights, aweights) if w is not None]
    weights = math.prod(every) if every else np.ones(x.shape[1], x.dtype)
    total = np.sum(weights)
    lost = 1 if aweights is None else np.sum(weights * given(aweights)) / total
    x = x - np.sum(x * weights, axis=1, keepdims=True) / total
    return np.squeeze(np.matmul(x * weights, x.T) / np.maximum(total - ddof * lost, 0.0))


@composed(np.corrcoef)
def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    # clipped as NumPy's it would lose the second derivative at 1
    c = np.cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviations = np.sqrt(np.diagonal(c))
    return c / deviations[:, None] / deviations


defvjp(np.bincount, None, lambda g, out, x, weights, minlength=0: g[x])


@composed(np.histogram_bin_edges)
def _edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    if isinstance(bins, str):
        raise TypeError(f"np.histogram of a Tensor takes a number of bins, not {bins!r}")
    if np.ndim(bins):
        return record(np.copy, given(bins))
    low, high = (np.min(a), np.max(a)) if range is None else map(given, range)
    same = low == high
    low, high = np.where(same, low - 0.5, low), np.where(same, high + 0.5, high)
    edges = np.linspace(low, high, bins + 1).astype(np.result_type(given(a).dtype, 0.0))
    return record(np.copy, edges)


@composed(np.histogram)
def _histogram(
    a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> Any:
    """Counts have gradients to `weights`, densities also to the edges."""
    a = np.ravel(given(a))
    edges = _edges(a, bins, range)
    n = edges.shape[0] - 1
    inside = np.flatnonzero((a >= edges[0]) & (a <= edges[-1]))
    index = np.take(np.searchsorted(edges[1:-1], a, side="right"), inside)
    if weights is None:
        counts = np.bincount(index, minlength=n)
    else:
        weights = np.ravel(given(weights))
        kept = record(np.take, weights, inside)
        counts = np.bincount(index, kept, minlength=n).astype(weights.dtype)
    if density:
        counts = counts / np.diff(edges).astype(float) / np.sum(counts)
    return counts, edges
