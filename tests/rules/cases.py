"""Calls of the functions that have rules and are no ufuncs, one entry for each signature."""

import operator

import numpy as np
from hypothesis.extra.numpy import basic_indices, broadcastable_shapes, integer_array_indices

from retrograd.core import astype
from retrograd.rules.indexing import put
from rules.checking import Array, distinct
from rules.drawing import call, case

# --- elementwise ---------------------------------------------------------------------------------


@case(np.where)
def where(d):
    condition, x, y = d.shapes(3)
    return call(d.mask(condition), Array(x), Array(y))


@case(np.clip)
def clip(d):
    a, low, high = d.shapes(3)
    bounds = [Array(low, offset=0.12), Array(high, offset=0.21)]
    bounds = [d.one_of(bound, number) for bound, number in zip(bounds, (-1.1, 1.1), strict=True)]
    missing = d.integer(-1, 1)  # at most one bound is
    return call(Array(a), *(None if i == missing else b for i, b in enumerate(bounds)))


@case(astype)
def change_dtype(d):
    return call(d.array(), np.dtype("f8"))


# --- reductions ----------------------------------------------------------------------------------


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


# --- shape ---------------------------------------------------------------------------------------


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


# --- picking -------------------------------------------------------------------------------------


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


# --- products ------------------------------------------------------------------------------------


@case(np.matmul)
def matmul(d):
    n, m, k = d.integers(0, 3, 3)
    one, two = d.shapes(2)
    left = d.one_of((k,), (n, k), (*one, n, k))
    right = d.one_of((k,), (k, m), (*two, k, m))
    return call(Array(left), Array(right))


@case(np.dot)
def dot(d):
    n, m, k = d.integers(0, 3, 3)
    left, right = d.one_of(
        ((k,), (k,)), ((n, k), (k, m)), ((2, n, k), (k,)), ((2, n, k), (3, k, m)),
        ((), (n, m)), ((n,), ()), ((k,), (2, k, m)),
    )  # fmt: skip
    return call(Array(left), Array(right))


case(np.outer)(lambda d: call(d.array(high=2), d.array(high=2)))


@case(np.tensordot)
def tensordot(d):
    n, m, k = d.integers(0, 3, 3)
    left, right, axes = d.one_of(
        ((n, m, k), (m, k, 2), 2), ((n, k), (k, m), 1), ((n,), (m,), 0),
        ((n, m, k), (k, n), ([0, -1], [1, 0])), ((n, k), (2, k), (1, 1)),
        ((n, k), (2, k), (-1, [-1])),
    )  # fmt: skip
    return call(Array(left), Array(right), axes)


@case(np.einsum)
def einsum(d):
    n, m, k = d.integers(0, 3, 3)
    subscripts, *shapes = d.one_of(
        ("ij,jk->ik", (n, m), (m, k)), ("ij,jk", (n, m), (m, k)), ("ii->i", (n, n)),
        ("ii", (n, n)), ("ij->", (n, m)), ("ij->j", (n, m)), ("i,j,k->kji", (n,), (m,), (k,)),
        ("...ij,...jk->...ik", (2, n, m), (2, m, k)), ("...ij,...j", (2, n, m), (m,)),
        ("i...->...", (n, m)), ("iij,jk->ik", (n, n, m), (m, k)), ("...,...", (n, m), (m,)),
        ("bij,bjk,bkl->bil", (2, n, m), (2, m, k), (2, k, n)), ("ba", (n, m)), (",i->i", (), (n,)),
        ("iii->", (n, n, n)), ("ij,ij", (n, m), (n, m)), (" i j , j -> i ", (n, m), (m,)),
        ("i...,i...->i...", (n, 1), (n, m)), ("...i->i...", (n, m, k)), ("ij,kj->", (n, m), (k, m)),
        ("ab,ab->ab", (1, m), (n, m)), ("ij,jk->ik", (n, 1), (m, k)), ("ii->i", (1, n)),
        ("...ii->...i", (2, n, n)), ("i,i", (1,), (n,)),
    )  # fmt: skip
    return call(subscripts, *map(Array, shapes), optimize=d.one_of(False, True, "greedy"))


@case(np.einsum)
def einsum_from_lists(d):
    n, m, k = d.integers(0, 3, 3)
    result = d.one_of([[0, 2]], [[2, 0]], [])
    return call(Array((n, m)), [0, 1], Array((m, k)), [1, 2], *result)
