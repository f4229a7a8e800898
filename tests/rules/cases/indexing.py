"""Calls of functions that pick elements and put them back."""

import operator

import numpy as np
from hypothesis.extra.numpy import basic_indices, integer_array_indices

from retrograd.engine.writes import added, last_at, written
from retrograd.rules.indexing import put, put_taken
from rules.checking import Array
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


@case(written, added)
def writes(d):
    index, shape = d.one_of((1, (2,)), ([0, 2, 0], (3, 1)), ((slice(None), -1), (3,)))
    return call(Array((3, 2)), Array(d.one_of(shape, ())), index)


@case(last_at)
def last_written(d):
    return call(Array((3, 2)), d.one_of(1, [0, 2, 0], (slice(None), -1)))
