"""Calls of functions that sort, and of sets."""

import numpy as np

from rules.checking import Array, distinct
from rules.drawing import call, case


@case(np.sort)
def sort(d):
    x = d.apart(low=1, side=0)
    return call(x, axis=d.some_axis(x), kind=d.one_of(None, "stable"))


@case(np.partition)
def partition(d):
    x = d.apart(low=1)
    axis = d.axis(x)
    return call(x, list(range(x.shape[axis])), axis=axis)


@case(np.unique)
def unique(d):
    x = d.apart(side=0)
    return call(x, return_index=d.flag(), return_inverse=d.flag(), return_counts=d.flag())


case(np.unique)(lambda d: call(Array((3, 2), distinct), axis=d.one_of(0, 1)))
case(np.unique_values, np.unique_all, np.unique_counts, np.unique_inverse)(
    lambda d: call(d.apart(side=0))
)
case(np.union1d, np.setxor1d, np.setdiff1d)(
    lambda d: call(Array(d.shape(1, 2), distinct), Array(d.shape(1, 2), distinct, 0.12))
)
case(np.setdiff1d)(lambda d: call(Array((4,), distinct), [10.5], assume_unique=d.flag()))


@case(np.intersect1d)
def intersect1d(d):
    return call(Array((4,), distinct), [10.5, 11.5], return_indices=d.flag())


@case(np.trim_zeros)
def trim_zeros(d):
    # there are no zeros: where some are trimmed, the shape is another one beside them
    return call(Array((4,), distinct), d.one_of("fb", "f", "b"))
