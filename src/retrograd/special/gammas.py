"""The gamma function, its logarithm, and the derivatives of that."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import TensorLike, TensorT, defvjp, primitive
from retrograd.special.precision import (
    at_least_single,
    in_common_dtype,
    no_gradient_to,
    of_parameters,
    scipy_kernel,
)
from retrograd.special.series import BERNOULLI, horner
from retrograd.special.series import zeta as hurwitz

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["beta", "betaln", "digamma", "gamma", "gammaln", "polygamma", "zeta"]

# where digamma is 0, in two parts of which the second has the digits that the first lacks
ROOT = (1.4616321449683622, 9.549995429965697e-17)
# Taylor's series: `gammaln(2 + t) / t` for t up to 1/2, `digamma(ROOT + t) / t` for t up to 0.54.
GAMMALN = (*((-1) ** k * hurwitz(k, 2.0) / k for k in range(28, 1, -1)), 1.0 - 0.5772156649015329)
DIGAMMA = tuple((-1) ** k * hurwitz(k, ROOT[0]) for k in range(36, 1, -1))
# Stirling's series of both, as polynomials of `1 / x^2` for x from 8 (DLMF 5.11.1 and 5.11.2).
STIRLING = tuple(b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1))[::-1]
HARMONIC = tuple(b / (2 * k) for k, b in enumerate(BERNOULLI, 1))[::-1]


def _angle_to_whole(x: Any) -> tuple[Any, Any]:
    """Return where `x` is a whole number, and pi times its distance from the nearest.

    Below 1/2 all functions here are reflected, with sines of that angle; where it is 0 another one
    stands in for it, so that nothing warns.
    """
    x = np.where(np.isfinite(x), x, 0.0)
    turns = x - np.rint(x)
    return turns == 0.0, math.pi * np.where(turns == 0.0, 0.25, turns)


@at_least_single
@primitive
def gammaln(x: TensorT) -> TensorT:
    """Return the logarithm of the absolute value of the gamma function.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array. inf at 0, -1, -2, ...

    Taylor's series about 2, Stirling's for large `x`, and below 1/2 the reflection formula
    (DLMF 5.5.3).

    >>> rg.special.gammaln(np.array([3.0, 5.0])).round(4)
    array([0.6931, 3.1781])
    """
    kernel = scipy_kernel("gammaln", x)
    if kernel is not None:
        quick: Any = kernel(x)
        return quick
    y = np.where(x < 0.5, 1.0 - x, x)
    # to 2.5 the series about 2, after a step gammaln(y) = gammaln(y + 1) - log(y) from below 1.5
    low = np.minimum(y, 2.5)
    over = np.where(low < 1.5, low - 1.0, low - 2.0)
    near = over * horner(GAMMALN, over) - np.log1p(np.where(low < 1.5, over, 0.0))
    # above it Stirling's, to 10 after 8 such steps
    steps = math.prod(np.minimum(y, 10.0) + k for k in range(8))
    w = np.where(y < 10.0, y + 8.0, y)
    far = (w - 0.5) * (np.log(w) - 1.0) - 0.5 + 0.5 * math.log(2 * math.pi) + _stirling(w)
    far = far - np.where(y < 10.0, np.log(steps), 0.0)
    above: Any = np.where(y < 2.5, near, far)
    whole, angle = _angle_to_whole(x)
    below = math.log(math.pi) - np.log(np.abs(np.sin(angle))) - above
    out: Any = np.where(x < 0.5, np.where(whole, math.inf, below), above)
    return out


@at_least_single
@primitive
def digamma(x: TensorT) -> TensorT:
    """Return the derivative of `gammaln`, also called psi.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array. -inf at 0, and nan at -1, -2, ...

    Taylor's series about its zero, Stirling's for large `x`, and below 1/2 the reflection formula
    (DLMF 5.5.4).

    >>> rg.special.digamma(np.array([1.0, 10.0])).round(4)
    array([-0.5772,  2.2518])
    """
    kernel = scipy_kernel("digamma", x)
    if kernel is not None:
        quick: Any = kernel(x)
        return quick
    y = np.where(x < 0.5, 1.0 - x, x)
    # to 2 the series about the zero, after a step digamma(y) = digamma(y + 1) - 1 / y from below 1
    low = np.minimum(y, 2.0)
    z = np.where(low < 1.0, low + 1.0, low)
    over = z - ROOT[0] - ROOT[1]
    near = over * horner(DIGAMMA, over) - np.where(low < 1.0, 1.0 / low, 0.0)
    # above it Stirling's, after 8 such steps
    w = y + 8.0
    square = 1.0 / np.square(w)
    far = np.log(w) - 0.5 / w - square * horner(HARMONIC, square)
    far = far - sum(1.0 / (y + k) for k in range(8))
    above: Any = np.where(y < 2.0, near, far)
    whole, angle = _angle_to_whole(x)
    below = above - math.pi / np.tan(angle)
    pole = np.where(x == 0.0, np.copysign(math.inf, -x), math.nan)
    out: Any = np.where(x < 0.5, np.where(whole, pole, below), above)
    return out


def polygamma(n: int, x: TensorT) -> TensorT:
    """Return the derivative number `n` of `digamma`.

    Args:
        n: the order, an int from 0; 0 is `digamma` itself.
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array. At 0, -1, -2, ... inf for an odd `n`,
        and nan for others.

    Raises:
        TypeError: if `n` is no int.
        ValueError: if `n` is negative.

    It is `(-1)^(n + 1) n!` times the sum of `(x + k)^-(n + 1)` over k from 0 (DLMF 5.15.1); below 0
    by reflection (DLMF 5.15.6).

    >>> rg.special.polygamma(1, np.array([1.0, 2.0])).round(4)
    array([1.6449, 0.6449])
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise TypeError(f"polygamma takes an int first, not {n!r}")
    if n < 0:
        raise ValueError(f"polygamma takes an order from 0, not {n}")
    return digamma(x) if n == 0 else _polygamma(x, int(n))


@functools.cache
def _cotangent_slope(n: int) -> tuple[float, ...]:
    """Return the derivative number `n` of the cotangent, as a polynomial of the cotangent."""
    powers = [0, 1]  # the coefficient of the lowest power first
    for _ in range(n):
        slope = [k * c for k, c in enumerate(powers)][1:]
        # the cotangent has the derivative -(1 + cotangent^2)
        powers = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return tuple(map(float, reversed(powers)))


@at_least_single
@primitive
def _polygamma(x: Any, n: int) -> Any:
    # to order 2 reflected below 1/2, above it below 0 only, where the formula loses no digits
    bound = 0.5 if n <= 2 else 0.0
    reflected = x < bound
    y = np.where(reflected, 1.0 - x, x)
    out = (-1.0) ** (n + 1) * math.factorial(n) * hurwitz(n + 1, np.where(y <= 0.0, 1.0, y))
    # the derivative of the reflection formula of digamma
    whole, angle = _angle_to_whole(x)
    sine, cosine = np.sin(angle), np.cos(angle)
    below = (-1.0) ** n * out - math.pi ** (n + 1) * horner(_cotangent_slope(n), cosine / sine)
    pole = math.inf if n % 2 else math.nan
    return np.where((x <= 0.0) & whole, pole, np.where(reflected, below, out))


@at_least_single
@primitive
def gamma(x: TensorT) -> TensorT:
    """Return the gamma function, which is `(x - 1)!` at whole numbers from 1.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array. inf at 0, nan at -1, -2, ...

    Defined in DLMF 5.2.1.

    >>> rg.special.gamma(np.array([5.0, 0.5])).round(4)
    array([24.    ,  1.7725])
    """
    kernel = scipy_kernel("gamma", x)
    if kernel is not None:
        quick: Any = kernel(x)
        return quick
    whole = np.floor(x)
    sign = np.where(x < 0.0, 1.0 - 2.0 * np.remainder(whole, 2.0), 1.0)
    pole = (x < 0.0) & (x == whole)
    out: Any = np.where(pole, math.nan, sign * np.exp(gammaln(np.where(pole, 0.5, x))))
    return out


@in_common_dtype
@primitive
def betaln(a: TensorLike, b: TensorLike) -> Any:
    """Return the logarithm of the absolute value of the beta function.

    Args:
        a: array or Tensor.
        b: array or Tensor that broadcasts with `a`.

    Returns:
        A Tensor of the common shape; an array for arrays.

    The beta function is `gamma(a) gamma(b) / gamma(a + b)` (DLMF 5.12.1). For large arguments the
    quotient of two of these is taken by Stirling's series, so that no digits are lost.

    >>> rg.special.betaln(np.array([1.0, 2.0]), np.array([1.0, 3.0])).round(4)
    array([ 0.    , -2.4849])
    """
    small, large = np.minimum(a, b), np.maximum(a, b)
    far = (small >= 0.0) & (large >= 10.0) & np.isfinite(large)
    x, s = np.where(far, large, 10.0), np.where(far, small, 1.0)
    quotient = (0.5 - x) * np.log1p(s / x) - s * np.log(x + s) + s
    quotient = quotient + _stirling(x) - _stirling(x + s)
    endless = (small > 0.0) & (large == math.inf)
    apart = far | endless
    near = np.where(apart, 1.0, large)
    rest = gammaln(near) - gammaln(np.where(apart, 1.0, small) + near)
    out = gammaln(np.where(endless, 1.0, small)) + np.where(far, quotient, rest)
    return np.where(endless, -math.inf, out)


def _stirling(x: Any) -> Any:
    """Return what `gammaln(x)` has above `(x - 1/2) log(x) - x + log(2 pi) / 2`, from 8 on."""
    return horner(STIRLING, 1.0 / np.square(x)) / x


@in_common_dtype
def beta(a: TensorLike, b: TensorLike) -> Any:
    """Return the beta function, `gamma(a) gamma(b) / gamma(a + b)`.

    Args:
        a: array or Tensor.
        b: array or Tensor that broadcasts with `a`.

    Returns:
        A Tensor of the common shape; an array for arrays. Where an argument is 0 or below, that of
        the gamma functions.

    Defined in DLMF 5.12.1.

    >>> rg.special.beta(np.array([1.0, 2.0]), np.array([1.0, 3.0])).round(4)
    array([1.    , 0.0833])
    """
    signs = _sign_of_gamma(a) * _sign_of_gamma(b) * _sign_of_gamma(a + b)
    return signs * np.exp(betaln(a, b))


def _sign_of_gamma(x: Any) -> Any:
    return np.where(x < 0.0, 1.0 - 2.0 * np.remainder(np.floor(x), 2.0), 1.0)


@of_parameters
@primitive
def zeta(x: ArrayLike | TensorLike, q: ArrayLike | TensorLike = 1.0) -> Any:
    """Return the zeta function of Riemann, or that of Hurwitz.

    Args:
        x: the exponent, above 1; it has no gradient.
        q: array or Tensor of numbers above 0 that broadcasts with `x`; 1 (default) for Riemann's.

    Returns:
        A Tensor of the common shape; an array for arrays. inf where `x` is 1 or `q` is 0, nan below
        these.

    Raises:
        TypeError: in backward, if `x` requires grad.

    The sum of `(q + k)^-x` over k = 0, 1, 2, ... (DLMF 25.11.1).

    >>> rg.special.zeta(2.0, np.array([1.0, 2.0])).round(4)
    array([1.6449, 0.6449])
    """
    return _zeta(x, q)


def _zeta(x: Any, q: Any) -> Any:
    inside = (x > 1.0) & (q > 0.0)
    out = hurwitz(np.where(inside, x, 2.0), np.where(inside, q, 1.0))
    edge = (x == 1.0) | ((q == 0.0) & (x > 1.0))
    return np.where(edge, math.inf, np.where(inside, out, math.nan))


# fmt: off
defvjp(zeta, functools.partial(no_gradient_to, "the exponent of zeta"),
             lambda g, out, x, q: -g * x * zeta(x + 1, q))
defvjp(gammaln,    lambda g, out, x: g * digamma(x))
defvjp(digamma,    lambda g, out, x: g * _polygamma(x, 1))
defvjp(_polygamma, lambda g, out, x, n: g * _polygamma(x, n + 1))
defvjp(gamma,      lambda g, out, x: g * out * digamma(x))
defvjp(betaln,     lambda g, out, a, b: g * (digamma(a) - digamma(a + b)),
                   lambda g, out, a, b: g * (digamma(b) - digamma(a + b)))
# fmt: on
