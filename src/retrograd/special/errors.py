"""The error function, the normal distribution, and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.engine import TensorT, defvjp, primitive
from retrograd.special.precision import HALF, at_least_single, in_single, scipy_kernel
from retrograd.special.series import horner

__all__ = ["erf", "erfc", "erfcinv", "erfcx", "erfinv", "log_ndtr", "ndtr", "ndtri"]

SQRT_PI, SQRT_2 = math.sqrt(math.pi), math.sqrt(2.0)

# `(1 + 2 x) erfcx(x)` for x from 0, as a polynomial of `(x - 3.75) / (x + 3.75)`: a series of
# Chebyshev polynomials to below 1e-17, multiplied out.
ERFCX = (
    -7.339505e-11, -3.7531583e-11, 9.0221497e-10, 5.4571573e-10, -6.545560212e-09, -4.38928416e-09,
    4.0971223153e-08, 2.4289762925e-08, -2.61147023599e-07, -5.8262810788e-08, 1.753443425111e-06,
    -9.72849582211e-07, -1.1445049125831e-05, 2.2383912036551e-05, 5.1649407775464e-05,
    -0.000290153979289868, 0.000293713594805707, 0.001755625832421753, -0.009746579547619623,
    0.0283622774215156, -0.05869339859054762, 0.09230432116019834, -0.10880393014170746,
    0.08227673849015102, 0.00358541548546369, -0.14024059858554702, 1.2375126308378275,
)  # fmt: skip
# `erf(x) / x` for x up to 0.7, as a polynomial of `x^2`: Taylor's series.
ERF = tuple((-1) ** k * 2 / SQRT_PI / math.factorial(k) / (2 * k + 1) for k in range(13, -1, -1))


def _scaled_tail(x: Any) -> Any:
    """Return `erfcx(x)` for `x` from 0: what is left of `erfc` without its steep factor."""
    return horner(ERFCX, 1.0 - 7.5 / (x + 3.75)) / (1.0 + 2.0 * x)


@at_least_single
@primitive
def erf(x: TensorT) -> TensorT:
    """Return the error function, `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`, from -1 to 1; an array for an array.

    Defined in DLMF 7.2.1.

    >>> rg.special.erf(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8427])
    """
    kernel = scipy_kernel("erf", x)
    if kernel is not None:
        quick: Any = kernel(x)
        return quick
    size = np.abs(x)
    near = x * horner(ERF, np.square(np.minimum(size, 0.7)))
    far = 1.0 - np.exp(-np.square(x)) * _scaled_tail(size)
    out: Any = np.where(size < 0.7, near, np.sign(x) * far)
    return out


@at_least_single
@primitive
def erfc(x: TensorT) -> TensorT:
    """Return `1 - erf(x)`, accurate where that is tiny.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`, from 0 to 2; an array for an array.

    Defined in DLMF 7.2.2.

    >>> rg.special.erfc(np.array([10.0]))
    array([2.08848758e-45])
    """
    kernel = scipy_kernel("erfc", x)
    if kernel is not None:
        quick: Any = kernel(x)
        return quick
    tail = np.exp(-np.square(x)) * _scaled_tail(np.abs(x))
    out: Any = np.where(x < 0.0, 2.0 - tail, tail)
    return out


@at_least_single
@primitive
def erfcx(x: TensorT) -> TensorT:
    """Return `exp(x^2) * erfc(x)`, which does not vanish for large `x`.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`, positive; an array for an array. inf from about -26.6 down.

    >>> rg.special.erfcx(np.array([0.0, 100.0])).round(4)
    array([1.    , 0.0056])
    """
    kernel = scipy_kernel("erfcx", x)
    if kernel is not None:
        quick: Any = kernel(x)
        return quick
    tail = _scaled_tail(np.abs(x))
    out: Any = np.where(x < 0.0, 2.0 * np.exp(np.square(np.minimum(x, 0.0))) - tail, tail)
    return out


def _solve(y: Any, q: Any) -> Any:
    """Return the x from 0 with `erf(x) = y` and `erfc(x) = q`; one of these may be inexact.

    Three steps of Halley's method, from the approximation in Winitzki 2008, "A handy approximation
    for the error function and its inverse".
    """
    low = np.log(np.where(q > 0.0, q, 0.5) * (1.0 + y))
    a = 0.147
    c = 2.0 / (math.pi * a) + 0.5 * low
    x = np.sqrt(-low / a / (np.sqrt(np.square(c) - low / a) + c))
    for _ in range(3):
        grown = np.exp(np.square(x))
        # how far erf(x) is too large, times exp(x^2), by the one of y and q that is small
        error = np.where(q < 0.5, q * grown - _scaled_tail(x), grown * (erf(x) - y))
        newton = error * (0.5 * SQRT_PI)
        x = x - newton / (1.0 + x * newton)
    return np.where(q > 0.0, x, math.inf)


@at_least_single
@primitive
def erfinv(y: TensorT) -> TensorT:
    """Return the inverse of `erf`: the x with `erf(x) = y`.

    Args:
        y: array or Tensor of numbers from -1 to 1, of any shape.

    Returns:
        A Tensor of the shape of `y`; an array for an array. Infinite at -1 and 1, nan outside.

    >>> rg.special.erfinv(np.array([0.0, 0.5])).round(4)
    array([0.    , 0.4769])
    """
    kernel = scipy_kernel("erfinv", y)
    if kernel is not None:
        quick: Any = kernel(y)
        return quick
    size = np.minimum(np.abs(y), 1.0)
    out: Any = np.where(np.abs(y) <= 1.0, np.sign(y) * _solve(size, 1.0 - size), math.nan)
    return out


@at_least_single
@primitive
def erfcinv(y: TensorT) -> TensorT:
    """Return the inverse of `erfc`: the x with `erfc(x) = y`, accurate where `y` is tiny.

    Args:
        y: array or Tensor of numbers from 0 to 2, of any shape.

    Returns:
        A Tensor of the shape of `y`; an array for an array. Infinite at 0 and 2, nan outside.

    >>> rg.special.erfcinv(np.array([1.5, 0.5])).round(4)
    array([-0.4769,  0.4769])
    """
    kernel = scipy_kernel("erfcinv", y)
    if kernel is not None:
        quick: Any = kernel(y)
        return quick
    q = np.clip(np.minimum(y, 2.0 - y), 0.0, 1.0)
    x = np.sign(1.0 - y) * _solve(1.0 - q, q)
    out: Any = np.where((y >= 0.0) & (y <= 2.0), x, math.nan)
    return out


def ndtr(x: TensorT) -> TensorT:
    """Return the distribution function of the standard normal distribution.

    It is the probability that a draw is at most `x`: `erfc(-x / sqrt(2)) / 2`.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`, from 0 to 1; an array for an array.

    >>> rg.special.ndtr(np.array([0.0, 1.0])).round(4)
    array([0.5   , 0.8413])
    """
    if x.dtype is HALF:
        return in_single(ndtr, x)
    return 0.5 * erfc(x * (-1 / SQRT_2))


@at_least_single
@primitive
def log_ndtr(x: TensorT) -> TensorT:
    """Return the logarithm of `ndtr(x)`, accurate where that is tiny or near 1.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`, 0 at most; an array for an array.

    >>> rg.special.log_ndtr(np.array([-100.0])).round(4)
    array([-5005.5242])
    """
    kernel = scipy_kernel("log_ndtr", x)
    if kernel is not None:
        quick: Any = kernel(x)
        return quick
    low = np.minimum(x, -1.0) * (-1 / SQRT_2)
    below = np.log(0.5 * _scaled_tail(low)) - np.square(low)
    above = np.log1p(-0.5 * erfc(np.maximum(x, -1.0) * (1 / SQRT_2)))
    out: Any = np.where(x < -1.0, below, above)
    return out


@at_least_single
def ndtri(p: TensorT) -> TensorT:
    """Return the inverse of `ndtr`: the quantiles of the standard normal distribution.

    Args:
        p: array or Tensor of probabilities, of any shape.

    Returns:
        A Tensor of the shape of `p`; an array for an array. -inf at 0, inf at 1, nan outside.

    >>> rg.special.ndtri(np.array([0.025, 0.975])).round(4)
    array([-1.96,  1.96])
    """
    return -SQRT_2 * erfcinv(2.0 * p)


# fmt: off
defvjp(erf,      lambda g, out, x: g * (2 / SQRT_PI) * np.exp(-np.square(x)))
defvjp(erfc,     lambda g, out, x: g * (-2 / SQRT_PI) * np.exp(-np.square(x)))
defvjp(erfcx,    lambda g, out, x: g * (2 * x * out - 2 / SQRT_PI))
defvjp(erfinv,   lambda g, out, y: g * (0.5 * SQRT_PI) * np.exp(np.square(out)))
defvjp(erfcinv,  lambda g, out, y: g * (-0.5 * SQRT_PI) * np.exp(np.square(out)))
# the density divided by the distribution function, both without their steep factor
defvjp(log_ndtr, lambda g, out, x: g * math.sqrt(2 / math.pi) / erfcx(x * (-1 / SQRT_2)))
# fmt: on
