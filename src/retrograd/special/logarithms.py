"""Logarithms and exponentials that keep their digits: entropies, logits, sums of exponentials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.registry import defvjp
from retrograd.rules.reductions import spread

Axis = int | tuple[int, ...] | None


def _inside(x: Any, bound: Any) -> Any:
    """Return 1 in the place of a bound that `x = 0` makes harmless."""
    return np.where((x == 0) & (bound <= 0), 1.0, bound)


@primitive
def expit(x: Any) -> Any:
    """Return `1 / (1 + exp(-x))`, the inverse of `logit`.

    >>> rg.special.expit(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    e = np.exp(-np.abs(x))
    return np.where(x < 0.0, e, 1.0) / (1.0 + e)


@primitive
def log_expit(x: Any) -> Any:
    """Return the logarithm of `expit(x)`, without overflow.

    >>> rg.special.log_expit(np.array([0.0, -1000.0])).round(6)
    array([-6.93147e-01, -1.00000e+03])
    """
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


@primitive
def logit(p: Any) -> Any:
    """Return `log(p / (1 - p))`, the inverse of `expit`; nan outside 0 to 1.

    >>> rg.special.logit(np.array([0.5, 0.75])).round(6)
    array([0.      , 1.098612])
    """
    # near 1/2 the quotient is near 1, whose logarithm would lose digits
    middle = np.clip(p, 0.25, 0.75)
    return np.where(
        np.abs(p - 0.5) < 0.25,
        np.log1p((2.0 * middle - 1.0) / (1.0 - middle)),
        np.log(p / (1.0 - p)),
    )


@primitive
def xlogy(x: Any, y: Any) -> Any:
    """Return `x * log(y)`, and 0 where `x` is 0.

    >>> rg.special.xlogy(np.array([0.0, 2.0]), np.array([0.0, 1.0]))
    array([0., 0.])
    """
    return x * np.log(_inside(x, y))


@primitive
def xlog1py(x: Any, y: Any) -> Any:
    """Return `x * log1p(y)`, and 0 where `x` is 0.

    >>> float(rg.special.xlog1py(np.array(2.0), np.array(1e-20)))
    2e-20
    """
    return x * np.log1p(np.where((x == 0) & (y <= -1), 0.0, y))


@primitive
def entr(x: Any) -> Any:
    """Return `-x * log(x)`; 0 at 0 and -inf below.

    >>> rg.special.entr(np.array([0.0, 0.5])).round(6)
    array([0.      , 0.346574])
    """
    positive = np.where(x > 0.0, x, 1.0)
    return np.where(x < 0.0, -math.inf, np.where(x > 0.0, -x * np.log(positive), 0.0))


@primitive
def rel_entr(x: Any, y: Any) -> Any:
    """Return `x * log(x / y)`; 0 where `x` is 0, inf where only `y` is, or either is below 0.

    >>> rg.special.rel_entr(np.array([0.0, 0.5]), np.array([1.0, 0.25])).round(6)
    array([0.      , 0.346574])
    """
    inside = (x > 0.0) & (y > 0.0)
    ratio = np.where(inside, x, 1.0) / np.where(inside, y, 1.0)
    value = np.where(inside, x * np.log(ratio), 0.0)
    return np.where(inside | ((x == 0.0) & (y >= 0.0)), value, math.inf)


def kl_div(x: Any, y: Any) -> Any:
    """Return `x * log(x / y) - x + y`, which is 0 where `x` is `y` and positive elsewhere.

    >>> float(rg.special.kl_div(np.array(0.5), np.array(0.5)))
    0.0
    """
    return rel_entr(x, y) - x + y


@primitive
def logsumexp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the logarithm of the sum of `exp(a)` over `axis` (None: over all), without overflow.

    >>> rg.special.logsumexp(np.array([1000.0, 1000.0])).round(6)
    np.float64(1000.693147)
    """
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.sum(np.exp(a - top), axis=axis, keepdims=True)
    out = np.where(total == 0.0, -math.inf, np.log(np.where(total == 0.0, 1.0, total)) + top)
    return out if keepdims else np.squeeze(out, axis=axis)


@primitive
def softmax(x: Any, axis: Axis = None) -> Any:
    """Return `exp(x)` divided by its sum over `axis` (None: over all).

    >>> rg.special.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@primitive
def log_softmax(x: Any, axis: Axis = None) -> Any:
    """Return the logarithm of the softmax over `axis` (None: over all), accurate where it is tiny.

    >>> rg.special.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _logsumexp_dx(g: Any, out: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    out = spread(out, a, axis, keepdims)
    return spread(g, a, axis, keepdims) * np.exp(a - np.where(np.isfinite(out), out, 0.0))


# fmt: off
defvjp(expit,       lambda g, out, x: g * out * expit(-x))
defvjp(log_expit,   lambda g, out, x: g * expit(-x))
defvjp(logit,       lambda g, out, p: g / (p * (1 - p)))
defvjp(xlogy,       lambda g, out, x, y: g * np.log(_inside(x, y)),
                    lambda g, out, x, y: g * x / _inside(x, y))
defvjp(xlog1py,     lambda g, out, x, y: g * np.log1p(np.where((x == 0) & (y <= -1), 0.0, y)),
                    lambda g, out, x, y: g * x / _inside(x, 1 + y))
defvjp(entr,        lambda g, out, x: -g * (np.log(x) + 1))
defvjp(rel_entr,    lambda g, out, x, y: g * (np.log(x / y) + 1),
                    lambda g, out, x, y: -g * x / y)
defvjp(logsumexp,   _logsumexp_dx)
defvjp(softmax,     lambda g, out, x, axis=None:
                    out * (g - np.sum(g * out, axis=axis, keepdims=True)))
defvjp(log_softmax, lambda g, out, x, axis=None:
                    g - np.exp(out) * np.sum(g, axis=axis, keepdims=True))
# fmt: on
