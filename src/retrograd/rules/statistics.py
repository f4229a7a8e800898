"""Quantiles, covariances, histograms, and the functions that leave nan out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import primitive, record
from retrograd.registry import COMPOSED, composed, defvjp, nograd
from retrograd.rules.reductions import axes_of, given, kept

# --- leaving nan out -----------------------------------------------------------------------------


def _without_nan(fn: Any) -> Any:
    """Answer `np.nansum` by `np.sum` with `where=`; all else is the same."""

    def answer(a: Any, *args: Any, where: Any = True, **kwargs: Any) -> Any:
        a = given(a)
        counts = np.logical_not(np.isnan(a))
        if where is not True:
            counts = counts & where
        return fn(a, *args, where=counts, **kwargs)

    return answer


for _fn, _plain in (
    (np.nansum, np.sum), (np.nanprod, np.prod), (np.nanmean, np.mean), (np.nanvar, np.var),
    (np.nanstd, np.std),
):  # fmt: skip
    composed(_fn)(_without_nan(COMPOSED[_plain]))


def _extreme_without_nan(fn: Any, worst: float) -> Any:
    def answer(
        a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        missing = np.isnan(a)
        filled = np.where(missing, worst, a)
        found = fn(filled, axis=axis, keepdims=keepdims, initial=initial, where=where)
        if initial is not None:
            return found
        return np.where(np.all(missing, axis=axis, keepdims=keepdims), math.nan, found)

    return answer


composed(np.nanmax)(_extreme_without_nan(COMPOSED[np.max], -math.inf))
composed(np.nanmin)(_extreme_without_nan(COMPOSED[np.min], math.inf))


@composed(np.nancumsum)
def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Answer `np.nancumsum`."""
    return np.cumsum(np.where(np.isnan(a), 0, a), axis=axis, dtype=dtype)


@composed(np.nancumprod)
def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Answer `np.nancumprod`."""
    return np.cumprod(np.where(np.isnan(a), 1, a), axis=axis, dtype=dtype)


# --- quantiles -----------------------------------------------------------------------------------


@primitive(looks_through=False)
def places(x: Any, q: Any, weights: Any = None, method: str = "linear", skip: bool = False) -> Any:
    """Return where in the sorted last axis the quantiles are: whole, or between two elements.

    A quantile is linear between neighbours, so that of the ranks 0, 1, 2, ... is a place; NumPy's
    own function knows every method.
    """
    ranks = np.argsort(np.argsort(x, axis=-1), axis=-1).astype(float)
    ranks[np.isnan(x)] = np.nan
    options: dict[str, Any] = {} if weights is None else {"weights": weights}
    quantile: Any = np.nanquantile if skip else np.quantile
    return quantile(ranks, q, axis=-1, method=method, **options)


nograd(places)


def _quantile(skip: bool, percent: bool = False) -> Any:
    def quantile(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
        method: str = "linear", keepdims: bool = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        if getattr(q, "requires_grad", False):
            raise TypeError("a quantile has no gradient to q: pass q.detach()")
        a = given(a)
        if a.dtype.kind != "f":
            a = a.astype(float)
        # NumPy's own dtype depends on how q is given and on the method
        fn: Any = np.percentile if percent else np.quantile
        kind = fn(np.ones(1, a.dtype), getattr(q, "_data", q), method=method).dtype
        q = given(q) / 100 if percent else given(q)
        axes = axes_of(a, axis)
        if weights is not None:
            weights = given(weights)
            if weights.shape != a.shape:
                full = [n if i in axes else 1 for i, n in enumerate(a.shape)]
                weights = np.broadcast_to(weights.reshape(full), a.shape)
            weights = _last(weights, axes)
        flat = _last(a, axes)
        place = record(places, flat, q, weights, method=method, skip=skip)
        found = _at(np.sort(flat, axis=-1).astype(kind), place, q.shape)
        if keepdims:
            found = found.reshape((*q.shape, *kept(a.shape, a, axis)))
        return found

    return quantile


def _last(x: Any, axes: tuple[int, ...]) -> Any:
    """Return `x` with these axes made one, the last."""
    stay = tuple(i for i in range(x.ndim) if i not in axes)
    shape = tuple(x.shape[i] for i in stay)
    return np.transpose(x, stay + axes).reshape((*shape, math.prod(x.shape[i] for i in axes)))


def _at(x: Any, place: Any, shape: tuple[int, ...]) -> Any:
    """Return the values of the last axis of `x` at places of the shape `(*shape, ...)`."""
    rest = x.shape[:-1]
    place = np.moveaxis(place.reshape((math.prod(shape), *rest)), 0, -1)
    below = np.floor(np.where(np.isnan(place), 0.0, place))
    above = np.minimum(below + 1, x.shape[-1] - 1)
    between = (place - below).astype(x.dtype)
    low = np.take_along_axis(x, below.astype(np.intp), axis=-1)
    high = np.take_along_axis(x, above.astype(np.intp), axis=-1)
    return np.moveaxis(low + (high - low) * between, -1, 0).reshape((*shape, *rest))


composed(np.quantile)(_quantile(skip=False))
composed(np.percentile)(_quantile(skip=False, percent=True))
composed(np.nanquantile)(_quantile(skip=True))
composed(np.nanpercentile)(_quantile(skip=True, percent=True))


def _median(quantile: Any) -> Any:
    def median(
        a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
        keepdims: bool = False,
    ) -> Any:  # fmt: skip
        return quantile(a, 0.5, axis=axis, keepdims=keepdims)

    return median


composed(np.median)(_median(np.quantile))
composed(np.nanmedian)(_median(np.nanquantile))


# --- covariances ---------------------------------------------------------------------------------


@composed(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """Answer `np.cov`: `fweights` count repetitions, `aweights` are importances."""
    x = _rows(given(m), rowvar)
    if y is not None:
        x = np.concatenate([x, _rows(given(y), rowvar)])
    x = x.astype(np.result_type(x.dtype, np.float64) if dtype is None else dtype)
    weights = None
    for w in (fweights, aweights):
        if w is not None:
            weights = given(w) if weights is None else weights * given(w)
    ddof = int(not bias) if ddof is None else ddof
    n = x.shape[1]
    if weights is None:
        x = x - np.mean(x, axis=1, keepdims=True)
        return np.squeeze(np.matmul(x, x.T) / max(n - ddof, 0))
    total = np.sum(weights)
    lost = 1 if aweights is None else np.sum(weights * given(aweights)) / total
    factor = total - ddof * lost
    x = x - np.sum(x * weights, axis=1, keepdims=True) / total
    return np.squeeze(np.matmul(x * weights, x.T) / factor)


def _rows(x: Any, rowvar: bool) -> Any:
    """Return the variables as rows."""
    if x.ndim > 2:
        raise ValueError(f"np.cov takes at most two axes, not {x.shape}")
    return np.atleast_2d(x) if rowvar or x.ndim < 2 else x.T


@composed(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Answer `np.corrcoef`, not clipped: a bound would cut the second derivative at 1."""
    c = np.cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviations = np.sqrt(np.diagonal(c))
    return c / deviations[:, None] / deviations


# --- counts --------------------------------------------------------------------------------------

defvjp(np.bincount, None, lambda g, out, x, weights, minlength=0: g[x])
nograd(np.digitize)


@composed(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Answer `np.histogram_bin_edges` for a number of bins, or for the edges themselves."""
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
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> Any:
    """Answer `np.histogram`: the counts have gradients to `weights` and, as densities, to edges."""
    a = np.ravel(given(a))
    edges = histogram_bin_edges(a, bins, range)
    n = edges.shape[0] - 1
    index = np.searchsorted(edges, a, side="right") - 1
    index = np.where(a == edges[-1], n - 1, index)
    inside = np.flatnonzero((a >= edges[0]) & (a <= edges[-1]))
    index = np.take(index, inside)
    if weights is None:
        counts = np.bincount(index, minlength=n)
    else:
        weights = np.ravel(given(weights))
        counts = np.bincount(index, record(np.take, weights, inside), minlength=n).astype(
            weights.dtype
        )
    if density:
        counts = counts / np.diff(edges).astype(float) / np.sum(counts)
    return counts, edges
