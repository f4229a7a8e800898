"""The gamma function, its logarithm and the derivatives of that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.registry import defvjp
from retrograd.special.errors import horner

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def _zeta(s: int, x: Any) -> Any:
    """Return the sum of `(x + k)^-s` over k from 0 (Hurwitz), for x above 0: Euler-Maclaurin."""
    number = 12
    total = x ** (-s)
    for k in range(1, number):
        total = total + (x + k) ** (-s)
    w = x + number
    total = total + w ** (1 - s) / (s - 1) + 0.5 * w ** (-s)
    for k, b in enumerate(BERNOULLI, 1):
        # B_2k / (2k)! * s (s + 1) ... (s + 2k - 2)
        factor = math.prod(range(s, s + 2 * k - 1)) / math.factorial(2 * k)
        total = total + b * factor * w ** (1 - s - 2 * k)
    return total


# Polynomials, the highest power first.
EULER = 0.5772156649015329
ROOT = (1.4616321449683622, 9.549995429965697e-17)  # of digamma, in two parts
# Taylor's series of gammaln(2 + t) / t for t up to 1/2, and digamma(ROOT + t) / t for t up to 0.54
GAMMALN = (*((-1) ** k * _zeta(k, 2.0) / k for k in range(28, 1, -1)), 1.0 - EULER)
DIGAMMA = tuple((-1) ** k * _zeta(k, ROOT[0]) for k in range(36, 1, -1))
# Stirling's series for gammaln and digamma, in 1 / x^2
STIRLING = tuple(b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1))[::-1]
HARMONIC = tuple(b / (2 * k) for k, b in enumerate(BERNOULLI, 1))[::-1]
SHIFT = 8  # Stirling's series starts at 10: smaller arguments are moved up by this
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


def _turns(x: Any) -> Any:
    """Return x less the nearest whole number: the period of `sin(pi x)` and `tan(pi x)`."""
    finite = np.where(np.isfinite(x), x, 0.0)
    return finite - np.rint(finite)


def _pairs(x: Any) -> list[Any]:
    """Return `(x + k) (x + 7 - k)` for k from 0 to 3: the SHIFT factors, two at a time."""
    product = x * (x + 7.0)
    return [product, product + 6.0, product + 10.0, product + 12.0]


@primitive
def gammaln(x: Any) -> Any:
    """Return the logarithm of the size of the gamma function; inf at 0, -1, -2 and so on.

    >>> rg.special.gammaln(np.array([3.0, 5.0, 0.5])).round(6)
    array([0.693147, 3.178054, 0.572365])
    """
    y = np.where(x < 0.5, 1.0 - x, x)
    # below 2.5; gammaln(y) = gammaln(y + 1) - log(y)
    low = np.minimum(y, 2.5)
    over = np.where(low < 1.5, low - 1.0, low - 2.0)
    near = over * horner(GAMMALN, over) - np.log1p(np.where(low < 1.5, over, 0.0))
    # above, after SHIFT steps of the same
    one, two, three, four = _pairs(np.minimum(y, 10.0))
    steps = one * two * three * four
    w = np.where(y < 10.0, y + SHIFT, y)
    series = horner(STIRLING, 1.0 / np.square(w)) / w
    far = (w - 0.5) * (np.log(w) - 1.0) - 0.5 + HALF_LOG_TAU + series
    far = far - np.where(y < 10.0, np.log(steps), 0.0)
    out = np.where(y < 2.5, near, far)
    sine = np.abs(np.sin(math.pi * _turns(x)))
    turned = math.log(math.pi) - np.log(np.where(sine == 0.0, 1.0, sine)) - out
    return np.where(x < 0.5, np.where(sine == 0.0, math.inf, turned), out)


@primitive
def digamma(x: Any) -> Any:
    """Return the derivative of `gammaln`; nan at 0, -1, -2 and so on.

    >>> rg.special.digamma(np.array([1.0, 10.0])).round(6)
    array([-0.577216,  2.251753])
    """
    y = np.where(x < 0.5, 1.0 - x, x)
    # below 2; digamma(y) = digamma(y + 1) - 1 / y
    low = np.minimum(y, 2.0)
    z = np.where(low < 1.0, low + 1.0, low)
    over = z - ROOT[0] - ROOT[1]
    near = over * horner(DIGAMMA, over)
    near = near - np.where(low < 1.0, 1.0 / low, 0.0)
    # above, after SHIFT steps of the same
    w = np.where(y < 10.0, y + SHIFT, y)
    square = 1.0 / np.square(w)
    far = np.log(w) - 0.5 / w - square * horner(HARMONIC, square)
    small = np.minimum(y, 10.0)
    one, two, three, four = _pairs(small)
    steps = (2.0 * small + 7.0) * (1.0 / one + 1.0 / two + 1.0 / three + 1.0 / four)
    far = far - np.where(y < 10.0, steps, 0.0)
    out = np.where(y < 2.0, near, far)
    turns = _turns(x)
    tangent = np.tan(math.pi * np.where(turns == 0.0, 0.25, turns))
    turned = np.where(turns == 0.0, math.nan, out - math.pi / tangent)
    return np.where(x < 0.5, turned, out)


def polygamma(n: int, x: Any) -> Any:
    """Return the derivative number `n` of `digamma`, for `x` above 0; up to `n = 2` also below.

    Elsewhere the result is nan. Raises TypeError unless `n` is an int, ValueError below 0.

    >>> rg.special.polygamma(1, np.array([1.0, 2.0])).round(6)
    array([1.644934, 0.644934])
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise TypeError(f"polygamma takes an int first, not {n!r}")
    if n < 0:
        raise ValueError(f"polygamma takes an order of at least 0, not {n}")
    return digamma(x) if n == 0 else _polygamma(x, int(n))


@primitive
def _polygamma(x: Any, n: int) -> Any:
    y = np.where(x < 0.5, 1.0 - x, x) if n <= 2 else np.where(x > 0.0, x, 1.0)
    out = (-1.0) ** (n + 1) * math.factorial(n) * _zeta(n + 1, y)
    if n > 2:
        return np.where(x > 0.0, out, math.nan)
    turns = _turns(x)
    angle = math.pi * np.where(turns == 0.0, 0.25, turns)
    if n == 1:
        turned = math.pi**2 / np.square(np.sin(angle)) - out
    else:
        turned = out - 2 * math.pi**3 * np.cos(angle) / np.sin(angle) ** 3
    pole = math.inf if n == 1 else math.nan
    return np.where(x < 0.5, np.where(turns == 0.0, pole, turned), out)


@primitive
def gamma(x: Any) -> Any:
    """Return the gamma function, `(x - 1)!` of whole numbers; nan at -1, -2 and so on.

    >>> rg.special.gamma(np.array([5.0, 0.5])).round(6)
    array([24.      ,  1.772454])
    """
    odd = np.floor(x) - 2.0 * np.floor(0.5 * np.floor(x))
    sign = np.where(x < 0.0, 1.0 - 2.0 * odd, 1.0)
    pole = (x < 0.0) & (x == np.floor(x))
    return np.where(pole, math.nan, sign * np.exp(gammaln(np.where(pole, 0.5, x))))


# fmt: off
defvjp(gammaln,    lambda g, out, x: g * digamma(x))
defvjp(digamma,    lambda g, out, x: g * _polygamma(x, 1))
defvjp(_polygamma, lambda g, out, x, n: g * _polygamma(x, n + 1))
defvjp(gamma,      lambda g, out, x: g * out * digamma(x))
# fmt: on


def betaln(a: Any, b: Any) -> Any:
    """Return the logarithm of the beta function, `gamma(a) gamma(b) / gamma(a + b)`.

    >>> rg.special.betaln(np.array(2.0), np.array(3.0)).round(6)
    np.float64(-2.484907)
    """
    return gammaln(a) + gammaln(b) - gammaln(a + b)
