"""Calls of products."""

import numpy as np

from rules.checking import Array
from rules.drawing import call, case


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
        ("ab,ab->ab", (1, m), (n, m)), ("ij,jk->ik", (n, 1), (m, k)),
        ("...ii->...i", (2, n, n)), ("i,i", (1,), (n,)),
    )  # fmt: skip
    return call(subscripts, *map(Array, shapes), optimize=d.one_of(False, True, "greedy"))


@case(np.einsum)
def einsum_from_lists(d):
    n, m, k = d.integers(0, 3, 3)
    result = d.one_of([[0, 2]], [[2, 0]], [])
    return call(Array((n, m)), [0, 1], Array((m, k)), [1, 2], *result)


case(np.linalg.matmul)(lambda d: call(Array((2, 3)), Array((2, 3, 1))))
case(np.linalg.outer)(lambda d: call(Array((2,)), Array((d.integer(0, 3),))))
case(np.linalg.tensordot)(lambda d: call(Array((2, 3)), Array((3, 2)), axes=d.one_of(1, (0, 1))))


@case(np.inner)
def inner(d):
    n = d.integer(0, 3)
    shapes = ((n,), (n,)), ((2, n), (3, n)), ((), (2,)), ((2, 2, n), (n,))
    return call(*map(Array, d.one_of(*shapes)))


case(np.vdot)(lambda d: (lambda s: call(Array(s), Array(s, offset=0.12)))(d.shape()))


@case(np.vecdot, np.linalg.vecdot)
def vecdot(d):
    n = d.integer(1, 3)
    return call(Array((2, n)), Array(d.one_of((n,), (3, 1, n))))


@case("matvec")
def matvec(d):
    n, m = d.integers(0, 3, 2)
    return call(Array((2, n, m)), Array(d.one_of((m,), (2, m))))


@case("vecmat")
def vecmat(d):
    n, m = d.integers(0, 3, 2)
    return call(Array(d.one_of((n,), (2, n))), Array((2, n, m)))


case(np.kron)(lambda d: call(d.array(high=2), d.array(high=2)))


@case(np.cross, np.linalg.cross)
def cross(d):
    return call(Array((2, 3)), Array(d.one_of((3,), (2, 3))))


@case(np.cross)
def cross_on_axes(d):
    return call(Array((3, 2)), Array((2, 3)), axisa=0, axisb=1, axisc=d.one_of(0, -1))


@case(np.convolve, np.correlate)
def convolve(d):
    n, m = d.integers(1, 5, 2)
    return call(Array((n,)), Array((m,)), mode=d.one_of("full", "same", "valid"))


@case(np.linalg.multi_dot)
def multi_dot(d):
    n, m, k = d.integers(1, 3, 3)
    first, last = d.one_of((n,), (2, n)), d.one_of((k,), (k, 2))
    return call([Array(first), Array((n, m)), Array((m, k)), Array(last)][: d.integer(2, 4)])
