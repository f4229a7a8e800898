"""Functions of complex numbers that are not analytic: conjugates, parts, sizes and angles.

The gradient of a complex number z is `dL/d(real z) + 1j * dL/d(imag z)`, as in PyTorch: the
direction in which the loss grows. The rules here are handed complex numbers as they are; those of
analytic functions are run on conjugates, see `Rule.conjugated`. The gradient of a real argument is
the real part of what its rule gives.
"""

import functools
from typing import Any

import numpy as np

from retrograd.engine import RULES, Rule, adapted, defvjp, escape, record
from retrograd.rules.axes import conjugate, is_complex
from retrograd.rules.elementwise import nonzero, times_sign


def square_size(x: Any) -> Any:
    """Return the squares of the sizes of numbers, smooth at 0."""
    return np.square(np.real(x)) + np.square(np.imag(x)) if is_complex(x) else x * x


def _abs_dx(g: Any, out: Any, x: Any) -> Any:
    if is_complex(x):
        return g * x / nonzero(out)
    return times_sign(g, x)


def _inverse_dx(slope: Any, g: Any, out: Any, x: Any) -> Any:
    """Return the gradient of an inverse function: the slope there is that of the function here."""
    g = -g if slope is np.sin else g  # a cosine falls
    return g / np.conjugate(slope(out))


def _angle_dz(g: Any, out: Any, z: Any, deg: bool = False) -> Any:
    if not is_complex(z):
        return np.where(z == 0, np.nan, g * 0.0)  # it is 0, or half a turn
    if deg:
        g = g * (180 / np.pi)
    # z / |z|^2 is 1 / conj(z): without squares, which overflow
    return np.where(z == 0, np.nan, g * 1j / np.conjugate(nonzero(z)))


def _sign_dx(g: Any, out: Any, x: Any) -> Any:
    """Return the gradient of complex numbers over their sizes: across them, not along."""
    turned = g - out * np.real(np.conjugate(out) * g)
    return np.where(x == 0, np.nan, turned / nonzero(np.abs(x)))


# fmt: off
defvjp(np.conjugate, lambda g, out, x: conjugate(g), analytic=False)
defvjp(np.real,      lambda g, out, val: g)
defvjp(np.imag,      lambda g, out, val: g * 1j if is_complex(val) else g * 0.0)
defvjp(np.angle,     _angle_dz)
defvjp(np.abs,       _abs_dx)
# fmt: on

RULES[np.sign].complex = Rule(np.sign, [_sign_dx])  # of real numbers there is no gradient

# The roots in the rules of these are on the wrong side of branch cuts for complex numbers, such as
# those that `np.emath.arcsin` makes of real ones. In terms of the result there is no cut.
for _fns, _slope in (
    ((np.arcsin, np.emath.arcsin), np.cos), ((np.arccos, np.emath.arccos), np.sin),
    ((np.arcsinh,), np.cosh), ((np.arccosh,), np.sinh),
):  # fmt: skip
    for _fn in _fns:
        RULES[_fn].complex = Rule(_fn, [functools.partial(_inverse_dx, _slope)])


@adapted(np.real)
def _real(val: Any) -> Any:
    return record(np.real, val) if is_complex(val) else _real_copy(val)


def _real_copy(x: Any) -> Any:
    """Return numbers that are real as they are, in memory of their own; truth values too."""
    return record(np.copy, x) if x.dtype.kind == "b" else np.positive(x)


@adapted(np.real_if_close)
def _real_if_close(a: Any, tol: float = 100) -> Any:
    if not is_complex(a):
        return _real_copy(a)
    escape("np.real_if_close", a, "its dtype depends on values: write t.real.")
    close = np.isrealobj(np.real_if_close(getattr(a, "_array", a), tol))
    return np.real(a) if close else np.positive(a)
