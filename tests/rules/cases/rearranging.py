"""Calls of functions that move and repeat elements."""

import numpy as np

from rules.checking import Array
from rules.drawing import call, case

case(np.tril, np.triu)(lambda d: call(d.array(low=2), d.integer(-3, 3)))
case(np.diag, np.diagflat)(lambda d: call(Array(d.shape(1, 2)), d.integer(-3, 3)))
case(np.linalg.diagonal, np.linalg.trace)(lambda d: call(d.array(low=2), offset=d.integer(-3, 3)))


@case(np.diagonal, np.trace)
def diagonal(d):
    x = d.array(low=2)
    one, two = d.order(len(x.shape))[:2]
    return call(x, d.integer(-2, 2), one, two - len(x.shape))


@case(np.tile)
def tile(d):
    return call(d.array(), d.one_of(2, (2, 1), (0, 1), (1, 2, 3), ()))


@case(np.repeat)
def repeat(d):
    x = Array((3, 2))
    axis = d.one_of(None, 0, -1)
    if axis == 0 and d.flag():
        return call(x, d.integers(0, 2, 3), axis=0)
    return call(x, d.integer(0, 2), axis=axis)


case(np.resize)(lambda d: call(d.array(side=1), d.one_of((2, 3), (7,), (1,), (0,))))
case(np.rollaxis)(lambda d: (lambda x: call(x, d.axis(x), d.one_of(0, 1)))(d.array(low=1)))


@case(np.lib.stride_tricks.sliding_window_view)
def windows(d):
    x = Array((4, 3))
    return call(x, *d.one_of(((2, 3),), (2, 0), ((2,), (1,)), ((2, 2), (0, 0)), (3, -1)))


@case(np.delete)
def delete(d):
    return call(Array((3, 4)), *d.one_of(
        (1,), ([0, 5],), (-1, 0), ([0, 2], 1), (slice(0, 2), 0), (np.array([True, False, True]), 0)
    ))  # fmt: skip
