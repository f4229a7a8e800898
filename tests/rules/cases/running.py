"""Calls of running sums and products, and of methods of ufuncs."""

import numpy as np

from retrograd.engine import RULES
from retrograd.engine.rule import UFUNC_METHODS
from rules.checking import Array, above_one, distinct, with_gaps
from rules.drawing import call, case, method_of


@case(np.cumsum, np.cumprod)
def scan(d):
    x = d.array()
    return call(x, axis=d.some_axis(x))


@case(np.nancumsum, np.nancumprod)
def scan_without_nan(d):
    return call(Array((2, 4), with_gaps), axis=d.one_of(None, 0, -1))


@case("cumulative_sum", "cumulative_prod")
def cumulative(d):
    x = d.array(low=1)
    axis = None if len(x.shape) == 1 and d.flag() else d.axis(x)
    return call(x, axis=axis, include_initial=d.flag())


ASSOCIATIVE = [u for u, method in UFUNC_METHODS if method == "accumulate"]


@case(*(method_of(u, "reduce") for u in ASSOCIATIVE))
def ufunc_reduce(d):
    x = d.apart(low=1)
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(*(method_of(u, "accumulate") for u in ASSOCIATIVE))
def ufunc_accumulate(d):
    x = d.apart(low=1)
    return call(x, axis=d.axis(x))


@case(*(method_of(u, "reduceat") for u in ASSOCIATIVE))
def ufunc_reduceat(d):
    return call(Array((5, 2), distinct), d.one_of([0, 2], [1, 3, 2], [4]), axis=0)


case(method_of(np.ldexp, "outer"))(lambda d: call(d.array(), np.array([1, -2])))


@case(*(
    method_of(u, method) for u, method in UFUNC_METHODS
    if method == "outer" and RULES[u].differentiable and u is not np.ldexp
))  # fmt: skip
def ufunc_outer(d):
    return call(Array(d.shape(0, 2), above_one), Array(d.shape(0, 2), above_one, 0.12))
