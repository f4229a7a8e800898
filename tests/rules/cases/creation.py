"""Calls of functions that make arrays of a few values."""

import numpy as np

from rules.checking import Array, above_one, positive, within_one
from rules.drawing import call, case


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
