"""Statistics: those that leave nan out, quantiles, covariances, histograms."""

import functools
import math
from typing import Any

import numpy as np

from retrograd.engine import composed, defvjp, nograd, primitive, record
from retrograd.engine.rule import COMPOSED
from retrograd.rules.axes import (
    axes_of,
    conjugate,
    is_complex,
    merge_last,
    shape_with,
    to_array,
    to_floats,
)
from retrograd.rules.indexing import take
from retrograd.rules.reductions import broadcast_weights
from retrograd.rules.shaping import at_least

# Leaving nan out


def _without_nan(fn: Any, a: Any, *args: Any, where: Any = True, **kwargs: Any) -> Any:
    """Answer `np.nansum` by `np.sum` with `where=`, and others alike."""
    a = to_array(a)
    counts = np.logical_not(np.isnan(a))
    return fn(a, *args, where=counts if where is True else counts & where, **kwargs)


def _extreme_without_nan(
    fn: Any, worst: float, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """Answer `np.nanmax` or `np.nanmin`: nan where there is nothing else, as in NumPy."""
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


# Quantiles


@primitive(looks_through=False)
def places(x: Any, q: Any, weights: Any = None, method: str = "linear", skip: bool = False) -> Any:
    """Return where in the sorted last axis the quantiles are: at an element or between two.

    A quantile of the ranks 0, 1, 2, ... is such a place, and NumPy's function knows every method.
    """
    ranks = np.argsort(np.argsort(x, axis=-1), axis=-1).astype(float)
    ranks[np.isnan(x)] = np.nan
    quantile: Any = np.nanquantile if skip else np.quantile
    return quantile(ranks, q, axis=-1, method=method, weights=weights)


# Of methods that are linear between two elements: the place of `q` among n elements, counted from
# 0, is `n q + a + q (1 - a - b) - 1` (Hyndman and Fan 1996, "Sample quantiles in statistical
# packages"). All others go by steps.
PLACES = {
    "linear": (1.0, 1.0), "weibull": (0.0, 0.0), "hazen": (0.5, 0.5),
    "interpolated_inverted_cdf": (0.0, 1.0), "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}  # fmt: skip


def _places_dq(
    g: Any, out: Any, x: Any, q: Any, weights: Any = None, method: str = "linear",
    skip: bool = False,
) -> Any:  # fmt: skip
    if method not in PLACES or weights is not None:
        return np.zeros_like(q)
    a, b = PLACES[method]
    n = np.sum(np.logical_not(np.isnan(x)), axis=-1) if skip else x.shape[-1]
    each = q.reshape((*q.shape, *[1] * (x.ndim - 1)))
    place = n * each + a + each * (1 - a - b) - 1
    within = (place >= 0) & (place < n - 1)  # beyond, it is the first element, or the last
    slope = np.where(within, n + 1.0 - a - b, 0.0)
    return np.sum((g * slope).astype(q.dtype), axis=tuple(range(q.ndim, q.ndim + x.ndim - 1)))


defvjp(places, None, _places_dq, None)


def _quantile(
    skip: bool, percent: bool, a: Any, q: Any, axis: Any = None, out: Any = None,
    overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: Any = None,
) -> Any:  # fmt: skip
    a = to_array(a)
    # NumPy's dtype of the result depends on how q is given, and on the method
    fn: Any = np.percentile if percent else np.quantile
    kind = fn(np.ones(1, a.dtype), getattr(q, "_array", q), method=method).dtype
    q = to_array(q) / 100 if percent else to_array(q)
    return _quantiles(skip, to_floats(a).astype(kind), q, axis, method, keepdims, weights)


def _quantiles(
    skip: bool, a: Any, q: Any, axis: Any, method: str, keepdims: bool, weights: Any = None
) -> Any:
    """Return the quantiles `q`, from 0 to 1, of floats or complex numbers."""
    axes = axes_of(a, axis)
    if weights is not None:
        weights = merge_last(np.broadcast_to(broadcast_weights(weights, a, axis), a.shape), axes)
    flat = merge_last(a, axes)
    place = record(places, flat, q, weights, method=method, skip=skip)
    found = _values_at(np.sort(flat, axis=-1), place, q.shape)
    return found.reshape((*q.shape, *shape_with(a, axes))) if keepdims else found


def _values_at(x: Any, place: Any, shape: tuple[int, ...]) -> Any:
    """Return the values of the last axis at places `(*shape, ...)`, linear between elements."""
    rest = x.shape[:-1]
    place = np.moveaxis(place.reshape((math.prod(shape), *rest)), 0, -1)
    below = np.floor(np.where(np.isnan(place), 0.0, place))
    above = np.minimum(below + 1, x.shape[-1] - 1)
    low, high = (np.take_along_axis(x, i.astype(np.intp), axis=-1) for i in (below, above))
    found = low + (high - low) * (place - below).astype(np.real(x).dtype)
    return np.moveaxis(found, -1, 0).reshape((*shape, *rest))


def _median(
    skip: bool, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    # complex numbers are ordered by their real parts, then by their imaginary ones
    return _quantiles(skip, to_floats(to_array(a)), np.array(0.5), axis, "linear", keepdims)


composed(np.quantile)(functools.partial(_quantile, False, False))
composed(np.percentile)(functools.partial(_quantile, False, True))
composed(np.nanquantile)(functools.partial(_quantile, True, False))
composed(np.nanpercentile)(functools.partial(_quantile, True, True))
composed(np.median)(functools.partial(_median, False))
composed(np.nanmedian)(functools.partial(_median, True))


# Covariances


@composed(np.cov)
def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    # variables are rows
    arrays = [to_array(v) for v in (m, y) if v is not None]
    x = np.concatenate([at_least(2, v) if rowvar or v.ndim < 2 else v.T for v in arrays])
    if x.ndim > 2:
        raise ValueError(f"np.cov takes a matrix, not shape {x.shape}")
    x = x.astype(np.result_type(x.dtype, np.float64) if dtype is None else dtype)
    ddof = int(not bias) if ddof is None else ddof
    # fweights count how often each column was seen, aweights how much it matters
    fweights, aweights = (
        w if w is None else to_array(w).astype(float) for w in (fweights, aweights)
    )
    factors = [w for w in (fweights, aweights) if w is not None]
    weights = math.prod(factors) if factors else np.ones(x.shape[1], x.real.dtype)
    total = np.sum(weights)
    lost = 1 if aweights is None else np.sum(weights * aweights) / total
    x = x - np.sum(x * weights, axis=1, keepdims=True) / total
    return np.squeeze(np.matmul(x * weights, conjugate(x.T)) / np.maximum(total - ddof * lost, 0.0))


@composed(np.corrcoef)
def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    # not clipped to [-1, 1] as NumPy does: that would take the second derivative at 1 away
    c = np.cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviations = np.sqrt(np.real(np.diagonal(c)))
    return c / deviations[:, None] / deviations


# Counts

nograd(np.digitize)
defvjp(np.bincount, None, lambda g, out, x, weights, minlength=0: g[x])


@composed(np.histogram_bin_edges)
def _edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    if isinstance(bins, str):
        raise TypeError(f"np.histogram of a Tensor takes a number of bins, not {bins!r}")
    if is_complex(to_array(a)):
        raise TypeError("np.histogram takes real numbers: complex ones are in no order")
    if np.ndim(bins):
        return record(np.copy, to_array(bins))
    low, high = (np.min(a), np.max(a)) if range is None else map(to_array, range)
    same = low == high
    low, high = np.where(same, low - 0.5, low), np.where(same, high + 0.5, high)
    edges = np.linspace(low, high, bins + 1).astype(np.result_type(to_array(a).dtype, 0.0))
    return record(np.copy, edges)


@composed(np.histogram)
def _histogram(
    a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> Any:
    """Counts have gradients to `weights`, densities also to the edges; none has to `a`."""
    a = np.ravel(to_array(a))
    edges = _edges(a, bins, range)
    n = edges.shape[0] - 1
    inside = np.flatnonzero((a >= edges[0]) & (a <= edges[-1]))
    index = np.take(np.searchsorted(edges[1:-1], a, side="right"), inside)
    if weights is None:
        counts = np.bincount(index, minlength=n)
    else:
        weights = np.ravel(to_array(weights))
        kept = take(weights, inside)
        counts = np.bincount(index, np.real(kept), minlength=n)
        if is_complex(weights):
            counts = counts + 1j * np.bincount(index, np.imag(kept), minlength=n)
        counts = counts.astype(weights.dtype)
    if density:
        counts = counts / np.diff(edges).astype(float) / np.sum(counts)
    return counts, edges
