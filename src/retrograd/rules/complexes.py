"""Functions of complex numbers that are not analytic: conjugates, parts, sizes and angles.

The gradient of a complex number z is `dL/d(real z) + 1j * dL/d(imag z)`, as in PyTorch: the
direction in which the loss grows. The rules here are handed complex numbers as they are; those of
analytic functions are run on conjugates, see `Rule.conjugated`. The gradient of a real argument is
the real part of what its rule gives.
"""

from typing import Any

import numpy as np

from retrograd.engine import adapted, defvjp, escape, primitive, record
from retrograd.rules.axes import conjugate, is_complex
from retrograd.rules.elementwise import kinked, nonzero, times_sign


def square_size(x: Any) -> Any:
    """Return the squares of the sizes of numbers, smooth at 0."""
    return np.square(np.real(x)) + np.square(np.imag(x)) if is_complex(x) else x * x


def _abs_dx(g: Any, out: Any, x: Any) -> Any:
    if is_complex(x):
        return g * x / nonzero(out)
    return times_sign(g, x)


def _angle_dz(g: Any, out: Any, z: Any, deg: bool = False) -> Any:
    if deg:
        g = g * (180 / np.pi)
    # z / |z|^2 is 1 / conj(z): without squares, which overflow
    return g * 1j / np.conjugate(np.where(z == 0, 1.0, kinked(z, z == 0)))


@primitive
def unit(z: Any) -> Any:
    """Return complex numbers over their sizes, and 0 for 0: what `np.sign` is of them."""
    return np.sign(z)


def _unit_dz(g: Any, out: Any, z: Any) -> Any:
    turned = g - out * np.real(np.conjugate(out) * g)
    return np.where(z == 0, np.nan, turned / nonzero(np.abs(z)))


# fmt: off
defvjp(np.conjugate, lambda g, out, x: conjugate(g), analytic=False)
defvjp(np.real,      lambda g, out, val: g)
defvjp(np.imag,      lambda g, out, val: g * 1j)
defvjp(np.angle,     _angle_dz)
defvjp(np.abs,       _abs_dx)
defvjp(unit,         _unit_dz, analytic=False)
# fmt: on


@adapted(np.real)
def _real(val: Any) -> Any:
    return record(np.real, val) if is_complex(val) else np.positive(val)


@adapted(np.real_if_close)
def _real_if_close(a: Any, tol: float = 100) -> Any:
    if not is_complex(a):
        return np.positive(a)
    escape("np.real_if_close", a, "its dtype depends on values: write t.real.")
    close = np.isrealobj(np.real_if_close(getattr(a, "_array", a), tol))
    return np.real(a) if close else np.positive(a)


@adapted(np.sign)
def _sign(x: Any) -> Any:
    return unit(x) if is_complex(x) else record(np.sign, x)
