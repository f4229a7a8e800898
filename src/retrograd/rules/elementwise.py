"""Functions that act on each element by itself.

Constants are Python floats, which leave float32 as it is. At a kink the rule takes the value that
the table in the README gives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.registry import defvjp, nograd

LN2, LN10 = math.log(2), math.log(10)


def power_dx(g: Any, out: Any, x: Any, y: Any) -> Any:
    """Return the gradient to the base; at exponent 0 it is 0, also for base 0."""
    if isinstance(y, (int, float)):
        return g * y * x ** (y - 1) if y else g * 0.0
    return g * y * np.power(x, np.where(y == 0, 1, y - 1))


def tied(g: Any, wins: Any, ties: Any) -> Any:
    """Return the whole of `g` where an argument wins, half where it ties."""
    return np.where(ties, 0.5 * g, np.where(wins, g, 0.0))


# fmt: off
defvjp(np.add,        lambda g, out, x, y: g,
                      lambda g, out, x, y: g)
defvjp(np.subtract,   lambda g, out, x, y: g,
                      lambda g, out, x, y: -g)
defvjp(np.multiply,   lambda g, out, x, y: g * y,
                      lambda g, out, x, y: g * x)
defvjp(np.divide,     lambda g, out, x, y: g / y,
                      lambda g, out, x, y: -g * out / y)
defvjp(np.power,      power_dx,
                      lambda g, out, x, y: g * out * np.log(np.where(x == 0, 1.0, x)))
defvjp(np.arctan2,    lambda g, out, y, x: g * x / (x * x + y * y),
                      lambda g, out, y, x: -g * y / (x * x + y * y))
defvjp(np.logaddexp,  lambda g, out, x, y: g * np.exp(x - out),
                      lambda g, out, x, y: g * np.exp(y - out))
defvjp(np.maximum,    lambda g, out, x, y: tied(g, x > y, x == y),
                      lambda g, out, x, y: tied(g, y > x, x == y))
defvjp(np.minimum,    lambda g, out, x, y: tied(g, x < y, x == y),
                      lambda g, out, x, y: tied(g, y < x, x == y))
defvjp(np.remainder,  lambda g, out, x, y: g,
                      lambda g, out, x, y: -g * np.floor_divide(x, y))

defvjp(np.negative,   lambda g, out, x: -g)
defvjp(np.positive,   lambda g, out, x: g)
defvjp(np.abs,        lambda g, out, x: g * np.sign(x))
defvjp(np.square,     lambda g, out, x: g * 2 * x)
defvjp(np.sqrt,       lambda g, out, x: g * 0.5 / out)
defvjp(np.reciprocal, lambda g, out, x: -g * out * out)
defvjp(np.exp,        lambda g, out, x: g * out)
defvjp(np.expm1,      lambda g, out, x: g * (out + 1))
defvjp(np.exp2,       lambda g, out, x: g * (out * LN2))
defvjp(np.log,        lambda g, out, x: g / x)
defvjp(np.log1p,      lambda g, out, x: g / (1 + x))
defvjp(np.log2,       lambda g, out, x: g / (x * LN2))
defvjp(np.log10,      lambda g, out, x: g / (x * LN10))
defvjp(np.sin,        lambda g, out, x: g * np.cos(x))
defvjp(np.cos,        lambda g, out, x: -g * np.sin(x))
defvjp(np.tan,        lambda g, out, x: g * (1 + out * out))
defvjp(np.arcsin,     lambda g, out, x: g / np.sqrt(1 - x * x))
defvjp(np.arccos,     lambda g, out, x: -g / np.sqrt(1 - x * x))
defvjp(np.arctan,     lambda g, out, x: g / (1 + x * x))
defvjp(np.sinh,       lambda g, out, x: g * np.cosh(x))
defvjp(np.cosh,       lambda g, out, x: g * np.sinh(x))
defvjp(np.tanh,       lambda g, out, x: g * (1 - out * out))
defvjp(np.arcsinh,    lambda g, out, x: g / np.sqrt(1 + x * x))
defvjp(np.arccosh,    lambda g, out, x: g / np.sqrt(x * x - 1))
defvjp(np.arctanh,    lambda g, out, x: g / (1 - x * x))

defvjp(np.where, None, lambda g, out, condition, x, y: np.where(condition, g, 0.0),
                       lambda g, out, condition, x, y: np.where(condition, 0.0, g))
# fmt: on

nograd(np.sign, np.floor, np.ceil, np.trunc, np.rint, np.floor_divide)
nograd(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal)
nograd(np.logical_and, np.logical_or, np.logical_xor, np.logical_not)
nograd(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert)
nograd(np.isfinite, np.isinf, np.isnan, np.signbit)


def clip_dx(g: Any, out: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    """Return `g` within the bounds, a bound itself included."""
    if a_min is not None:
        g = np.where(a >= a_min, g, 0.0)
    return g if a_max is None else np.where(a <= a_max, g, 0.0)


def clip_dlow(g: Any, out: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    """Return `g` where the lower bound is the result; where the bounds cross, the upper is."""
    g = np.where(a < a_min, g, 0.0)
    return g if a_max is None else np.where(a_min <= a_max, g, 0.0)


def clip_dhigh(g: Any, out: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    """Return `g` where the upper bound is the result."""
    return np.where((a if a_min is None else np.maximum(a, a_min)) > a_max, g, 0.0)


defvjp(np.clip, clip_dx, clip_dlow, clip_dhigh)
