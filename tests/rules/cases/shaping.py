"""Calls of functions that rearrange, join and take apart."""

import numpy as np
from hypothesis.extra.numpy import broadcastable_shapes

from rules.checking import Array, above_one, distinct, positive, scattered, within_one
from rules.drawing import call, case


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


case(np.flip)(lambda d: (lambda x: call(x, axis=d.axes(x)))(d.array()))
case(np.flipud)(lambda d: call(d.array(low=1)))
case(np.fliplr)(lambda d: call(d.array(low=2)))
case("astype")(lambda d: call(d.array(), np.float64))
case(np.matrix_transpose, np.linalg.matrix_transpose)(lambda d: call(d.array(low=2)))
case(np.tril, np.triu)(lambda d: call(d.array(low=2), d.integer(-3, 3)))
case(np.diag, np.diagflat)(lambda d: call(Array(d.shape(1, 2)), d.integer(-3, 3)))
case(np.linalg.diagonal, np.linalg.trace)(lambda d: call(d.array(low=2), offset=d.integer(-3, 3)))
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


@case(np.diagonal, np.trace)
def diagonal(d):
    x = d.array(low=2)
    one, two = d.order(len(x.shape))[:2]
    return call(x, d.integer(-2, 2), one, two - len(x.shape))


@case(np.meshgrid)
def meshgrid(d):
    arrays = [Array((d.integer(0, 3),)) for _ in range(d.integer(1, 3))]
    return call(*arrays, indexing=d.one_of("xy", "ij"), sparse=d.flag())


@case(np.full_like)
def full_like(d):
    return call(d.array(), d.one_of(Array(()), 2.5))


@case(np.linspace)
def linspace(d):
    start, stop = d.shapes(2)
    options = {"endpoint": d.flag(), "retstep": d.flag(), "axis": d.one_of(0, -1)}
    return call(Array(start), Array(stop, offset=0.12), d.integer(2, 5), **options)


@case(np.logspace)
def logspace(d):
    return call(Array((2,), within_one), Array((), within_one), 4, base=d.one_of(10.0, 2.5),
                endpoint=d.flag())  # fmt: skip


@case(np.geomspace)
def geomspace(d):
    return call(Array((2,), positive), Array((), above_one), 4, endpoint=d.flag())


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


# --- joining and taking apart --------------------------------------------------------------------


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


@case(np.delete)
def delete(d):
    return call(Array((3, 4)), *d.one_of(
        (1,), ([0, 5],), (-1, 0), ([0, 2], 1), (slice(0, 2), 0), (np.array([True, False, True]), 0)
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


# --- padding -------------------------------------------------------------------------------------


@case(np.pad)
def pad(d):
    shape = d.shape(1, 2, 1)
    widths = d.one_of(2, (1, 2), [d.integers(0, 4, 2) for _ in shape])
    mode = d.one_of(
        "constant", "edge", "wrap", "reflect", "symmetric", "linear_ramp", "maximum", "minimum",
        "mean", "median",
    )  # fmt: skip
    # the second axis has medians of medians, among which there must be no ties
    x = Array(shape, scattered if mode == "median" else distinct)
    options = {}
    if mode in ("reflect", "symmetric"):
        options = {"reflect_type": d.one_of("even", "odd")}
    elif mode in ("maximum", "minimum", "mean", "median") and d.flag():
        options = {"stat_length": d.one_of(1, 2, (1, 2))}
    elif mode == "constant" and d.flag():
        options = {"constant_values": d.one_of(0.5, (1.5, Array(())))}
    elif mode == "linear_ramp" and d.flag():
        options = {"end_values": d.one_of(0.5, (1.5, Array(())))}
    return call(x, widths, mode, **options)
