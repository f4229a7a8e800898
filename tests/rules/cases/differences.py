"""Calls of differences, slopes and areas along an axis."""

import numpy as np

from rules.checking import Array, distinct, positive
from rules.drawing import call, case


@case(np.diff)
def diff(d):
    x = d.array(low=1)
    axis = d.axis(x)
    ends = {}
    if d.flag():
        ends = {"prepend": d.one_of(0.5, Array(())), "append": Array(x.shape, offset=0.2)}
    return call(x, n=d.integer(0, 2), axis=axis, **ends)


@case(np.ediff1d)
def ediff1d(d):
    ends = {"to_end": Array((2,)), "to_begin": Array(())} if d.flag() else {}
    return call(d.array(side=1), **ends)


@case(np.trapezoid)
def trapezoid(d):
    y = d.array(low=1, side=1)
    axis = d.axis(y)
    x = d.one_of(None, Array(y.shape, distinct), Array((y.shape[axis],), distinct))
    return call(y, x, dx=d.one_of(1.0, 0.3), axis=axis)


@case(np.gradient)
def gradient(d):
    y = Array(d.shape(1, 2, 3, 4))
    order = d.one_of(1, 2)
    if d.flag():
        return call(y, d.one_of(0.5, 1.0), axis=d.one_of(None, 0, -1, (0,)), edge_order=order)
    steps = [d.one_of(0.5, Array((n,), rising), Array((), positive)) for n in y.shape]
    return call(y, *steps, edge_order=order)


def rising(rng, shape, offset=0.37):
    return np.cumsum(rng.uniform(0.5, 1.5, shape))
