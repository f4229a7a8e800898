"""Calls of functions that give an array another shape or order."""

import numpy as np
from hypothesis.extra.numpy import broadcastable_shapes

from retrograd.engine import astype
from rules.checking import Array
from rules.drawing import call, case


@case(astype)
def change_dtype(d):
    return call(d.array(), np.dtype("f8"))


@case(np.reshape)
def reshape(d):
    x = d.array()
    shape = tuple(x.shape[i] for i in d.order(len(x.shape)))
    if d.flag():
        shape = (*shape, 1)
    if 0 not in shape and d.flag():
        shape = d.one_of(-1, (1, -1))
    return call(x, shape)


case(np.ravel, np.copy)(lambda d: call(d.array()))


@case(np.transpose)
def transpose(d):
    x = d.array()
    n = len(x.shape)
    return call(x, d.one_of(None, tuple(i - n for i in d.order(n)), d.order(n)))


@case(np.swapaxes)
def two_axes(d):
    x = d.array(low=1)
    return call(x, d.axis(x), d.axis(x))


@case(np.moveaxis)
def moveaxis(d):
    x = d.array(low=2)
    if d.flag():
        return call(x, d.axis(x), d.axis(x))
    n = len(x.shape)
    return call(x, d.order(n)[:2], d.order(n)[:2])


@case(np.squeeze)
def squeeze(d):
    x = Array((1, *d.shape(0, 2), 1))
    return call(x, axis=d.one_of(None, 0, -1, (0, -1)))


@case(np.expand_dims)
def expand_dims(d):
    return call(d.array(low=1), d.one_of(0, -1, (0, 2), (-1, 0)))


@case(np.broadcast_to)
def broadcast_to(d):
    x = d.array()
    shape = d.draw(broadcastable_shapes(x.shape, min_side=0, max_side=3, max_dims=4))
    return call(x, np.broadcast_shapes(shape, x.shape))


case(np.flip)(lambda d: (lambda x: call(x, axis=d.axes(x)))(d.array()))
case(np.flipud)(lambda d: call(d.array(low=1)))
case(np.fliplr)(lambda d: call(d.array(low=2)))
case("astype")(lambda d: call(d.array(), np.float64))
case(np.matrix_transpose, np.linalg.matrix_transpose)(lambda d: call(d.array(low=2)))
case(np.atleast_1d, np.atleast_2d, np.atleast_3d)(
    lambda d: call(*(d.array() for _ in range(d.integer(1, 2))))
)
case(np.broadcast_arrays)(lambda d: call(*map(Array, d.shapes(d.integer(1, 3)))))


@case(np.roll)
def roll(d):
    x = d.array(low=1)
    if d.flag():
        return call(x, d.integer(-4, 4), axis=d.some_axis(x))
    return call(x, (d.integer(-4, 4), 1), axis=(d.axis(x), d.axis(x)))


@case(np.rot90)
def rot90(d):
    x = d.array(low=2)
    return call(x, d.integer(-3, 4), axes=d.one_of((0, 1), (1, 0), (-2, -1)))
