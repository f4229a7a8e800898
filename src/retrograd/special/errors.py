"""The error function and its kin, and the normal distribution that is made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.registry import defvjp

SQRT_PI, SQRT_2 = math.sqrt(math.pi), math.sqrt(2.0)

# Chebyshev series, as polynomials with the highest power first; errors below 1e-17.
# (1 + 2 x) exp(x^2) erfc(x), in t = (x - 3.75) / (x + 3.75)
ERFCX = (
    -7.339505e-11, -3.7531583e-11, 9.0221497e-10, 5.4571573e-10, -6.545560212e-09, -4.38928416e-09,
    4.0971223153e-08, 2.4289762925e-08, -2.61147023599e-07, -5.8262810788e-08, 1.753443425111e-06,
    -9.72849582211e-07, -1.1445049125831e-05, 2.2383912036551e-05, 5.1649407775464e-05,
    -0.000290153979289868, 0.000293713594805707, 0.001755625832421753, -0.009746579547619623,
    0.0283622774215156, -0.05869339859054762, 0.09230432116019834, -0.10880393014170746,
    0.08227673849015102, 0.00358541548546369, -0.14024059858554702, 1.2375126308378275,
)  # fmt: skip
# erf(x) / x for x from 0 to 1, in t = 2 x^2 - 1
ERF = (
    1.4548e-14, -3.80788e-13, 9.167607e-12, -2.0352284e-10, 4.115800598e-09, -7.5115692866e-08,
    1.223382738352e-06, -1.7537169441125e-05, 0.000217517156041601, -0.002285485561144113,
    0.019852496688983708, -0.1405360890227171, 0.9654687386698673,
)  # fmt: skip


def horner(coefficients: tuple[float, ...], t: Any) -> Any:
    """Return the value of a polynomial, given with the highest power first."""
    total = coefficients[0] * t + coefficients[1]
    for c in coefficients[2:]:
        total = total * t + c
    return total


def _scaled_tail(x: Any) -> Any:
    """Return `exp(x^2) erfc(x)` for x from 0."""
    return horner(ERFCX, 1.0 - 7.5 / (x + 3.75)) / (1.0 + 2.0 * x)


@primitive
def erf(x: Any) -> Any:
    """Return the error function, `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.

    >>> rg.special.erf(np.array([0.0, 1.0])).round(6)
    array([0.      , 0.842701])
    """
    size = np.abs(x)
    near = x * horner(ERF, 2.0 * np.square(np.minimum(size, 1.0)) - 1.0)
    far = 1.0 - np.exp(-np.square(x)) * _scaled_tail(size)
    return np.where(size < 1.0, near, np.sign(x) * far)


@primitive
def erfc(x: Any) -> Any:
    """Return `1 - erf(x)`, accurate where that is tiny.

    >>> rg.special.erfc(np.array([0.0, 10.0]))
    array([1.00000000e+00, 2.08848758e-45])
    """
    tail = np.exp(-np.square(x)) * _scaled_tail(np.abs(x))
    return np.where(x < 0.0, 2.0 - tail, tail)


@primitive
def erfcx(x: Any) -> Any:
    """Return `exp(x^2) erfc(x)`.

    >>> rg.special.erfcx(np.array([0.0, 100.0])).round(6)
    array([1.      , 0.005642])
    """
    tail = _scaled_tail(np.abs(x))
    return np.where(x < 0.0, 2.0 * np.exp(np.square(np.minimum(x, 0.0))) - tail, tail)


def _solve(y: Any, q: Any) -> Any:
    """Return the x from 0 with `erf(x) = y` and `erfc(x) = q`, of which one may be inexact.

    S. Winitzki's approximation (2008), within 0.002, and three steps of Halley's method.
    """
    low = np.log(np.where(q > 0.0, q, 0.5) * (1.0 + y))
    a = 0.147
    c = 2.0 / (math.pi * a) + 0.5 * low
    x = np.sqrt(-low / a / (np.sqrt(np.square(c) - low / a) + c))
    for _ in range(3):
        grown = np.exp(np.square(x))
        error = np.where(q < 0.5, q * grown - _scaled_tail(x), grown * (erf(x) - y))
        newton = error * (0.5 * SQRT_PI)
        x = x - newton / (1.0 + x * newton)
    return np.where(q > 0.0, x, math.inf)


@primitive
def erfinv(y: Any) -> Any:
    """Return the x with `erf(x) = y`; nan outside -1 to 1.

    >>> rg.special.erfinv(np.array([0.0, 0.5])).round(6)
    array([0.      , 0.476936])
    """
    size = np.minimum(np.abs(y), 1.0)
    return np.where(np.abs(y) <= 1.0, np.sign(y) * _solve(size, 1.0 - size), math.nan)


@primitive
def erfcinv(y: Any) -> Any:
    """Return the x with `erfc(x) = y`; nan outside 0 to 2.

    >>> rg.special.erfcinv(np.array([1.0, 1e-100])).round(6)
    array([ 0.      , 15.065575])
    """
    q = np.clip(np.minimum(y, 2.0 - y), 0.0, 1.0)
    x = np.sign(1.0 - y) * _solve(1.0 - q, q)
    return np.where((y >= 0.0) & (y <= 2.0), x, math.nan)


def ndtr(x: Any) -> Any:
    """Return the distribution function of the standard normal distribution.

    >>> rg.special.ndtr(np.array([0.0, -10.0]))
    array([5.00000000e-01, 7.61985302e-24])
    """
    return 0.5 * erfc(x * (-1 / SQRT_2))


@primitive
def log_ndtr(x: Any) -> Any:
    """Return the logarithm of `ndtr(x)`, accurate where that is tiny or near 1.

    >>> rg.special.log_ndtr(np.array([0.0, -100.0])).round(4)
    array([-6.9310000e-01, -5.0055242e+03])
    """
    low = np.minimum(x, -1.0) * (-1 / SQRT_2)
    below = np.log(0.5 * _scaled_tail(low)) - np.square(low)
    above = np.log1p(-0.5 * erfc(np.maximum(x, -1.0) * (1 / SQRT_2)))
    return np.where(x < -1.0, below, above)


def ndtri(p: Any) -> Any:
    """Return the x with `ndtr(x) = p`: the quantiles of the standard normal distribution.

    >>> rg.special.ndtri(np.array([0.25, 0.975])).round(6)
    array([-0.67449 ,  1.959964])
    """
    return -SQRT_2 * erfcinv(2.0 * p)


# fmt: off
defvjp(erf,      lambda g, out, x: g * (2 / SQRT_PI) * np.exp(-np.square(x)))
defvjp(erfc,     lambda g, out, x: g * (-2 / SQRT_PI) * np.exp(-np.square(x)))
defvjp(erfcx,    lambda g, out, x: g * (2 * x * out - 2 / SQRT_PI))
defvjp(erfinv,   lambda g, out, y: g * (0.5 * SQRT_PI) * np.exp(np.square(out)))
defvjp(erfcinv,  lambda g, out, y: g * (-0.5 * SQRT_PI) * np.exp(np.square(out)))
# the density over the distribution function, as a ratio that neither loses digits nor overflows
defvjp(log_ndtr, lambda g, out, x: g * math.sqrt(2 / math.pi) / erfcx(x * (-1 / SQRT_2)))
# fmt: on
