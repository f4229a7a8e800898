"""Bessel functions.

Their values are sums that are as long as their arguments need, so each is one call of a program;
their derivatives are neighbours in the order (DLMF 10.6 and 10.29), so they have all orders.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import TensorLike, TensorT, defvjp, primitive
from retrograd.special.gammas import gammaln
from retrograd.special.precision import at_least_single, no_gradient_to, of_parameters, scipy_kernel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["i0", "i0e", "i1", "i1e", "iv", "ive", "jv", "k0", "k1"]

EULER = 0.57721566490153286061
# so many terms of the asymptotic series are summed at most, each as long as they get smaller
LONGEST = 120


def _hankel_terms(order: Any, x: Any) -> list[Any]:
    """Return four sums over k of `a_k(order) / x^k` (DLMF 10.17.1).

    They are: with the sign (-1)^k, for I (DLMF 10.40.1); those of even k and of odd k, with each
    second one negative, for J (DLMF 10.17.3); and as they are, for K (DLMF 10.40.2).
    """
    square = 4.0 * order * order
    term = np.ones_like(x)
    sums = [term.copy(), term.copy(), np.zeros_like(x), term.copy()]
    least = np.abs(term)
    for k in range(1, LONGEST):
        term = term * (square - (2 * k - 1) ** 2) / (8.0 * k * x)
        grows = np.abs(term) > least
        term = np.where(grows, 0.0, term)
        least = np.abs(term)
        if not np.any(least > 1e-17):
            break
        sums[0] += (-1) ** k * term
        sums[1 + k % 2] += (-1) ** (k // 2) * term
        sums[3] += term
    return sums


def _is_far(order: Any, x: Any) -> Any:
    return x > 25.0 + 0.5 * order * order


def _scaled_i(order: Any, x: Any) -> Any:
    """Return `exp(-x) I(x)` of orders from 0 and arguments from 0."""
    far = _is_far(order, x) | np.isinf(x)
    z = np.where(far, x, 100.0 + order * order)
    with np.errstate(invalid="ignore"):
        out = _hankel_terms(order, z)[0] / np.sqrt(2.0 * math.pi * z)
    # the terms (x / 2)^(2 k + order) / (k! gamma(k + order + 1)) from the largest on, both ways
    y = np.where(far | (x == 0.0), 1.0, x)
    quarter = 0.25 * y * y
    divisor = np.where(quarter > 0.0, quarter, 1.0)  # for tiny arguments the first term is all
    top = np.floor(0.5 * (np.hypot(order, y) - order))
    log = (2 * top + order) * np.log(0.5 * y) - gammaln(top + 1.0) - gammaln(top + order + 1.0) - y
    total, up, down = np.ones_like(y), np.ones_like(y), np.ones_like(y)
    k = 0
    while True:
        up = up * quarter / ((top + k + 1) * (top + k + 1 + order))
        down = down * np.maximum(top - k, 0.0) * np.maximum(top - k + order, 0.0) / divisor
        total += up + down
        k += 1
        if not np.any(up + down > 1e-17 * total):
            break
    near = np.where(x == 0.0, np.where(order == 0.0, 1.0, 0.0), np.exp(log) * total)
    return np.where(far, out, near)


def _j(order: Any, x: Any) -> Any:
    """Return `J(x)` of orders from 0 and arguments from 0."""
    far = _is_far(order, x)
    z = np.where(far & np.isfinite(x), x, 100.0 + order * order)
    _, even, odd, _ = _hankel_terms(order, z)
    # the angle z - (order / 2 + 1 / 4) pi, whose second part is small
    shift = np.remainder(0.5 * order + 0.25, 2.0) * math.pi
    cosine = np.cos(z) * np.cos(shift) + np.sin(z) * np.sin(shift)
    sine = np.sin(z) * np.cos(shift) - np.cos(z) * np.sin(shift)
    out = np.sqrt(2.0 / (math.pi * z)) * (cosine * even - sine * odd)
    out = np.where(np.isinf(x), 0.0, out)
    # Miller's way: down from an order at which it is tiny, then to scale (DLMF 10.23.15)
    y = np.where(far | (x == 0.0), 1.0, x)
    whole = np.floor(order)
    rest = order - whole
    start = int(np.max(np.maximum(whole, y) + 12.0 * np.cbrt(np.maximum(whole, y)), initial=0)) + 30
    start += start % 2
    above, here = np.zeros_like(y), np.full_like(y, 1e-290)
    wanted, scale = np.zeros_like(y), np.zeros_like(y)
    # weights (rest + 2 k) gamma(rest + k) / k! of the even ones; for rest 0 they are 1, 2, 2, ...
    half = np.arange(1.0, start // 2 + 1)
    with np.errstate(divide="ignore"):
        logs = gammaln(rest[..., None] + half) - gammaln(half + 1.0)
    weights = np.exp(logs) * (rest[..., None] + 2 * half)
    first = np.exp(gammaln(rest + 1.0))
    for n in range(start, -1, -1):
        wanted = np.where(whole == n, here, wanted)
        if n % 2 == 0:
            scale = scale + here * (weights[..., n // 2 - 1] if n else first)
        above, here = here, 2.0 * (rest + n) / y * here - above
        large = np.abs(here) > 1e250
        if np.any(large):
            above, here, wanted, scale = (
                np.where(large, v * 1e-250, v) for v in (above, here, wanted, scale)
            )
    near = wanted / scale * (0.5 * y) ** rest
    # far below its order it is the first term of its series, which leaves the others behind
    small = y * y < 1e-3 * (order + 1.0)
    series, term = np.ones_like(y), np.ones_like(y)
    for k in range(1, 6):
        term = -term * 0.25 * y * y / (k * (order + k))
        series = series + term
    tiny = np.exp(order * np.log(0.5 * y) - gammaln(order + 1.0)) * series
    near = np.where(small, tiny, near)
    near = np.where(x == 0.0, np.where(order == 0.0, 1.0, 0.0), near)
    return np.where(far, out, near)


def _of_any_order(kind: str, order: Any, x: Any, scaled: bool = False) -> Any:
    """Return J, I or scaled I, of orders below 0 and arguments below 0 too."""
    dtype = np.result_type(order, x)
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    order, x = (np.asarray(a, float) for a in np.broadcast_arrays(order, x))
    missing = np.isnan(order) | np.isnan(x)
    order, size = np.where(missing, 0.0, order), np.where(missing, 1.0, np.abs(x))
    whole = order == np.floor(order)

    def above_0(v: Any) -> Any:
        return (_j if kind == "j" else _scaled_i)(v, size)

    out = above_0(np.abs(order))
    if kind == "j":
        out = np.where(whole & (order < 0) & (np.remainder(order, 2.0) == 1.0), -out, out)
    low = ~whole & (order < 0)
    if np.any(low):
        # down from two orders above 0: v - 1 from v and v + 1 (DLMF 10.6.1 and 10.29.1)
        steps = np.where(low, -np.floor(order), 0.0)
        here, above = above_0(order + steps), above_0(order + steps + 1)
        with np.errstate(all="ignore"):
            for k in range(int(np.max(steps))):
                v = order + steps - k
                below = 2.0 * v / size * here + (-above if kind == "j" else above)
                go = k < steps
                here, above = np.where(go, below, here), np.where(go, here, above)
        pole = np.copysign(math.inf, np.where(np.floor(order) % 2 == 1.0, 1.0, -1.0))
        out = np.where(low, np.where(size == 0.0, pole, here), out)
    if kind == "i" and not scaled:
        with np.errstate(over="ignore", invalid="ignore"):
            grown = np.exp(size)
            # in two steps, where exp(x) alone is too large
            out = np.where(np.isinf(size) | np.isinf(grown), out * np.exp(0.5 * size)
                           * np.exp(0.5 * size), out * grown)  # fmt: skip
            out = np.where(np.isinf(size), math.inf, out)
    odd = np.remainder(order, 2.0) == 1.0
    out = np.where(x < 0, np.where(whole, np.where(odd, -out, out), math.nan), out)
    return np.where(missing, math.nan, out).astype(dtype)[()]


def _value(name: str, order: Any, x: Any) -> Any:
    """Return a function of the first kind by its name."""
    kernel = scipy_kernel(name, x)
    out = None if kernel is None else kernel(order, x)
    if out is not None and not np.any(np.isnan(out)):
        return out
    own = _of_any_order(name[0], order, x, scaled=name == "ive")
    # SciPy's gives up where the argument is huge or tiny
    return own if out is None else np.where(np.isnan(out), own, out)[()]


def _k(n: int, x: Any) -> Any:
    """Return K(x) of order 0 or 1."""
    dtype = np.asarray(x).dtype
    x = np.asarray(x, float)
    bad = ~(x > 0)
    y = np.where(bad | (x > 1.0), 0.5, x)
    # to 1 the series of DLMF 10.31
    quarter = 0.25 * y * y
    term, harmonic, total, plain = np.ones_like(y), 0.0, np.zeros_like(y), np.ones_like(y)
    log = np.log(0.5 * y) + EULER
    if n == 0:
        for k in range(1, 14):
            term = term * quarter / (k * k)
            harmonic += 1 / k
            plain, total = plain + term, total + term * harmonic
        near = total - log * plain
    else:
        total = 0.5 * term
        for k in range(1, 14):
            term = term * quarter / (k * (k + 1))
            harmonic += 1 / k
            plain, total = plain + term, total + term * (harmonic + 0.5 / (k + 1))
        near = 1.0 / y + 0.5 * y * (log * plain - total)
    # to 18 the integral of exp(-x cosh(t)) cosh(n t), by the rule of trapezoids
    z = np.where((x > 1.0) & (x <= 18.0), x, 2.0)
    step = 0.125
    middle = np.full_like(z, 0.5)
    for k in range(1, 37):
        c = math.cosh(step * k)
        middle = middle + np.exp(-z * (c - 1.0)) * (c if n else 1.0)
    middle = step * middle * np.exp(-z)
    w = np.where((x > 18.0) & np.isfinite(x), x, 100.0)
    far = np.sqrt(0.5 * math.pi / w) * np.exp(-w) * _hankel_terms(float(n), w)[3]
    far = np.where(x <= 18.0, middle, np.where(np.isinf(x), 0.0, far))
    out = np.where(x > 1.0, far, near)
    return np.where(x == 0.0, math.inf, np.where(bad, math.nan, out)).astype(dtype)[()]


@of_parameters
@primitive(looks_through=False)
def iv(v: ArrayLike | TensorLike, z: ArrayLike | TensorLike) -> Any:
    """Return the modified Bessel function of the first kind, `I`, of a real order.

    Args:
        v: the order, any real number or array; it has no gradient.
        z: array or Tensor that broadcasts with `v`; from 0 where the order is no whole number.

    Returns:
        A Tensor of the common shape; an array for arrays. nan where it is complex.

    Raises:
        TypeError: in backward, if `v` requires grad.

    Its power series, and for large `z` Hankel's (DLMF 10.25.2 and 10.40.1).

    >>> rg.special.iv(2.0, np.array([0.0, 1.0])).round(4)
    array([0.    , 0.1357])
    """
    return _value("iv", v, z)


@of_parameters
@primitive(looks_through=False)
def ive(v: ArrayLike | TensorLike, z: ArrayLike | TensorLike) -> Any:
    """Return `exp(-|z|) iv(v, z)`, which does not overflow.

    Args:
        v: the order, any real number or array; it has no gradient.
        z: array or Tensor that broadcasts with `v`.

    Returns:
        A Tensor of the common shape; an array for arrays.

    Raises:
        TypeError: in backward, if `v` requires grad.

    >>> rg.special.ive(0.5, np.array([1.0, 1000.0])).round(4)
    array([0.345 , 0.0126])
    """
    return _value("ive", v, z)


@of_parameters
@primitive(looks_through=False)
def jv(v: ArrayLike | TensorLike, z: ArrayLike | TensorLike) -> Any:
    """Return the Bessel function of the first kind, `J`, of a real order.

    Args:
        v: the order, any real number or array; it has no gradient.
        z: array or Tensor that broadcasts with `v`; from 0 where the order is no whole number.

    Returns:
        A Tensor of the common shape; an array for arrays. nan where it is complex.

    Raises:
        TypeError: in backward, if `v` requires grad.

    Recurrence downward in the order (Miller; DLMF 3.6), and for large `z` Hankel's series.

    >>> rg.special.jv(0.0, np.array([0.0, 1.0])).round(4)
    array([1.    , 0.7652])
    """
    return _value("jv", v, z)


def i0(x: TensorT) -> TensorT:
    """Return the modified Bessel function of the first kind of order 0.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`, 1 at 0; an array for an array.

    >>> rg.special.i0(np.array([0.0, 1.0])).round(4)
    array([1.    , 1.2661])
    """
    return iv(0.0, x)


def i0e(x: TensorT) -> TensorT:
    """Return `exp(-|x|) i0(x)`, which does not overflow.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array.

    >>> rg.special.i0e(np.array([0.0, 1000.0])).round(4)
    array([1.    , 0.0126])
    """
    return ive(0.0, x)


def i1(x: TensorT) -> TensorT:
    """Return the modified Bessel function of the first kind of order 1.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array.

    >>> rg.special.i1(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.5652])
    """
    return iv(1.0, x)


def i1e(x: TensorT) -> TensorT:
    """Return `exp(-|x|) i1(x)`, which does not overflow.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array.

    >>> rg.special.i1e(np.array([0.0, 1000.0])).round(4)
    array([0.    , 0.0126])
    """
    return ive(1.0, x)


@at_least_single
@primitive(looks_through=False)
def k0(x: TensorT) -> TensorT:
    """Return the modified Bessel function of the second kind of order 0.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array. inf at 0, nan below.

    Its series to 1 (DLMF 10.31.2), then an integral (DLMF 10.32.9), from 18 Hankel's series.

    >>> rg.special.k0(np.array([0.1, 1.0])).round(4)
    array([2.4271, 0.421 ])
    """
    kernel = scipy_kernel("k0", x)
    out: Any = kernel(x) if kernel is not None else _k(0, x)
    return out


@at_least_single
@primitive(looks_through=False)
def k1(x: TensorT) -> TensorT:
    """Return the modified Bessel function of the second kind of order 1.

    Args:
        x: array or Tensor of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array. inf at 0, nan below.

    Its series to 1 (DLMF 10.31.1), then an integral (DLMF 10.32.9), from 18 Hankel's series.

    >>> rg.special.k1(np.array([0.1, 1.0])).round(4)
    array([9.8538, 0.6019])
    """
    kernel = scipy_kernel("k1", x)
    out: Any = kernel(x) if kernel is not None else _k(1, x)
    return out


_no_order = functools.partial(no_gradient_to, "the order of a Bessel function")
# fmt: off
defvjp(iv,  _no_order, lambda g, out, v, z: g * 0.5 * (iv(v - 1, z) + iv(v + 1, z)))
defvjp(ive, _no_order, lambda g, out, v, z: g * (0.5 * (ive(v - 1, z) + ive(v + 1, z))
                                                 - np.sign(z) * out))
defvjp(jv,  _no_order, lambda g, out, v, z: g * 0.5 * (jv(v - 1, z) - jv(v + 1, z)))
defvjp(k0, lambda g, out, x: -g * k1(x))
defvjp(k1, lambda g, out, x: -g * (k0(x) + out / x))
# fmt: on
