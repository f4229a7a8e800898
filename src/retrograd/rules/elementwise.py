"""Functions of each element by itself.

Constants are Python floats: a NumPy scalar would turn float32 into float64.
"""

import cmath
import math
from typing import Any

import numpy as np

from retrograd.engine import RULES, adapted, composed, defvjp, nograd, primitive, record

LN2, LN10, DEGREE = math.log(2), math.log(10), math.pi / 180


@primitive
def kinked(x: Any, where: Any) -> Any:
    """Return `x` itself, with the derivative nan `where` truth values of its shape say so.

    At a kink a rule gives a number that is the slope to neither side. What is made of it to second
    order would be wrong without a word: put into the rule at the right place, this makes it nan.
    """
    return x


def nonzero(x: Any) -> Any:
    """Return `x` to divide by: 1 where it is 0, with the derivative nan there."""
    zero = x == 0
    return np.where(zero, 1.0, kinked(x, zero))


@primitive
def unsettled(gradient: Any, x: Any, where: Any, axis: Any = (), adjoint: bool = False) -> Any:
    """Return a gradient of `x` itself, with the derivative nan by `x` where it is a guess.

    Args:
        gradient: the gradient, of the shape of `x`.
        x: what the kinks depend on.
        where: truth values of that shape that tell where the kinks are.
        axis: along which elements make one kink, such as a tie.
        adjoint: whether what comes in is a weight of a gradient that was a guess: then nothing is
            known where there is such a weight, otherwise where a weight comes back.
    """
    return gradient


def unsettle(gradient: Any, g: Any, where: Any, *arguments: Any, axis: Any = ()) -> Any:
    """Return a gradient that at kinks is the slope to no side, so that its derivative is nan there.

    Where `g`, which it was made of, does not vary there is no derivative: it is that of the pieces.

    Args:
        gradient: the gradient.
        g: the gradient of the output.
        where: truth values that tell where the kinks are.
        *arguments: what the kinks depend on.
        axis: along which elements make one kink.
    """
    if getattr(g, "requires_grad", False):
        for x in arguments:
            gradient = unsettled(gradient, x, where, axis)
    return gradient


def _unsettled_dx(
    g: Any, out: Any, gradient: Any, x: Any, where: Any, axis: Any = (), adjoint: bool = False
) -> Any:
    # in proportion to `g`, as all gradients are: derivatives along `x` are taken by that
    matters, total = where & ((out if adjoint else g) != 0), g
    if axis != ():
        matters = where & np.any(matters, axis=axis, keepdims=True)
        total = np.sum(np.where(where, g, 0.0), axis=axis, keepdims=True)
    # 1 elsewhere: the derivative by `total`, too, is nan only where it matters
    return np.where(matters, np.where(matters, math.nan, 1.0) * total, 0.0)


def times_sign(g: Any, x: Any) -> Any:
    """Return `g * sign(x)`: the gradient of a size, which at 0 is 0 and the slope to no side."""
    return unsettle(with_sign(g, x), g, x == 0, x)


@primitive
def with_sign(g: Any, x: Any) -> Any:
    """Return `g * sign(x)`, with the derivative 0 by `x`, which has one therefore."""
    return g * np.sign(x)


def in_dtype_of(out: Any, x: Any) -> Any:
    """Return an argument in the dtype of the result, in which NumPy computes; numbers as they are.

    A rule that computes with arguments alone loses digits, or wraps round, in a narrower one. Rules
    run on conjugates of complex numbers: that of -1 is on the other side of a branch cut.
    """
    if not hasattr(x, "dtype") or x.dtype == out.dtype:
        return x
    same = x.astype(out.dtype)
    return np.conjugate(same) if out.dtype.kind == "c" and x.dtype.kind != "c" else same


def _in_dtype_of_result(vjp: Any) -> Any:
    """Return a vjp of a function that may turn real numbers into complex ones."""

    def wide(g: Any, out: Any, *args: Any) -> Any:
        return vjp(g, out, *(in_dtype_of(out, x) for x in args))

    return wide


def _power_dx(g: Any, out: Any, x: Any, y: Any) -> Any:
    # at exponent 0 the gradient is 0, at base 0 too, where y * x ** (y - 1) would be nan
    x, y = in_dtype_of(out, x), in_dtype_of(out, y)
    if isinstance(y, (int, float)):
        return g * y * x ** (y - 1) if y else g * 0.0
    zero = x == 0
    exponent = kinked(np.broadcast_to(y - 1, out.shape), zero & (y <= 1))
    return g * y * np.power(np.where(zero & (y == 0), 1.0, x), exponent)


def _power_dy(g: Any, out: Any, x: Any, y: Any) -> Any:
    # at base 0 the gradient is 0, though the logarithm is infinite
    x = in_dtype_of(out, x)
    if isinstance(x, (int, float)):
        if x < 0 and out.dtype.kind == "c":
            return g * out * cmath.log(complex(x, -0.0))
        return g * out * (math.log(x) if x > 0 else math.nan if x else 0.0)
    return g * out * np.log(nonzero(x))


def _arctan2_dy(g: Any, out: Any, y: Any, x: Any) -> Any:
    y, x = in_dtype_of(out, y), in_dtype_of(out, x)
    return g * x / (x * x + y * y)


def _arctan2_dx(g: Any, out: Any, y: Any, x: Any) -> Any:
    return -_arctan2_dy(g, out, x, y)


def share_of_sum(x: Any, total: Any) -> Any:
    """Return how far to go from `x` to the logarithm `total` of a sum of powers that it is part of.

    It is `x - total`, 0 where `x` is inf, and -inf where `total` is -inf, as all its parts are.
    """
    endless = x == math.inf
    safe = np.where(endless | (total == -math.inf), 0.0, total)
    return np.where(endless, 0.0, x) - safe


@primitive
def sinc_slope(x: Any, order: int) -> Any:
    """Return the derivative of `np.sinc` of this order.

    Of `f(u) = sin(u) / u`, where `u = pi x`, the derivatives satisfy
    `u f_n = sin(u + n pi / 2) - n f_(n-1)`. Near 0 that would lose digits: there it is the series.
    """
    u = x * math.pi
    near = np.abs(u) < order + 2
    small, large = np.where(near, u, 0.0), np.where(near, order + 2.0, u)
    series = sum(
        small ** (2 * k - order) * ((-1) ** k / (2 * k + 1) / math.factorial(2 * k - order))
        for k in range((order + 1) // 2, 15 + 2 * order)
    )
    far = np.sin(large) / large
    for n in range(1, order + 1):
        far = (np.sin(large + n * math.pi / 2) - n * far) / large
    return np.where(near, series, far) * math.pi**order


def i1(x: Any) -> Any:
    """Return the derivative of `np.i0`: the mean of `exp(x cos t) cos t` over half a circle."""
    # the midpoint rule with 128 points is exact to the last digits
    cosines = np.cos((np.arange(128) + 0.5) * (math.pi / 128)).astype(x.dtype)
    return np.mean(np.exp(x[..., None] * cosines) * cosines, axis=-1)


def _where_finite(g: Any, x: Any) -> Any:
    if x.dtype.kind == "c":  # each part is replaced by itself
        real = np.where(np.isfinite(np.real(x)), np.real(g), 0.0)
        return real + 1j * np.where(np.isfinite(np.imag(x)), np.imag(g), 0.0)
    return np.where(np.isfinite(x), g, 0.0)


def _extremum_dx(g: Any, out: Any, x: Any, y: Any) -> Any:
    # all of g where x is the result, half of it where y is equal
    share = np.where(x == out, np.where(y == out, 0.5 * g, g), 0.0)
    return unsettle(share, g, x == y, x, y)


# fmt: off
defvjp(np.add,        lambda g, out, x, y: g,
                      lambda g, out, x, y: g)
defvjp(np.subtract,   lambda g, out, x, y: g,
                      lambda g, out, x, y: -g)
defvjp(np.multiply,   lambda g, out, x, y: g * y,
                      lambda g, out, x, y: g * x)
defvjp(np.divide,     lambda g, out, x, y: g / y,
                      lambda g, out, x, y: -g * out / y)
defvjp(np.power,      _power_dx, _power_dy)
defvjp(np.float_power, _power_dx, _power_dy)
defvjp(np.arctan2,    _arctan2_dy, _arctan2_dx)
defvjp(np.hypot,      lambda g, out, x, y: g * x / nonzero(out),
                      lambda g, out, x, y: g * y / nonzero(out))
defvjp(np.logaddexp,  lambda g, out, x, y: g * np.exp(share_of_sum(x, out)),
                      lambda g, out, x, y: g * np.exp(share_of_sum(y, out)))
defvjp(np.logaddexp2, lambda g, out, x, y: g * np.exp2(share_of_sum(x, out)),
                      lambda g, out, x, y: g * np.exp2(share_of_sum(y, out)))
defvjp(np.remainder,  lambda g, out, x, y: g,
                      lambda g, out, x, y: -g * np.floor_divide(x, y))
defvjp(np.fmod,       lambda g, out, x, y: g,
                      lambda g, out, x, y: -g * np.rint((x - out) / y))
defvjp(np.divmod,     lambda g, out, x, y: g[1],
                      lambda g, out, x, y: -g[1] * out[0], multi=True)
defvjp(np.copysign,   lambda g, out, x, y: times_sign(g, x) * np.copysign(1.0, y), None)
defvjp(np.heaviside,  None, lambda g, out, x, y: np.where(x == 0, g, 0.0))
defvjp(np.ldexp,      lambda g, out, x, y: np.ldexp(g, y), None)
defvjp(np.nextafter,  lambda g, out, x, y: g, None)

defvjp(np.negative,   lambda g, out, x: -g)
defvjp(np.positive,   lambda g, out, x: g)
defvjp(np.fabs,       lambda g, out, x: times_sign(g, x))
defvjp(unsettled,     lambda g, out, gradient, x, where, axis=(), adjoint=False:
                      unsettled(g, x, where, axis, not adjoint), _unsettled_dx, None)
defvjp(with_sign,     lambda g, out, slope, x: with_sign(g, x), None)
defvjp(kinked,        lambda g, out, x, where: np.where(where, math.nan, g), None)
defvjp(np.square,     lambda g, out, x: g * 2 * x)
defvjp(np.sqrt,       lambda g, out, x: g * 0.5 / out)
defvjp(np.cbrt,       lambda g, out, x: g / (3 * out * out))
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
defvjp(np.deg2rad,    lambda g, out, x: g * DEGREE)
defvjp(np.radians,    lambda g, out, x: g * DEGREE)
defvjp(np.rad2deg,    lambda g, out, x: g / DEGREE)
defvjp(np.degrees,    lambda g, out, x: g / DEGREE)
defvjp(np.modf,       lambda g, out, x: g[0], multi=True)
defvjp(np.frexp,      lambda g, out, x: np.ldexp(g[0], -out[1]), multi=True)

defvjp(np.i0,         lambda g, out, x: g * i1(x))
defvjp(np.sinc,       lambda g, out, x: g * sinc_slope(x, 1))
defvjp(sinc_slope,    lambda g, out, x, order: g * sinc_slope(x, order + 1))
defvjp(np.unwrap,     lambda g, out, p, discont=None, axis=-1, period=None: g)
defvjp(np.nan_to_num, lambda g, out, x, nan=0.0, posinf=None, neginf=None:
                      _where_finite(g, x), analytic=False)
defvjp(np.where, None, lambda g, out, condition, x, y: np.where(condition, g, 0.0),
                       lambda g, out, condition, x, y: np.where(condition, 0.0, g))
# fmt: on

for _extremum in (np.maximum, np.minimum, np.fmax, np.fmin):
    defvjp(_extremum, _extremum_dx, lambda g, out, x, y: _extremum_dx(g, out, y, x))

nograd(
    np.sign, np.floor, np.ceil, np.trunc, np.fix, np.rint, np.round, np.around, np.floor_divide,
    np.spacing, np.gcd, np.lcm, np.left_shift, np.right_shift, np.greater,
    np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.logical_and,
    np.logical_or, np.logical_xor, np.logical_not, np.bitwise_and, np.bitwise_or, np.bitwise_xor,
    np.invert, np.isfinite, np.isinf, np.isnan, np.isneginf, np.isposinf, np.isclose, np.signbit,
    np.isreal, np.iscomplex, np.bitwise_count, np.packbits, np.unpackbits, np.zeros_like,
    np.ones_like, np.empty_like,
)  # fmt: skip


# Bounds: an element that is equal to a bound is within


def _clip_dx(g: Any, out: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    if a_min is not None:
        g = np.where(a >= a_min, g, 0.0)
    return g if a_max is None else np.where(a <= a_max, g, 0.0)


def _clip_dmin(g: Any, out: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    # the lower bound is clipped itself: where the bounds cross, the upper one is the result
    return _clip_dx(np.where(a < a_min, g, 0.0), out, a_min, a_max=a_max)


def _clip_dmax(g: Any, out: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    return np.where((a if a_min is None else np.maximum(a, a_min)) > a_max, g, 0.0)


defvjp(np.clip, _clip_dx, _clip_dmin, _clip_dmax)


# `array.clip(low, high)` calls a ufunc, which NumPy has under no public name
_CLIP: Any = np._core.umath.clip  # type: ignore[attr-defined]
adapted(_CLIP)(lambda a, low, high: record(np.clip, a, low, high))


@adapted(np.clip)
def _clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None,
    max: Any = None,
) -> Any:  # fmt: skip
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return np.positive(a) if low is None and high is None else record(np.clip, a, low, high)


# fmt: off
adapted(np.where)(lambda condition, x=None, y=None:
    np.nonzero(condition) if x is None and y is None else record(np.where, condition, x, y))
# fmt: on

# Of a number outside of their real domain these are complex.
for _name in ("sqrt", "log", "log2", "log10", "power", "arccos", "arcsin", "arctanh"):
    defvjp(getattr(np.emath, _name), *map(_in_dtype_of_result, RULES[getattr(np, _name)].vjps))
composed(np.emath.logn)(lambda n, x: np.emath.log(x) / np.emath.log(n))
