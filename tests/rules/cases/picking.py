"""Calls of functions that pick, sort and put back."""

import operator

import numpy as np
from hypothesis.extra.numpy import basic_indices, integer_array_indices

from retrograd.rules.indexing import put, put_taken
from retrograd.rules.piecewise import choose as choose_among
from rules.checking import Array, distinct
from rules.drawing import call, case


@case(operator.getitem)
def slices(d):
    x = d.array()
    index = d.draw(basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=True))
    return call(x, index)


@case(operator.getitem)
def index_arrays(d):
    x = d.array(low=1, side=1)
    index = d.draw(integer_array_indices(x.shape))
    return call(x, d.one_of(index, index[0], list(index[0].ravel())))


@case(operator.getitem)
def masks(d):
    x = d.array(low=1)
    n = d.integer(1, len(x.shape))
    return call(x, d.mask(x.shape[:n]))


@case(operator.getitem)
def mixed_indices(d):
    x = Array((3, 4, 2))
    columns = np.array(d.integers(-4, 3, 3))
    return call(x, d.one_of(
        (slice(None), columns), (..., 1), (columns[:, None] % 3, columns), (1, ..., None),
        (columns % 3, slice(1, 3), 0), (0, slice(None), columns % 2), (d.mask((3,)), 0),
        (slice(None, None, -2), columns, None), np.int64(1), (columns % 3, None, columns),
    ))  # fmt: skip


@case(put)
def put_back(d):
    return call(Array((3,)), np.array(d.integers(-4, 3, 3)), (4,))


@case(np.take)
def take(d):
    x = Array((3, 4))
    indices = d.one_of(1, [0, 2, 2], np.array([[1, -1], [0, 0]]))
    mode = d.one_of("raise", "wrap", "clip")
    return call(x, indices, axis=d.one_of(None, 0, 1, -1), mode=mode)


@case(np.take_along_axis)
def take_along_axis(d):
    x = Array((3, 4))
    return call(x, np.array(d.integers(-3, 2, 8)).reshape((2, 4)), axis=0)


@case(put_taken)
def put_taken_back(d):
    if d.flag():
        return call(Array((2, 3)), np.array(d.integers(0, 3, 3)), 1, (2, 4), mode="raise")
    return call(Array((2, 3)), np.array(d.integers(0, 3, 6)).reshape((2, 3)), 1, (2, 4))


@case(np.compress)
def compress(d):
    axis = d.one_of(None, 0, 1)
    return call(d.mask((3,)), Array((3, 4)), axis=axis)


case(np.extract)(lambda d: (lambda x: call(d.mask(x.shape), x))(d.array()))


@case(np.select)
def select(d):
    a, b, x, y = d.shapes(4)
    masks, choices = [d.mask(a), d.mask(b)], [Array(x), Array(y, offset=0.12)]
    return call(masks, choices, default=d.one_of(0, 1.5))


@case(np.choose)
def choose(d):
    a = np.array(d.integers(-1, 4, 3))
    mode = d.one_of("wrap", "clip", "raise")
    return call(a % 2 if mode == "raise" else a, [Array((3,)), Array((2, 1))], mode=mode)


case(choose_among)(lambda d: call(np.array([0, 1, 1]), Array((3,)), Array((2, 1))))


@case(np.piecewise)
def piecewise(d):
    functions = [lambda x: x * x, np.sin, 1.5][: d.integer(2, 3)]
    return call(Array((5,)), [d.mask((5,)), d.mask((5,))], functions)


@case(np.interp)
def interp(d):
    n = d.integer(1, 4)
    points = Array((n,), rising)
    if d.flag():
        ends = {"left": d.one_of(None, 0.5), "right": d.one_of(None, Array(()))}
        return call(Array((4,), offset=0.31), points, Array((n,)), **ends)
    return call(Array((4,), offset=0.31), Array((n,), rising), Array((n,)), period=3.5)


def rising(rng, shape, offset=0.37):
    return np.cumsum(0.3 + 0.5 * np.arange(shape[0]) % 0.7) - 1.0


# --- sorting -------------------------------------------------------------------------------------


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
    return call(Array((4,), with_zeros), d.one_of("fb", "f", "b"))


def with_zeros(rng, shape, offset=0.37):
    return distinct(rng, shape, offset)
