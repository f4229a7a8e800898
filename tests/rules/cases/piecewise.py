"""Calls of functions put together of pieces."""

import numpy as np

from retrograd.rules.piecewise import choose as choose_among
from rules.checking import Array
from rules.drawing import call, case


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
