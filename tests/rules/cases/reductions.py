"""Calls of functions that reduce or go along axes."""

import numpy as np

from retrograd.engine import RULES
from retrograd.engine.rule import UFUNC_METHODS
from rules.checking import Array, above_one, distinct, positive, scattered
from rules.drawing import call, case, method_of


@case(np.sum, np.prod)
def reduction(d):
    x = d.array()
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(np.mean)
def average(d):
    x = d.array(side=1)
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(np.max, np.min)
def extreme(d):
    x = d.apart()
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(np.var, np.std)
def spread(d):
    x = Array(d.shape(1, 3, 2), distinct)
    return call(x, axis=d.one_of(None, 0, -1, (0,)), ddof=d.one_of(0, 1), keepdims=d.flag())


@case(np.sum, np.prod)
def masked_reduction(d):
    x = d.array()
    axis = d.axes(x)
    if d.flag():
        return call(x, axis, np.float64)
    start = d.one_of({}, {"initial": 1.5}, {"initial": 0.5})
    return call(x, axis=axis, keepdims=d.flag(), where=d.mask(x.shape), **start)


@case(np.max, np.min)
def masked_extreme(d):
    x = d.apart(side=0)
    return call(x, axis=d.axes(x), keepdims=d.flag(), where=d.mask(x.shape), initial=0.11)


@case(np.amax, np.amin, np.ptp)
def plain_extreme(d):
    x = d.apart()
    return call(x, axis=d.axes(x), keepdims=d.flag())


def counting(d, x, axis, least):
    """A mask that leaves at least so many elements for each of the result."""
    mask = d.mask(x.shape)
    index = [slice(None)] * len(x.shape)
    index[0 if axis is None else axis] = slice(0, least)
    mask[tuple(index)] = True
    return mask


@case(np.mean, np.var, np.std)
def masked_mean(d):
    x = Array(d.shape(1, 3, 3, 4), distinct)
    axis = d.one_of(None, 0, -1)
    return call(x, axis=axis, keepdims=d.flag(), where=counting(d, x, axis, 2))


@case(np.var, np.std)
def around_a_mean(d):
    x = Array(d.shape(1, 3, 3), distinct)
    axis = d.one_of(None, 0, -1)
    mean_shape = tuple(1 if axis is None or i == axis % len(x.shape) else n
                       for i, n in enumerate(x.shape))  # fmt: skip
    return call(x, axis=axis, mean=Array(mean_shape), correction=1)


@case(np.average)
def weighted(d):
    x = d.array(low=1, side=1)
    axis = d.one_of(None, 0, -1)
    if d.flag():
        weights = d.one_of(None, Array(x.shape, positive))
        return call(x, axis=axis, weights=weights, keepdims=d.flag())
    return call(x, axis=-1, weights=Array(x.shape[-1:], positive), returned=True)


def with_gaps(rng, shape, offset=0.37):
    values = distinct(rng, shape, offset)
    values.flat[::3] = np.nan
    return values


@case(np.nansum, np.nanprod, np.nanmean)
def leaving_nan_out(d):
    x = Array((3, 4), with_gaps)
    return call(x, axis=d.one_of(None, 0, 1, (0, 1)), keepdims=d.flag())


@case(np.nanvar, np.nanstd)
def deviations_without_nan(d):
    return call(Array((4, 4), with_gaps), axis=d.one_of(None, 0, -1), ddof=d.one_of(0, 1))


@case(np.nanmax, np.nanmin)
def extremes_without_nan(d):
    return call(Array((2, 4), with_gaps), axis=d.one_of(None, 1, -1), keepdims=d.flag())


# --- along an axis -------------------------------------------------------------------------------


@case(np.cumsum, np.cumprod)
def scan(d):
    x = d.array()
    return call(x, axis=d.some_axis(x))


@case(np.nancumsum, np.nancumprod)
def scan_without_nan(d):
    return call(Array((2, 4), with_gaps), axis=d.one_of(None, 0, -1))


@case("cumulative_sum", "cumulative_prod")
def cumulative(d):
    x = d.array(low=1)
    axis = None if len(x.shape) == 1 and d.flag() else d.axis(x)
    return call(x, axis=axis, include_initial=d.flag())


@case(np.diff)
def diff(d):
    x = d.array(low=1)
    axis = d.axis(x)
    ends = {}
    if d.flag():
        ends = {"prepend": d.one_of(0.5, Array(())), "append": Array(x.shape, offset=0.2)}
    return call(x, n=d.integer(0, 2), axis=axis, **ends)


@case(np.ediff1d)
def ediff1d(d):
    ends = {"to_end": Array((2,)), "to_begin": Array(())} if d.flag() else {}
    return call(d.array(side=1), **ends)


@case(np.trapezoid)
def trapezoid(d):
    y = d.array(low=1, side=1)
    axis = d.axis(y)
    x = d.one_of(None, Array(y.shape, distinct), Array((y.shape[axis],), distinct))
    return call(y, x, dx=d.one_of(1.0, 0.3), axis=axis)


@case(np.gradient)
def gradient(d):
    y = Array(d.shape(1, 2, 3, 4))
    order = d.one_of(1, 2)
    if d.flag():
        return call(y, d.one_of(0.5, 1.0), axis=d.one_of(None, 0, -1, (0,)), edge_order=order)
    steps = [d.one_of(0.5, Array((n,), rising), Array((), positive)) for n in y.shape]
    return call(y, *steps, edge_order=order)


def rising(rng, shape, offset=0.37):
    return np.cumsum(rng.uniform(0.5, 1.5, shape))


# --- statistics ----------------------------------------------------------------------------------

METHODS = (
    "linear", "lower", "higher", "midpoint", "nearest", "hazen", "weibull", "median_unbiased",
    "normal_unbiased", "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
    "interpolated_inverted_cdf",
)  # fmt: skip


@case(np.quantile, np.percentile)
def quantile(d):
    x = d.apart(low=1)
    q = d.one_of(0.3, 0.71, [0.12, 0.9], [[0.4], [0.55]])
    return call(x, q, axis=d.axes(x), method=d.one_of(*METHODS), keepdims=d.flag())


@case(np.quantile)
def weighted_quantile(d):
    x = d.apart(low=1)
    weights = np.array(d.integers(1, 3, int(np.prod(x.shape)))).reshape(x.shape)
    return call(x, [0.3, 0.77], axis=d.axis(x), method="inverted_cdf", weights=weights)


@case(np.median)
def median(d):
    x = d.apart(low=1)
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(np.nanquantile, np.nanpercentile)
def quantile_without_nan(d):
    return call(Array((2, 4), with_gaps), d.one_of(0.3, [0.12, 0.9]), axis=d.one_of(None, 1))


case(np.nanmedian)(lambda d: call(Array((2, 4), with_gaps), axis=d.one_of(None, 1, -1)))


@case(np.cov, np.corrcoef)
def covariance(d):
    # not in a line: there a correlation is 1 and its derivatives are rounding errors
    x = Array(d.one_of((4,), (2, 4), (3, 5)), scattered)
    y = d.one_of(None, Array(x.shape, scattered))
    return call(x, y, rowvar=d.flag())


@case(np.cov)
def weighted_covariance(d):
    counts, weights = np.array(d.integers(1, 3, 5)), Array((5,), positive)
    options = {"fweights": d.one_of(None, counts), "aweights": d.one_of(None, weights)}
    return call(Array((2, 5), distinct), bias=d.flag(), ddof=d.one_of(None, 0, 1), **options)


@case(np.bincount)
def bincount(d):
    n = d.integer(0, 5)
    return call(np.array(d.integers(0, 4, n), int), Array((n,)), minlength=d.integer(0, 6))


@case(np.histogram_bin_edges)
def bin_edges(d):
    return call(Array((5,), distinct), d.one_of(3, [0.0, 1.0, 2.5]), range=d.one_of(None, (-2, 2)))


@case(np.histogram)
def histogram(d):
    edges = d.one_of(3, [-3.0, 0.1, 2.03])
    return call(Array((6,), distinct), edges, weights=Array((6,), positive), density=d.flag())


# --- methods of ufuncs ---------------------------------------------------------------------------

ASSOCIATIVE = [u for u, method in UFUNC_METHODS if method == "accumulate"]


@case(*(method_of(u, "reduce") for u in ASSOCIATIVE))
def ufunc_reduce(d):
    x = d.apart(low=1)
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(*(method_of(u, "accumulate") for u in ASSOCIATIVE))
def ufunc_accumulate(d):
    x = d.apart(low=1)
    return call(x, axis=d.axis(x))


@case(*(method_of(u, "reduceat") for u in ASSOCIATIVE))
def ufunc_reduceat(d):
    return call(Array((5, 2), distinct), d.one_of([0, 2], [1, 3, 2], [4]), axis=0)


case(method_of(np.ldexp, "outer"))(lambda d: call(d.array(), np.array([1, -2])))


@case(*(
    method_of(u, method) for u, method in UFUNC_METHODS
    if method == "outer" and RULES[u].differentiable and u is not np.ldexp
))  # fmt: skip
def ufunc_outer(d):
    return call(Array(d.shape(0, 2), above_one), Array(d.shape(0, 2), above_one, 0.12))
