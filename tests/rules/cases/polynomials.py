"""Calls of functions of polynomials."""

import numpy as np

from rules.cases.complexes import parts_of
from rules.checking import Array, distinct, positive, scattered
from rules.drawing import call, case, check_as

case(np.polyval)(lambda d: call(Array((d.integer(0, 4),)), d.array(high=2)))
case(np.polyadd, np.polysub, np.polymul)(
    lambda d: call(Array((d.integer(1, 4),), positive), Array((d.integer(1, 4),), positive, 0.12))
)
case(np.polyder)(lambda d: call(Array((4,)), d.integer(0, 2)))
case(np.polyint)(lambda d: call(Array((3,)), m=2, k=d.one_of(None, 1.5, [1.0, 2.0])))
case(np.vander)(lambda d: call(Array((3,)), d.one_of(None, 0, 1, 4), increasing=d.flag()))
# roots are in no order, which may change with the last digit
case(np.roots)(lambda d: call(Array((d.integer(2, 4),), scattered)))
check_as(np.roots, parts_of(lambda p: np.poly(np.roots(p))))
case(np.poly)(lambda d: call(Array((d.integer(1, 4),))))


@case(np.polyfit)
def polyfit(d):
    y = Array(d.one_of((5,), (5, 2)))
    return call(Array((5,), distinct), y, d.integer(0, 2), w=d.one_of(None, Array((5,), positive)))


def with_real_roots(rng, shape, offset):
    return 2.0 * np.poly(distinct(rng, (shape[0] - 1,), offset))


case(np.roots)(lambda d: call(Array((d.integer(2, 4),), with_real_roots)))
