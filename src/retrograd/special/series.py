"""Sums that special functions are computed by: polynomials, and Hurwitz's zeta function."""

import math
from collections.abc import Sequence
from typing import Any

# The numbers of Bernoulli with index 2, 4, ..., 16.
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def horner(coefficients: Sequence[float], t: Any) -> Any:
    """Return the value of a polynomial at `t`; the coefficient of the highest power comes first.

    They are Python floats, so that `t` keeps its dtype, as it does not in `np.polyval`.
    """
    total: Any = coefficients[0]
    for c in coefficients[1:]:
        total = total * t + c
    return total


def zeta(s: Any, x: Any) -> Any:
    """Return the sum of `(x + k)^-s` over k = 0, 1, 2, ... for `x` above 0 and `s` above 1.

    Twelve terms, and for the others the formula of Euler and Maclaurin (DLMF 25.11.28).
    """
    w = x + 12
    total = sum((x + k) ** (-s) for k in range(12))
    total = total + w ** (1 - s) / (s - 1) + 0.5 * w ** (-s)
    for k, b in enumerate(BERNOULLI, 1):
        factor = math.prod(s + i for i in range(2 * k - 1)) / math.factorial(2 * k)
        total = total + b * factor * w ** (1 - s - 2 * k)
    return total
