"""Functions of each element by itself, and those that reduce axes.

Constants are Python floats, which leave float32 alone. The README has the values at kinks.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from retrograd.engine import RULES, call_numpy, composed, defvjp, nograd, primitive, record, spelled
from retrograd.engine.rule import UFUNC_METHODS

LN2, LN10, DEGREE = math.log(2), math.log(10), math.pi / 180


# 0 at exponent 0
def _power_dx(g: Any, out: Any, x: Any, y: Any) -> Any:
    if isinstance(y, (int, float)):
        return g * y * x ** (y - 1) if y else g * 0.0
    return g * y * np.power(np.where((x == 0) & (y == 0), 1.0, x), y - 1)


# 0 at base 0
def _power_dy(g: Any, out: Any, x: Any, y: Any) -> Any:
    if isinstance(x, (int, float)):
        return g * out * (math.log(x) if x > 0 else math.nan if x else 0.0)
    return g * out * np.log(np.where(x == 0, 1.0, x))


@primitive
def sinc_slope(x: Any, order: int) -> Any:
    """Return a derivative of `np.sinc`.

    `u f_n = sin(u + n pi / 2) - n f_(n-1)` for `u = pi x`; near 0 that loses digits.
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
    """Return the derivative of `np.i0`: the mean of `exp(x cos t) cos t`."""
    # the midpoint rule with 128 points is exact
    cosines = np.cos((np.arange(128) + 0.5) * (math.pi / 128)).astype(x.dtype)
    return np.mean(np.exp(x[..., None] * cosines) * cosines, axis=-1)


def _chosen_dx(g: Any, out: Any, x: Any, y: Any) -> Any:
    return np.where(x == out, np.where(y == out, 0.5 * g, g), 0.0)


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
defvjp(np.arctan2,    lambda g, out, y, x: g * x / (x * x + y * y),
                      lambda g, out, y, x: -g * y / (x * x + y * y))
defvjp(np.hypot,      lambda g, out, x, y: g * x / np.where(out == 0, 1.0, out),
                      lambda g, out, x, y: g * y / np.where(out == 0, 1.0, out))
defvjp(np.logaddexp,  lambda g, out, x, y: g * np.exp(x - out),
                      lambda g, out, x, y: g * np.exp(y - out))
defvjp(np.logaddexp2, lambda g, out, x, y: g * np.exp2(x - out),
                      lambda g, out, x, y: g * np.exp2(y - out))
defvjp(np.remainder,  lambda g, out, x, y: g,
                      lambda g, out, x, y: -g * np.floor_divide(x, y))
defvjp(np.fmod,       lambda g, out, x, y: g,
                      lambda g, out, x, y: -g * np.rint((x - out) / y))
defvjp(np.divmod,     lambda g, out, x, y: g[1],
                      lambda g, out, x, y: -g[1] * out[0], multi=True)
defvjp(np.copysign,   lambda g, out, x, y: g * np.sign(x) * np.copysign(1.0, y), None)
defvjp(np.heaviside,  None, lambda g, out, x, y: np.where(x == 0, g, 0.0))
defvjp(np.ldexp,      lambda g, out, x, y: np.ldexp(g, y), None)
defvjp(np.nextafter,  lambda g, out, x, y: g, None)

defvjp(np.negative,   lambda g, out, x: -g)
defvjp(np.positive,   lambda g, out, x: g)
defvjp(np.conjugate,  lambda g, out, x: g)
defvjp(np.abs,        lambda g, out, x: g * np.sign(x))
defvjp(np.fabs,       lambda g, out, x: g * np.sign(x))
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
                      np.where(np.isfinite(x), g, 0.0))
defvjp(np.where, None, lambda g, out, condition, x, y: np.where(condition, g, 0.0),
                       lambda g, out, condition, x, y: np.where(condition, 0.0, g))
composed(np.where)(lambda condition, x=None, y=None:
    np.nonzero(condition) if x is None and y is None else record(np.where, condition, x, y))
# fmt: on

for _extremum in (np.maximum, np.minimum, np.fmax, np.fmin):
    defvjp(_extremum, _chosen_dx, lambda g, out, x, y: _chosen_dx(g, out, y, x))

nograd(
    np.sign, np.floor, np.ceil, np.trunc, np.fix, np.rint, np.round, np.around, np.floor_divide,
    np.spacing, np.angle, np.imag, np.gcd, np.lcm, np.left_shift, np.right_shift, np.greater,
    np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.logical_and,
    np.logical_or, np.logical_xor, np.logical_not, np.bitwise_and, np.bitwise_or, np.bitwise_xor,
    np.invert, np.isfinite, np.isinf, np.isnan, np.isneginf, np.isposinf, np.isclose, np.signbit,
    np.isreal, np.iscomplex, np.bitwise_count, np.packbits, np.unpackbits,
)  # fmt: skip


def _clip_dx(g: Any, out: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    if a_min is not None:
        g = np.where(a >= a_min, g, 0.0)
    return g if a_max is None else np.where(a <= a_max, g, 0.0)


# fmt: off
# where the bounds cross, the upper is the result
defvjp(np.clip, _clip_dx,
       lambda g, out, a, a_min=None, a_max=None:
       _clip_dx(np.where(a < a_min, g, 0.0), out, a_min, a_max=a_max),
       lambda g, out, a, a_min=None, a_max=None:
       np.where((a if a_min is None else np.maximum(a, a_min)) > a_max, g, 0.0))
# fmt: on


@composed(np.clip)
def _clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None,
    max: Any = None,
) -> Any:  # fmt: skip
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return np.positive(a) if low is None and high is None else record(np.clip, a, low, high)


composed(np.real)(lambda val: np.positive(val))
composed(np.real_if_close)(lambda a, tol=100: np.positive(a))

# Where NumPy turns complex, a Tensor raises.
for _name in ("sqrt", "log", "log2", "log10", "power", "arccos", "arcsin", "arctanh"):
    defvjp(getattr(np.emath, _name), *RULES[getattr(np, _name)].vjps)
composed(np.emath.logn)(lambda n, x: np.emath.log(x) / np.emath.log(n))


def given(x: Any) -> Any:
    """Return a list or a number as an array."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def at_least(bound: int, fn: str, name: str, got: int) -> None:
    """Raise ValueError where an argument is too small."""
    if got < bound:
        raise ValueError(f"{fn} takes {name} of at least {bound}, not {got}")


def along(x: Any, axis: int, part: Any) -> Any:
    """Return `x[part]` on one axis."""
    return x[(slice(None),) * (axis % x.ndim) + (part,)]


def resized(x: Any, axes: Iterable[int], length: int = 1) -> tuple[int, ...]:
    """Return the shape with another length on some axes."""
    return tuple(length if i in axes else n for i, n in enumerate(x.shape))


def column(x: Any, axis: int, ndim: int) -> Any:
    """Return a vector along one of `ndim` axes."""
    return x.reshape(tuple(-1 if i == axis % ndim else 1 for i in range(ndim)))


def floating(x: Any) -> Any:
    """Return integers as floats."""
    return x if x.dtype.kind == "f" else x.astype(float)


def in_dtype(x: Any, dtype: Any) -> Any:
    """Return `x` in a dtype, if there is one."""
    return x if dtype is None else x.astype(dtype)


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """Return the reduced axes, from 0."""
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def count(x: Any, axis: Any) -> int:
    """Return how many elements become one."""
    return math.prod(x.shape[a] for a in axes_of(x, axis))


def spread(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Put reduced axes back with length 1."""
    return g if keepdims or axis is None else g.reshape(resized(x, axes_of(x, axis)))


def lined(x: Any, axes: tuple[int, ...]) -> Any:
    """Return `x` with axes made one, the last."""
    order = _last(x, axes)
    stay = [x.shape[i] for i in order[: x.ndim - len(axes)]]
    return x.transpose(order).reshape((*stay, math.prod(x.shape[i] for i in axes)))


def _last(x: Any, axes: tuple[int, ...]) -> list[int]:
    return sorted(range(x.ndim), key=axes.__contains__)


def shared(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Share `g` equally between the largest or smallest elements."""
    ties = x == spread(out, x, axis, keepdims)
    number = np.sum(ties, axis=axis, keepdims=True).astype(g.dtype)
    return np.where(ties, spread(g, x, axis, keepdims) / number, 0.0)


def inverse(axes: Sequence[int] | None) -> Any:
    """Return the order of axes that undoes `axes`."""
    if axes is None:
        return None
    order = [a % len(axes) for a in axes]
    return tuple(map(order.index, range(len(order))))


def _prod_dx(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    # all before times all after: zeros are exact
    axes = axes_of(x, axis)
    line = lined(x, axes)
    if x.size:
        one = np.ones_like(line[..., :1])
        before = np.cumprod(np.concatenate([one, line[..., :-1]], axis=-1), axis=-1)
        after = np.cumprod(np.concatenate([one, line[..., :0:-1]], axis=-1), axis=-1)
        line = before * after[..., ::-1]
    order = _last(x, axes)
    others = line.reshape(tuple(x.shape[i] for i in order)).transpose(inverse(order))
    return spread(g, x, axis, keepdims) * others


def root(x: Any, order: float = 2) -> Any:
    """Return `x ** (1 / order)`; at 0 it is 0 with gradient 0."""
    zero = x == 0
    safe = np.where(zero, 1.0, x)
    return np.where(zero, 0.0, np.sqrt(safe) if order == 2 else safe ** (1 / order))


def _deviation(x: Any, axis: Any) -> Any:
    return x - np.mean(x, axis=axis, keepdims=True)


# fmt: off
# `run` is the same without NumPy's Python layers
defvjp(np.sum,  lambda g, out, x, axis=None, keepdims=False: spread(g, x, axis, keepdims),
       run=lambda x, axis=None, keepdims=False: np.add.reduce(x, axis, keepdims=keepdims))
defvjp(np.mean, lambda g, out, x, axis=None, keepdims=False:
                spread(g, x, axis, keepdims) / max(count(x, axis), 1))
defvjp(np.max,  shared,
       run=lambda x, axis=None, keepdims=False: np.maximum.reduce(x, axis, keepdims=keepdims))
defvjp(np.min,  shared,
       run=lambda x, axis=None, keepdims=False: np.minimum.reduce(x, axis, keepdims=keepdims))
defvjp(np.prod, _prod_dx)
defvjp(np.var,  lambda g, out, x, axis=None, ddof=0, keepdims=False:
                spread(g, x, axis, keepdims) * 2 * _deviation(x, axis) / (count(x, axis) - ddof))
defvjp(np.std,  lambda g, out, x, axis=None, ddof=0, keepdims=False:
                spread(g / np.where(out == 0, 1.0, out), x, axis, keepdims)
                * _deviation(x, axis) / (count(x, axis) - ddof))

composed(np.ptp)(lambda a, axis=None, out=None, keepdims=False:
                 np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims))
# fmt: on

nograd(np.argmax, np.argmin, np.any, np.all, np.count_nonzero, np.nanargmax, np.nanargmin)


def held(a: Any, dtype: Any, where: Any, fill: Any) -> Any:
    """Return `a` in a dtype, with `fill` where elements do not count."""
    return in_dtype(a if where is True else np.where(where, a, fill), dtype)


def number_of(a: Any, axis: Any, keepdims: bool, where: Any, ddof: Any = 0) -> Any:
    """Return how many elements count, less `ddof`, at least 0."""
    number = np.sum(np.broadcast_to(where, a.shape), axis=axis, keepdims=keepdims)
    return np.maximum(number.astype(np.result_type(a.dtype, 0.0)) - ddof, 0.0)


def _total(
    fn: Any, unit: int, pair: np.ufunc, a: Any, axis: Any = None, dtype: Any = None,
    out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    found = record(fn, held(a, dtype, where, unit), axis=axis, keepdims=keepdims)
    return found if initial is None else pair(found, initial)


def _extreme(
    fn: Any, pair: np.ufunc, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    if initial is None:
        if where is not True:
            raise ValueError(f"{spelled(fn)} with where= needs initial=")
        return record(fn, a, axis=axis, keepdims=keepdims)
    a = held(a, None, where, initial)
    if not count(a, axis):
        return record(np.sum, a, axis=axis, keepdims=keepdims) + initial
    return pair(record(fn, a, axis=axis, keepdims=keepdims), initial)


def _variance(
    fn: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    ddof = ddof if correction is None else correction
    # 0 from the start: a square could be infinite
    a = held(a, dtype, where, 0)
    if where is True and mean is None:
        return record(fn, a, axis=axis, ddof=ddof, keepdims=keepdims)
    if mean is None:
        mean = np.mean(a, axis=axis, keepdims=True, where=where)
    squares = held(np.square(a - mean), None, where, 0)
    found = np.sum(squares, axis=axis, keepdims=keepdims)
    found = found / number_of(a, axis, keepdims, where, ddof)
    return found if fn is np.var else root(found)


composed(np.sum)(functools.partial(_total, np.sum, 0, np.add))
composed(np.prod)(functools.partial(_total, np.prod, 1, np.multiply))
composed(np.max, np.amax)(functools.partial(_extreme, np.max, np.maximum))
composed(np.min, np.amin)(functools.partial(_extreme, np.min, np.minimum))
composed(np.var)(functools.partial(_variance, np.var))
composed(np.std)(functools.partial(_variance, np.std))


@composed(np.mean)
def _mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *,
    where: Any = True,
) -> Any:  # fmt: skip
    if where is True:
        return record(np.mean, held(a, dtype, where, 0), axis=axis, keepdims=keepdims)
    total = np.sum(a, axis, dtype, keepdims=keepdims, where=where)
    return total / number_of(a, axis, keepdims, where)


def weighing(weights: Any, a: Any, axis: Any) -> Any:
    """Return weights, perhaps along `axis`, that broadcast with `a`."""
    weights, axes = given(weights), axes_of(a, axis)
    if weights.shape == a.shape:
        return weights
    if axis is None or weights.shape != tuple(a.shape[i] for i in axes):
        raise ValueError(f"weights {weights.shape} for axis {axis} of an array {a.shape}")
    weights = np.transpose(weights, sorted(range(len(axes)), key=axes.__getitem__))
    return weights.reshape(tuple(n if i in axes else 1 for i, n in enumerate(a.shape)))


@composed(np.average)
def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    a = given(a)
    if weights is None:
        result = np.mean(a, axis=axis, keepdims=keepdims)
        total = np.full((), count(a, axis), result.dtype)
    else:
        weights = weighing(weights, a, axis)
        total = np.sum(weights, axis=axis, keepdims=keepdims)
        result = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, np.broadcast_to(total, result.shape)) if returned else result


def _named(fn: Any) -> Any:
    """Answer `np.add.reduce` by `np.sum`, with another default axis."""
    return lambda a, axis=0, dtype=None, **options: call_numpy(
        fn, (a,), {"axis": axis, **options, **({} if dtype is None else {"dtype": dtype})}
    )


for _ufunc, _fn in (
    (np.add, np.sum), (np.multiply, np.prod), (np.maximum, np.max), (np.minimum, np.min),
    (np.logical_and, np.all), (np.logical_or, np.any),
):  # fmt: skip
    UFUNC_METHODS[_ufunc, "reduce"] = _named(_fn)
