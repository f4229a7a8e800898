"""Incomplete gamma and beta functions.

Their values are sums and continued fractions that are as long as their arguments need, so each is
one call of a program; their derivatives to the last argument are densities, and have all orders.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import TensorLike, defvjp, primitive
from retrograd.special.gammas import GAMMALN, betaln, gammaln
from retrograd.special.logarithms import xlog1py, xlogy
from retrograd.special.precision import no_gradient_to, of_parameters, scipy_kernel
from retrograd.special.series import BERNOULLI, horner

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["betainc", "gammainc", "gammaincc"]

TINY = 1e-300
CLOSE = 5e-16  # a factor that is so close to 1 changes nothing
MOST = 20_000  # terms; about 10 times the root of the largest parameter are needed


def _as_floats(*values: Any) -> tuple[Any, list[Any]]:
    """Return the dtype of a result, and its arguments as float64 of one shape."""
    dtype = np.result_type(*values)
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    return dtype, [np.array(a, float) for a in np.broadcast_arrays(*values)]


def _gamma_power(a: Any, x: Any) -> Any:
    """Return `x^a exp(-x) / gamma(a + 1)`, with its digits where `a` is large too."""
    plain = xlogy(a, x) - x - gammaln(a + 1.0)
    # by Stirling's series: of a the power is that of its distance from x alone
    near = (a > 20.0) & (x > 0.3 * a)
    large = np.where(near, a, 21.0)
    apart = np.where(near, (x - a) / large, 0.0)
    rest = large * (apart - np.log1p(apart))
    stirling = sum(b / (2 * k * (2 * k - 1)) * large ** (1 - 2 * k)
                   for k, b in enumerate(BERNOULLI, 1))  # fmt: skip
    log = -rest - stirling - 0.5 * np.log(2.0 * math.pi * large)
    return np.exp(np.where(near, log, plain))


def _gamma_parts(a: Any, x: Any) -> tuple[Any, Any]:
    """Return the lower and the upper part of the gamma function, of a sum 1."""
    power = _gamma_power(a, x)
    below = x < a + 1.0
    # the lower one by its series (DLMF 8.11.4)
    y, term = np.where(below, x, 0.0), np.ones_like(x)
    total = term.copy()
    for n in range(1, MOST):
        term = term * y / (a + n)
        total = total + term
        if not np.any(term > 1e-17 * total):
            break
    lower = power * total
    # the upper one by its continued fraction, from the front (DLMF 8.9.2; Lentz 1976)
    z = np.where(below, a + 2.0, x)
    b = z + 1.0 - a
    c, d = np.full_like(z, 1.0 / TINY), 1.0 / b
    fraction, going = d.copy(), ~below
    for n in range(1, MOST):
        factor = -n * (n - a)
        b = b + 2.0
        d = factor * d + b
        d = 1.0 / np.where(np.abs(d) < TINY, TINY, d)
        c = b + factor / c
        c = np.where(np.abs(c) < TINY, TINY, c)
        fraction = np.where(going, fraction * d * c, fraction)
        going = going & (np.abs(d * c - 1.0) > CLOSE)
        if not np.any(going):
            break
    upper = power * a * fraction
    rest = np.where((a < 0.5) & (x < 1.1), _small_upper(a, x), 1.0 - lower)
    return np.where(below, lower, 1.0 - upper), np.where(below, rest, upper)


def _small_upper(a: Any, x: Any) -> Any:
    """Return the upper part for `a` below 1/2 and `x` below 1.1, where it may be tiny.

    By the series of `x^a / gamma(a + 1)` times that of exp(-t) (DLMF 8.7.3).
    """
    inside = (a < 0.5) & (x < 1.1)
    a, x = np.where(inside, a, 0.25), np.where(inside, x, 0.5)
    log = a * np.log(x) - a * horner(GAMMALN, a) + np.log1p(a)
    term, total = np.ones_like(x), np.zeros_like(x)
    for n in range(1, 22):
        term = -term * x / n
        total = total + term / (a + n)
    return -np.expm1(log) - np.exp(log) * a * total


def _gamma_share(upper: bool, a: Any, x: Any) -> Any:
    dtype, (a, x) = _as_floats(a, x)
    bad = ~((a >= 0) & (x >= 0)) | ((a == 0) & (x == 0)) | (np.isinf(a) & np.isinf(x))
    inside = ~bad & (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    parts = _gamma_parts(np.where(inside, a, 1.0), np.where(inside, x, 1.0))
    is_all = (x > 0) & ~np.isinf(a)  # what is left: a = 0, x = 0, and infinities
    edge = np.where(is_all, 0.0, 1.0) if upper else np.where(is_all, 1.0, 0.0)
    out = np.where(inside, parts[upper], np.where(bad, math.nan, edge))
    return out.astype(dtype)[()]


def _beta_share(a: Any, b: Any, x: Any) -> Any:
    dtype, (a, b, x) = _as_floats(a, b, x)
    # all of it may lie at one end
    first, last = (a == 0) | np.isinf(b), (b == 0) | np.isinf(a)
    at_end = (first ^ last) & (a >= 0) & (b >= 0) & (x >= 0) & (x <= 1)
    end = np.where(first, x > 0, x == 1).astype(float)
    bad = ~((a > 0) & (b > 0) & (x >= 0) & (x <= 1)) | first | last
    a, b, x = (np.where(bad, fill, v) for v, fill in ((a, 1.0), (b, 1.0), (x, 0.5)))
    # the continued fraction is short on one side of the mean (DLMF 8.17.22), the other is 1 less
    turned = x > (a + 1.0) / (a + b + 2.0)
    p, q, y = np.where(turned, b, a), np.where(turned, a, b), np.where(turned, 1.0 - x, x)
    with np.errstate(divide="ignore"):
        power = np.exp(xlogy(a, x) + xlog1py(b, -x) - betaln(a, b)) / p
    c, d = np.ones_like(y), 1.0 - (p + q) * y / (p + 1.0)
    d = 1.0 / np.where(np.abs(d) < TINY, TINY, d)
    fraction, going = d.copy(), ~bad
    for m in range(1, MOST):
        for factor in (
            m * (q - m) * y / ((p + 2 * m - 1.0) * (p + 2 * m)),
            -(p + m) * (p + q + m) * y / ((p + 2 * m) * (p + 2 * m + 1.0)),
        ):
            d = 1.0 + factor * d
            d = 1.0 / np.where(np.abs(d) < TINY, TINY, d)
            c = 1.0 + factor / c
            c = np.where(np.abs(c) < TINY, TINY, c)
            fraction = np.where(going, fraction * d * c, fraction)
        going = going & (np.abs(d * c - 1.0) > CLOSE)
        if not np.any(going):
            break
    part = power * fraction
    out = np.where(turned, 1.0 - part, part)
    return np.where(at_end, end, np.where(bad, math.nan, out)).astype(dtype)[()]


@of_parameters
@primitive(looks_through=False)
def gammainc(a: ArrayLike | TensorLike, x: ArrayLike | TensorLike) -> Any:
    """Return the lower incomplete gamma function, as a share of the whole.

    Args:
        a: the parameter, from 0; it has no gradient.
        x: array or Tensor of numbers from 0 that broadcasts with `a`.

    Returns:
        A Tensor of the common shape, from 0 to 1; an array for arrays. nan outside.

    Raises:
        TypeError: in backward, if `a` requires grad.

    The integral of `t^(a - 1) exp(-t) / gamma(a)` from 0 to `x` (DLMF 8.2.4): the probability that
    a gamma distribution gives to what is below `x`.

    >>> rg.special.gammainc(2.0, np.array([1.0, 10.0])).round(4)
    array([0.2642, 0.9995])
    """
    kernel: Any = scipy_kernel("gammainc", x)
    return kernel(a, x) if kernel is not None else _gamma_share(False, a, x)


@of_parameters
@primitive(looks_through=False)
def gammaincc(a: ArrayLike | TensorLike, x: ArrayLike | TensorLike) -> Any:
    """Return `1 - gammainc(a, x)`, accurate where that is tiny.

    Args:
        a: the parameter, from 0; it has no gradient.
        x: array or Tensor of numbers from 0 that broadcasts with `a`.

    Returns:
        A Tensor of the common shape, from 0 to 1; an array for arrays. nan outside.

    Raises:
        TypeError: in backward, if `a` requires grad.

    Defined in DLMF 8.2.4.

    >>> rg.special.gammaincc(2.0, np.array([1.0, 100.0]))
    array([7.35758882e-01, 3.75727674e-42])
    """
    kernel: Any = scipy_kernel("gammaincc", x)
    return kernel(a, x) if kernel is not None else _gamma_share(True, a, x)


@of_parameters
@primitive(looks_through=False)
def betainc(a: ArrayLike | TensorLike, b: ArrayLike | TensorLike, x: ArrayLike | TensorLike) -> Any:
    """Return the incomplete beta function, as a share of the whole.

    Args:
        a: the first parameter, above 0; it has no gradient.
        b: the second parameter, above 0; it has no gradient.
        x: array or Tensor of numbers from 0 to 1 that broadcasts with them.

    Returns:
        A Tensor of the common shape, from 0 to 1; an array for arrays. nan outside.

    Raises:
        TypeError: in backward, if `a` or `b` requires grad.

    The integral of `t^(a - 1) (1 - t)^(b - 1)` from 0 to `x`, divided by that to 1 (DLMF 8.17.2).

    >>> rg.special.betainc(2.0, 3.0, np.array([0.1, 0.5])).round(4)
    array([0.0523, 0.6875])
    """
    kernel: Any = scipy_kernel("betainc", x)
    return kernel(a, b, x) if kernel is not None else _beta_share(a, b, x)


def _gamma_density(a: Any, x: Any) -> Any:
    return np.exp(xlogy(a - 1.0, x) - x - gammaln(a))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    return np.exp(xlogy(a - 1.0, x) + xlog1py(b - 1.0, -x) - betaln(a, b))


_refuse = functools.partial(no_gradient_to, "the parameter of an incomplete function")
# fmt: off
defvjp(gammainc,  _refuse, lambda g, out, a, x: g * _gamma_density(a, x))
defvjp(gammaincc, _refuse, lambda g, out, a, x: -g * _gamma_density(a, x))
defvjp(betainc, _refuse, _refuse, lambda g, out, a, b, x: g * _beta_density(a, b, x))
# fmt: on
