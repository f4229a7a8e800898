"""Special functions that NumPy lacks, in NumPy alone, to 12 digits and differentiable.

They have the names and arguments of `scipy.special`, whose own functions take Tensors too.
"""

import math
from typing import Any, cast

import numpy as np

from retrograd.engine import defvjp, primitive
from retrograd.rules.axes import spread
from retrograd.special import logistic

__all__ = [
    "betaln", "digamma", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfinv", "expit", "gamma",
    "gammaln", "kl_div", "log_expit", "log_ndtr", "log_softmax", "logit", "logsumexp", "ndtr",
    "ndtri", "polygamma", "rel_entr", "softmax", "xlog1py", "xlogy",
]  # fmt: skip

Axis = int | tuple[int, ...] | None

SQRT_PI, SQRT_2 = math.sqrt(math.pi), math.sqrt(2.0)

# Polynomials, the highest power first.
# (1 + 2 x) erfcx(x) in (x - 3.75) / (x + 3.75), a Chebyshev series; errors below 1e-17
ERFCX = (
    -7.339505e-11, -3.7531583e-11, 9.0221497e-10, 5.4571573e-10, -6.545560212e-09, -4.38928416e-09,
    4.0971223153e-08, 2.4289762925e-08, -2.61147023599e-07, -5.8262810788e-08, 1.753443425111e-06,
    -9.72849582211e-07, -1.1445049125831e-05, 2.2383912036551e-05, 5.1649407775464e-05,
    -0.000290153979289868, 0.000293713594805707, 0.001755625832421753, -0.009746579547619623,
    0.0283622774215156, -0.05869339859054762, 0.09230432116019834, -0.10880393014170746,
    0.08227673849015102, 0.00358541548546369, -0.14024059858554702, 1.2375126308378275,
)  # fmt: skip
# Taylor's series: erf(x) / x in x^2, for x up to 0.7
ERF = tuple((-1) ** k * 2 / SQRT_PI / math.factorial(k) / (2 * k + 1) for k in range(13, -1, -1))


def horner(coefficients: Any, t: Any) -> Any:
    """Return the value of a polynomial."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * t + c
    return total


def _scaled_tail(x: Any) -> Any:
    """Return `erfcx` for x from 0."""
    return horner(ERFCX, 1.0 - 7.5 / (x + 3.75)) / (1.0 + 2.0 * x)


@primitive
def erf(x: Any) -> Any:
    """Return `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.

    >>> rg.special.erf(np.ones(1)).round(4)
    array([0.8427])
    """
    size = np.abs(x)
    near = x * horner(ERF, np.square(np.minimum(size, 0.7)))
    far = 1.0 - np.exp(-np.square(x)) * _scaled_tail(size)
    return np.where(size < 0.7, near, np.sign(x) * far)


@primitive
def erfc(x: Any) -> Any:
    """Return `1 - erf(x)`, accurate where that is tiny.

    >>> rg.special.erfc(np.array([10.0]))
    array([2.08848758e-45])
    """
    tail = np.exp(-np.square(x)) * _scaled_tail(np.abs(x))
    return np.where(x < 0.0, 2.0 - tail, tail)


@primitive
def erfcx(x: Any) -> Any:
    """Return `exp(x^2) erfc(x)`.

    >>> rg.special.erfcx(np.array([0.0, 100.0])).round(4)
    array([1.    , 0.0056])
    """
    tail = _scaled_tail(np.abs(x))
    return np.where(x < 0.0, 2.0 * np.exp(np.square(np.minimum(x, 0.0))) - tail, tail)


def _solve(y: Any, q: Any) -> Any:
    """Return the x from 0 with `erf(x) = y` and `erfc(x) = q`; one may be inexact.

    Three steps of Halley's method from Winitzki's approximation (2008).
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

    >>> rg.special.erfinv(np.array([0.0, 0.5])).round(4)
    array([0.    , 0.4769])
    """
    size = np.minimum(np.abs(y), 1.0)
    return np.where(np.abs(y) <= 1.0, np.sign(y) * _solve(size, 1.0 - size), math.nan)


@primitive
def erfcinv(y: Any) -> Any:
    """Return the x with `erfc(x) = y`; nan outside 0 to 2.

    >>> rg.special.erfcinv(np.array([1.0, 0.5])).round(4)
    array([0.    , 0.4769])
    """
    q = np.clip(np.minimum(y, 2.0 - y), 0.0, 1.0)
    x = np.sign(1.0 - y) * _solve(1.0 - q, q)
    return np.where((y >= 0.0) & (y <= 2.0), x, math.nan)


def ndtr(x: Any) -> Any:
    """Return the distribution function of the standard normal distribution.

    >>> rg.special.ndtr(np.array([0.0, 1.0])).round(4)
    array([0.5   , 0.8413])
    """
    return 0.5 * erfc(x * (-1 / SQRT_2))


@primitive
def log_ndtr(x: Any) -> Any:
    """Return the logarithm of `ndtr(x)`, accurate where that is tiny or near 1.

    >>> rg.special.log_ndtr(np.array([-100.0])).round(4)
    array([-5005.5242])
    """
    low = np.minimum(x, -1.0) * (-1 / SQRT_2)
    below = np.log(0.5 * _scaled_tail(low)) - np.square(low)
    above = np.log1p(-0.5 * erfc(np.maximum(x, -1.0) * (1 / SQRT_2)))
    return np.where(x < -1.0, below, above)


def ndtri(p: Any) -> Any:
    """Return the x with `ndtr(x) = p`, the quantiles.

    >>> rg.special.ndtri(np.array([0.5, 0.975])).round(4)
    array([-0.  ,  1.96])
    """
    return -SQRT_2 * erfcinv(2.0 * p)


# fmt: off
defvjp(erf,      lambda g, out, x: g * (2 / SQRT_PI) * np.exp(-np.square(x)))
defvjp(erfc,     lambda g, out, x: g * (-2 / SQRT_PI) * np.exp(-np.square(x)))
defvjp(erfcx,    lambda g, out, x: g * (2 * x * out - 2 / SQRT_PI))
defvjp(erfinv,   lambda g, out, y: g * (0.5 * SQRT_PI) * np.exp(np.square(out)))
defvjp(erfcinv,  lambda g, out, y: g * (-0.5 * SQRT_PI) * np.exp(np.square(out)))
# the density over the distribution function, without overflow
defvjp(log_ndtr, lambda g, out, x: g * math.sqrt(2 / math.pi) / erfcx(x * (-1 / SQRT_2)))
# fmt: on


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def _zeta(s: int, x: Any) -> Any:
    """Return the sum of `(x + k)^-s`, k from 0, for x above 0: Euler-Maclaurin."""
    w = x + 12
    total = sum((x + k) ** (-s) for k in range(12))
    total = total + w ** (1 - s) / (s - 1) + 0.5 * w ** (-s)
    for k, b in enumerate(BERNOULLI, 1):
        factor = math.prod(range(s, s + 2 * k - 1)) / math.factorial(2 * k)
        total = total + b * factor * w ** (1 - s - 2 * k)
    return total


ROOT = (1.4616321449683622, 9.549995429965697e-17)  # of digamma, in two parts
# Taylor: gammaln(2 + t) / t for t up to 1/2, digamma(ROOT + t) / t for t up to 0.54
GAMMALN = (*((-1) ** k * _zeta(k, 2.0) / k for k in range(28, 1, -1)), 1.0 - 0.5772156649015329)
DIGAMMA = tuple((-1) ** k * _zeta(k, ROOT[0]) for k in range(36, 1, -1))
# Stirling: gammaln and digamma in 1 / x^2, from 8
STIRLING = tuple(b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1))[::-1]
HARMONIC = tuple(b / (2 * k) for k, b in enumerate(BERNOULLI, 1))[::-1]


def _turned(x: Any) -> Any:
    """Return where x is whole, and pi times its distance from whole numbers."""
    x = np.where(np.isfinite(x), x, 0.0)
    turns = x - np.rint(x)
    return turns == 0.0, math.pi * np.where(turns == 0.0, 0.25, turns)


@primitive
def gammaln(x: Any) -> Any:
    """Return the logarithm of the size of the gamma function; inf at 0, -1, ...

    >>> rg.special.gammaln(np.array([3.0, 5.0])).round(4)
    array([0.6931, 3.1781])
    """
    y = np.where(x < 0.5, 1.0 - x, x)
    # to 2.5; gammaln(y) = gammaln(y + 1) - log(y)
    low = np.minimum(y, 2.5)
    over = np.where(low < 1.5, low - 1.0, low - 2.0)
    near = over * horner(GAMMALN, over) - np.log1p(np.where(low < 1.5, over, 0.0))
    # above, after 8 such steps
    steps = math.prod(np.minimum(y, 10.0) + k for k in range(8))
    w = np.where(y < 10.0, y + 8.0, y)
    series = horner(STIRLING, 1.0 / np.square(w)) / w
    far = (w - 0.5) * (np.log(w) - 1.0) - 0.5 + 0.5 * math.log(2 * math.pi) + series
    far = far - np.where(y < 10.0, np.log(steps), 0.0)
    out = np.where(y < 2.5, near, far)
    whole, angle = _turned(x)
    below = math.log(math.pi) - np.log(np.abs(np.sin(angle))) - out
    return np.where(x < 0.5, np.where(whole, math.inf, below), out)


@primitive
def digamma(x: Any) -> Any:
    """Return the derivative of `gammaln`; nan at 0, -1, ...

    >>> rg.special.digamma(np.array([1.0, 10.0])).round(4)
    array([-0.5772,  2.2518])
    """
    y = np.where(x < 0.5, 1.0 - x, x)
    # to 2; digamma(y) = digamma(y + 1) - 1 / y
    low = np.minimum(y, 2.0)
    z = np.where(low < 1.0, low + 1.0, low)
    over = z - ROOT[0] - ROOT[1]
    near = over * horner(DIGAMMA, over) - np.where(low < 1.0, 1.0 / low, 0.0)
    # above, after 8 such steps
    w = y + 8.0
    square = 1.0 / np.square(w)
    far = np.log(w) - 0.5 / w - square * horner(HARMONIC, square)
    far = far - sum(1.0 / (y + k) for k in range(8))
    out = np.where(y < 2.0, near, far)
    whole, angle = _turned(x)
    below = out - math.pi / np.tan(angle)
    return np.where(x < 0.5, np.where(whole, math.nan, below), out)


def polygamma(n: int, x: Any) -> Any:
    """Return the derivative number `n` of `digamma`; above `n = 2` nan for `x` below 0.

    Raises TypeError unless `n` is an int, ValueError below 0.

    >>> rg.special.polygamma(1, np.array([1.0, 2.0])).round(4)
    array([1.6449, 0.6449])
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise TypeError(f"polygamma takes an int first, not {n!r}")
    if n < 0:
        raise ValueError(f"polygamma takes an order from 0, not {n}")
    return digamma(x) if n == 0 else _polygamma(x, int(n))


@primitive
def _polygamma(x: Any, n: int) -> Any:
    y = np.where(x < 0.5, 1.0 - x, x) if n <= 2 else np.where(x > 0.0, x, 1.0)
    out = (-1.0) ** (n + 1) * math.factorial(n) * _zeta(n + 1, y)
    if n > 2:
        return np.where(x > 0.0, out, math.nan)
    whole, angle = _turned(x)
    if n == 1:
        below = math.pi**2 / np.square(np.sin(angle)) - out
    else:
        below = out - 2 * math.pi**3 * np.cos(angle) / np.sin(angle) ** 3
    pole = math.inf if n == 1 else math.nan
    return np.where(x < 0.5, np.where(whole, pole, below), out)


@primitive
def gamma(x: Any) -> Any:
    """Return the gamma function, `(x - 1)!` of whole numbers; nan at -1, -2, ...

    >>> rg.special.gamma(np.array([5.0, 0.5])).round(4)
    array([24.    ,  1.7725])
    """
    whole = np.floor(x)
    sign = np.where(x < 0.0, 1.0 - 2.0 * np.remainder(whole, 2.0), 1.0)
    pole = (x < 0.0) & (x == whole)
    return np.where(pole, math.nan, sign * np.exp(gammaln(np.where(pole, 0.5, x))))


# fmt: off
defvjp(gammaln,    lambda g, out, x: g * digamma(x))
defvjp(digamma,    lambda g, out, x: g * _polygamma(x, 1))
defvjp(_polygamma, lambda g, out, x, n: g * _polygamma(x, n + 1))
defvjp(gamma,      lambda g, out, x: g * out * digamma(x))
# fmt: on


def betaln(a: Any, b: Any) -> Any:
    """Return the logarithm of `gamma(a) gamma(b) / gamma(a + b)`.

    >>> rg.special.betaln(np.ones(1), np.ones(1))
    array([0.])
    """
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def _inside(x: Any, y: Any, low: float = 0.0) -> Any:
    """Return `y`, but `low + 1` where it is too low and `x` is 0."""
    return np.where((x == 0) & (y <= low), low + 1.0, y)


@primitive
def expit(x: Any) -> Any:
    """Return `1 / (1 + exp(-x))`.

    >>> rg.special.expit(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    e = np.exp(-np.abs(x))
    return np.where(x < 0.0, e, 1.0) / (1.0 + e)


def log_expit(x: Any) -> Any:
    """Return the logarithm of `expit(x)`, without overflow.

    >>> rg.special.log_expit(np.array([0.0, 1000.0])).round(4)
    array([-0.6931,  0.    ])
    """
    return logistic.logsigmoid(x)


@primitive
def logit(p: Any) -> Any:
    """Return `log(p / (1 - p))`, the inverse of `expit`; nan outside 0 to 1.

    >>> rg.special.logit(np.array([0.5, 0.75])).round(4)
    array([0.    , 1.0986])
    """
    # the logarithm of a quotient near 1 would lose digits
    middle = np.clip(p, 0.25, 0.75)
    near = np.log1p((2.0 * middle - 1.0) / (1.0 - middle))
    return np.where(np.abs(p - 0.5) < 0.25, near, np.log(p / (1.0 - p)))


@primitive
def xlogy(x: Any, y: Any) -> Any:
    """Return `x * log(y)`, and 0 where `x` is 0.

    >>> rg.special.xlogy(np.zeros(1), np.zeros(1))
    array([0.])
    """
    return x * np.log(_inside(x, y))


@primitive
def xlog1py(x: Any, y: Any) -> Any:
    """Return `x * log1p(y)`, and 0 where `x` is 0.

    >>> rg.special.xlog1py(np.ones(1), np.array([1e-20]))
    array([1.e-20])
    """
    return x * np.log1p(_inside(x, y, -1.0))


def entr(x: Any) -> Any:
    """Return `-x * log(x)`; 0 at 0 and -inf below.

    >>> rg.special.entr(np.array([0.0, 0.5])).round(4)
    array([0.    , 0.3466])
    """
    return 0.0 - rel_entr(x, np.ones_like(x))


@primitive
def rel_entr(x: Any, y: Any) -> Any:
    """Return `x * log(x / y)`; 0 where `x` is 0, inf where only `y` is, or either is below 0.

    >>> rg.special.rel_entr(np.ones(1), np.zeros(1))
    array([inf])
    """
    inside = (x > 0.0) & (y > 0.0)
    ratio = np.where(inside, x, 1.0) / np.where(inside, y, 1.0)
    value = np.where(inside, x * np.log(ratio), 0.0)
    return np.where(inside | ((x == 0.0) & (y >= 0.0)), value, math.inf)


def kl_div(x: Any, y: Any) -> Any:
    """Return `x * log(x / y) - x + y`, which is never negative.

    >>> rg.special.kl_div(np.ones(1), np.ones(1))
    array([0.])
    """
    return rel_entr(x, y) - x + y


@primitive
def logsumexp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the logarithm of the sum of `exp(a)` over `axis` (None: all), without overflow.

    >>> rg.special.logsumexp(np.array([1000.0, 1000.0])).round(4)
    np.float64(1000.6931)
    """
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.sum(np.exp(a - top), axis=axis, keepdims=True)
    none = total == 0.0
    out = np.where(none, -math.inf, np.log(np.where(none, 1.0, total)) + top)
    return out if keepdims else np.squeeze(out, axis=axis)


def softmax(x: Any, axis: Axis = None) -> Any:
    """Return `exp(x)` divided by its sum over `axis` (None: all).

    >>> rg.special.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return logistic.softmax(x, cast(Any, axis))


def log_softmax(x: Any, axis: Axis = None) -> Any:
    """Return the logarithm of `softmax(x, axis)`, accurate where that is tiny.

    >>> rg.special.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return logistic.log_softmax(x, cast(Any, axis))


# fmt: off
defvjp(expit,       lambda g, out, x: g * out * expit(-x))
defvjp(logit,       lambda g, out, p: g / (p * (1 - p)))
defvjp(xlogy,       lambda g, out, x, y: g * np.log(_inside(x, y)),
                    lambda g, out, x, y: g * x / _inside(x, y))
defvjp(xlog1py,     lambda g, out, x, y: g * np.log1p(_inside(x, y, -1.0)),
                    lambda g, out, x, y: g * x / (1 + _inside(x, y, -1.0)))
defvjp(rel_entr,    lambda g, out, x, y: g * (np.log(x / y) + 1),
                    lambda g, out, x, y: -g * x / y)
defvjp(logsumexp,   lambda g, out, a, axis=None, keepdims=False:
                    spread(g, a, axis, keepdims) * np.exp(
                        a - spread(np.where(np.isfinite(out), out, 0.0), a, axis, keepdims)))
# fmt: on
