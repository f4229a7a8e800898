"""Calls of functions that join arrays or take them apart."""

import numpy as np

from rules.checking import Array
from rules.drawing import call, case


@case(np.concatenate)
def join(d):
    shape = d.shape(1, 3)
    axis = d.integer(-len(shape), len(shape) - 1)
    pieces = []
    for _ in range(d.integer(1, 3)):
        piece = list(shape)
        piece[axis] = d.integer(0, 3)
        pieces.append(Array(tuple(piece)))
    return call(pieces, axis=d.one_of(axis, None))


@case(np.stack)
def stack(d):
    shape = d.shape(0, 2)
    return call([Array(shape)] * d.integer(1, 3), axis=d.integer(-len(shape) - 1, len(shape)))


@case(np.split)
def split(d):
    x = Array((2 * d.integer(0, 2), 4))
    return call(x, d.one_of(2, [1], [1, 3], [3, 1, 7], [-1]), axis=d.one_of(0, 1, -1))


@case(np.hstack, np.vstack, np.dstack, np.column_stack)
def stacks(d):
    shape = d.shape(1, 2)
    return call([Array(shape)] * d.integer(1, 3))


case(np.hstack, np.vstack, np.dstack)(lambda d: call((Array(()), Array(()))))


@case(np.block)
def block(d):
    n, m = d.integers(1, 2, 2)
    return call(d.one_of(
        [[Array((n, m)), Array((n, 1))], [Array((1, m)), Array((1, 1))]], [Array((n,)), Array(())],
        [[Array((n, m))], [Array((m,))]], Array((n,)), [[[Array((n, 1, m))]]],
    ))  # fmt: skip


@case(np.append)
def append(d):
    if d.flag():
        return call(d.array(), d.array())
    return call(Array((2, 3)), Array((2, 1)), axis=1)


@case(np.insert)
def insert(d):
    x = Array((3, 2))
    return call(x, *d.one_of(
        (1, Array((6,))), (1, Array(()), 0), (-1, Array((3,)), 1), ([0, 2], Array((2, 2)), 0),
        ([1, 1, 3], Array(()), 0), (1, Array((4, 2)), 0), ([1], Array((3, 1)), 1), (slice(0, 2),
        Array((2,)), 1), (2, 0.5),
    ))  # fmt: skip


@case(np.array_split)
def array_split(d):
    return call(Array((d.integer(0, 5), 2)), d.one_of(3, [1], [2, 9]), axis=d.one_of(0, -1))


case(np.hsplit, np.vsplit, np.dsplit)(lambda d: call(Array((2, 4, 2)), d.one_of(2, [1])))
case(np.hsplit)(lambda d: call(Array((4,)), 2))
case("unstack")(lambda d: (lambda x: call(x, axis=d.axis(x)))(d.array(low=1, side=1)))


@case(np.apply_along_axis)
def along_axis(d):
    fn = d.one_of(np.cumsum, np.sum, lambda x: np.outer(x, x), lambda x: x[0] * x[1:])
    return call(fn, d.one_of(0, 1, -1), Array((2, 3, 2)))


@case(np.apply_over_axes)
def over_axes(d):
    return call(np.sum, Array((2, 3, 2)), d.one_of([0, -1], 1, [0, 1, 2]))
