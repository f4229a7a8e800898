"""Calls of functions of each element."""

import inspect

import numpy as np

from retrograd.rules.elementwise import sinc_slope
from rules.checking import Array, above_one, positive, within_one
from rules.drawing import call, case


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


case(np.i0)(lambda d: call(d.array(high=2)))
case(np.sinc)(lambda d: call(d.array(high=2)))
case(np.nan_to_num)(lambda d: call(d.array()))
case(sinc_slope)(lambda d: call(d.array(high=1), d.integer(0, 2)))
case(np.unwrap)(lambda d: call(Array(d.shape(1, 2)), axis=d.one_of(0, -1), period=6.45))
case(np.emath.sqrt, np.emath.log, np.emath.log2, np.emath.log10)(
    lambda d: call(d.array(values=positive))
)
case(np.emath.arccos, np.emath.arcsin, np.emath.arctanh)(lambda d: call(d.array(values=within_one)))
case(np.emath.power, np.emath.logn)(
    lambda d: (lambda a, b: call(Array(a, above_one), Array(b, above_one, 0.12)))(*d.shapes(2))
)


@case(*[np.clip] * ("min" in inspect.signature(np.clip).parameters))  # NumPy 2.1
def clip_by_name(d):
    return call(d.array(), **d.one_of({"min": -1.0}, {"max": 1.0}, {"min": -1.0, "max": 1.0}, {}))
