"""Calls of statistics."""

import numpy as np

from rules.checking import Array, distinct, positive, scattered, with_gaps
from rules.drawing import call, case


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


def shares(rng, shape, offset):
    return rng.choice([0.13, 0.29, 0.41, 0.58, 0.77, 0.91], shape)


@case(np.quantile)
def quantile_of_a_share(d):
    x = d.apart(low=1)
    q = Array(d.one_of((), (2,), (2, 1)), shares)
    return call(x, q, axis=d.axes(x), method=d.one_of(*METHODS), keepdims=d.flag())


@case(np.nanquantile)
def quantile_of_a_share_without_nan(d):
    return call(Array((2, 4), with_gaps), Array((2,), shares), axis=d.one_of(None, 1))


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
