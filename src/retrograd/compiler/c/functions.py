"""NumPy's functions of single elements as C expressions.

In the texts `{0}`, `{1}`, `{2}` are the arguments, which are names or numbers, so that they may
stand more than once; `{f}` is the suffix of libm's functions of floats; `{T}` is the type, `{U}`
that without a sign, and `{s}` tells helpers of different types apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.compiler.c.types import has_type, is_float, type_name

_PLAIN = {
    np.add: "{0} + {1}", np.subtract: "{0} - {1}", np.multiply: "{0} * {1}",
    np.negative: "-{0}", np.positive: "{0}", np.square: "{0} * {0}", np.conjugate: "{0}",
}  # fmt: skip

_COMPARISONS = {
    np.greater: "{0} > {1}", np.greater_equal: "{0} >= {1}", np.less: "{0} < {1}",
    np.less_equal: "{0} <= {1}", np.equal: "{0} == {1}", np.not_equal: "{0} != {1}",
    np.logical_and: "{0} != 0 && {1} != 0", np.logical_or: "{0} != 0 || {1} != 0",
    np.logical_xor: "({0} != 0) != ({1} != 0)", np.logical_not: "{0} == 0",
}  # fmt: skip

# libm's functions of the same name, but for the letters that NumPy writes out
_LIBM = {
    name: f"{name.replace('arc', 'a')}{{f}}({{0}})"
    for name in (
        "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin", "cos",
        "tan",
        "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
        "floor", "ceil", "trunc", "rint",
    )
}  # fmt: skip

FLOATS: dict[Any, str] = {
    **_PLAIN,
    **_COMPARISONS,
    **{getattr(np, name): text for name, text in _LIBM.items()},
    np.divide: "{0} / {1}",
    np.reciprocal: "1 / {0}",
    np.absolute: "fabs{f}({0})",
    np.fabs: "fabs{f}({0})",
    np.arctan2: "atan2{f}({0}, {1})",
    np.hypot: "hypot{f}({0}, {1})",
    np.power: "pow{f}({0}, {1})",
    np.float_power: "pow{f}({0}, {1})",
    np.fmod: "fmod{f}({0}, {1})",
    np.copysign: "copysign{f}({0}, {1})",
    np.nextafter: "nextafter{f}({0}, {1})",
    np.fmax: "fmax{f}({0}, {1})",
    np.fmin: "fmin{f}({0}, {1})",
    # NumPy's give nan where one of the two is
    np.maximum: "({0} > {1} || {0} != {0}) ? {0} : {1}",
    np.minimum: "({0} < {1} || {0} != {0}) ? {0} : {1}",
    np.sign: "({0} > 0) ? 1 : ({0} < 0) ? -1 : {0} - {0}",  # of a zero 0, of nan nan
    np.isnan: "isnan({0}) != 0",
    np.isinf: "isinf({0}) != 0",
    np.isfinite: "isfinite({0}) != 0",
    np.signbit: "signbit({0}) != 0",
    np.heaviside: "({0} != {0}) ? {0} : ({0} == 0) ? {1} : ({0} > 0)",
    np.degrees: "{0} * ({T})57.29577951308232",
    np.rad2deg: "{0} * ({T})57.29577951308232",
    np.radians: "{0} * ({T})0.017453292519943295",
    np.deg2rad: "{0} * ({T})0.017453292519943295",
    np.ldexp: "ldexp{f}({0}, (int)({1}))",
    np.logaddexp: "log_add_exp{s}({0}, {1})",
    np.logaddexp2: "log_add_exp2{s}({0}, {1})",
    np.remainder: "remainder_of{s}({0}, {1})",
    np.floor_divide: "floor_of_quotient{s}({0}, {1})",
    np.spacing: "spacing_of{s}({0})",
}

# signed numbers are added as unsigned ones, since C leaves open what an overflow gives
INTEGERS: dict[Any, str] = {
    **_COMPARISONS,
    np.add: "({T})(({U}){0} + ({U}){1})",
    np.subtract: "({T})(({U}){0} - ({U}){1})",
    np.multiply: "({T})(({W}){0} * ({W}){1})",
    np.square: "({T})(({W}){0} * ({W}){0})",
    np.negative: "({T})(0 - ({U}){0})",
    np.positive: "{0}",
    np.conjugate: "{0}",
    np.absolute: "({T})(({0} < 0) ? 0 - ({U}){0} : ({U}){0})",
    np.maximum: "({0} >= {1}) ? {0} : {1}",
    np.minimum: "({0} <= {1}) ? {0} : {1}",
    np.fmax: "({0} >= {1}) ? {0} : {1}",
    np.fmin: "({0} <= {1}) ? {0} : {1}",
    np.sign: "({T})(({0} > 0) - ({0} < 0))",
    np.bitwise_and: "({T})({0} & {1})",
    np.bitwise_or: "({T})({0} | {1})",
    np.bitwise_xor: "({T})({0} ^ {1})",
    np.invert: "({T})~{0}",
    np.floor: "{0}",
    np.ceil: "{0}",
    np.trunc: "{0}",
    np.isnan: "0",
    np.isinf: "0",
    np.isfinite: "1",
    np.floor_divide: "floor_of_quotient{s}({0}, {1})",
    np.remainder: "remainder_of{s}({0}, {1})",
    np.fmod: "({1} == 0 || {1} == -1) ? 0 : ({T})({0} % {1})",
    np.gcd: "divisor_of{s}({0}, {1})",
    np.lcm: "multiple_of{s}({0}, {1})",
    np.bitwise_count: "bits_of{s}({0})",
    # by more places than there are all are gone
    np.left_shift: "(({U}){1} < {bits}) ? ({T})(({W}){0} << {1}) : 0",
    np.right_shift: "(({U}){1} < {bits}) ? ({T})({0} >> {1}) : ({T})-({0} < 0)",
    np.power: "power_of{s}({0}, {1})",  # that of a negative exponent is an error
}

_UNSIGNED = {
    **INTEGERS,
    np.absolute: "{0}",
    np.sign: "({T})({0} != 0)",
    np.floor_divide: "({1} == 0) ? 0 : ({T})({0} / {1})",
    np.remainder: "({1} == 0) ? 0 : ({T})({0} % {1})",
    np.fmod: "({1} == 0) ? 0 : ({T})({0} % {1})",
    np.right_shift: "({1} < {bits}) ? ({T})({0} >> {1}) : 0",
}

BOOLEANS: dict[Any, str] = {
    **_COMPARISONS,
    np.add: "{0} || {1}", np.multiply: "{0} && {1}", np.maximum: "{0} || {1}",
    np.minimum: "{0} && {1}", np.bitwise_and: "{0} && {1}", np.bitwise_or: "{0} || {1}",
    np.bitwise_xor: "{0} != {1}", np.invert: "!{0}", np.absolute: "{0}", np.isnan: "0",
    np.isinf: "0", np.isfinite: "1", np.conjugate: "{0}",
    np.fmax: "{0} || {1}", np.fmin: "{0} && {1}",
}  # fmt: skip

_LOG_ADD_EXP = """
static {T} log_add_exp{s}({T} x, {T} y) {{
    const {T} d = x - y;
    if (x == y) return x + ({T})0.69314718055994531;
    if (d > 0) return x + log1p{f}(exp{f}(-d));
    return (d <= 0) ? y + log1p{f}(exp{f}(d)) : d;
}}"""

_LOG_ADD_EXP2 = """
static {T} log_add_exp2{s}({T} x, {T} y) {{
    const {T} d = x - y, e = ({T})1.4426950408889634;
    if (x == y) return x + 1;
    if (d > 0) return x + e * log1p{f}(exp2{f}(-d));
    return (d <= 0) ? y + e * log1p{f}(exp2{f}(d)) : d;
}}"""

_REMAINDER = """
/* the remainder has the sign of y, as in Python */
static {T} remainder_of{s}({T} x, {T} y) {{
    const {T} r = fmod{f}(x, y);
    if (y == 0) return r;
    if (r == 0) return copysign{f}(0, y);
    return ((y < 0) != (r < 0)) ? r + y : r;
}}"""

_FLOOR_OF_QUOTIENT = """
static {T} floor_of_quotient{s}({T} x, {T} y) {{
    const {T} r = fmod{f}(x, y);
    {T} q = (x - r) / y, whole;
    if (y == 0) return x / y;
    if (r != 0 && ((y < 0) != (r < 0))) q -= 1;
    if (q == 0) return copysign{f}(0, x / y);
    whole = floor{f}(q);
    return (q - whole > ({T})0.5) ? whole + 1 : whole;
}}"""

_WHOLE_FLOOR = """
/* rounded down; of a division by 0 it is 0, as in NumPy */
static {T} floor_of_quotient{s}({T} x, {T} y) {{
    if (y == 0) return 0;
    if (y == -1) return ({T})(0 - ({U})x);
    return ({T})(x / y - (x % y != 0 && (x < 0) != (y < 0)));
}}"""

_WHOLE_REMAINDER = """
/* the remainder has the sign of y; of a division by 0 it is 0, as in NumPy */
static {T} remainder_of{s}({T} x, {T} y) {{
    {T} r;
    if (y == 0 || y == -1) return 0;
    r = ({T})(x % y);
    return (r != 0 && (r < 0) != (y < 0)) ? ({T})(r + y) : r;
}}"""

_SPACING = """
/* how far the next number is, away from zero */
static {T} spacing_of{s}({T} x) {{
    const {T} size = fabs{f}(x);
    const {T} next = nextafter{f}(size, INFINITY) - size;
    if (isinf(x)) return NAN;
    return (x < 0) ? -next : next;
}}"""

_DIVISOR = """
static {T} divisor_of{s}({T} x, {T} y) {{
    {U} a = {size_x}, b = {size_y};
    while (a != 0) {{
        const {U} rest = ({U})(b % a);
        b = a;
        a = rest;
    }}
    return ({T})b;
}}"""

_MULTIPLE = """
static {T} multiple_of{s}({T} x, {T} y) {{
    const {U} m = {size_x}, n = {size_y};
    {U} a = m, b = n;
    while (a != 0) {{
        const {U} rest = ({U})(b % a);
        b = a;
        a = rest;
    }}
    return (b == 0) ? 0 : ({T})(({W})(m / b) * n);
}}"""

_BITS = """
static uint8_t bits_of{s}({T} x) {{
    {U} left = {size_x};
    uint8_t n = 0;
    for (; left != 0; left = ({U})(left & (left - 1))) n++;
    return n;
}}"""

_POWER = """
static {T} power_of{s}({T} x, {T} y) {{
    {W} result = 1, factor = ({W})x;
    for (; y != 0; y = ({T})(y >> 1)) {{
        if (y & 1) result *= factor;
        factor *= factor;
    }}
    return ({T})result;
}}"""

_HELPERS = {
    np.spacing: (_SPACING, ""), np.gcd: ("", _DIVISOR), np.lcm: ("", _MULTIPLE),
    np.bitwise_count: ("", _BITS), np.power: ("", _POWER),
    np.logaddexp: (_LOG_ADD_EXP, ""), np.logaddexp2: (_LOG_ADD_EXP2, ""),
    np.remainder: (_REMAINDER, _WHOLE_REMAINDER),
    np.floor_divide: (_FLOOR_OF_QUOTIENT, _WHOLE_FLOOR),
}  # fmt: skip

_TABLES = {"f": FLOATS, "i": INTEGERS, "u": _UNSIGNED, "b": BOOLEANS}


def has_form(ufunc: Any, dtype: np.dtype[Any]) -> bool:
    """Tell whether a function has a C expression for numbers of a dtype."""
    return has_type(dtype) and ufunc in _TABLES[dtype.kind]


def expression(ufunc: Any, args: list[str], dtype: np.dtype[Any]) -> str:
    """Return a function of elements as a C expression.

    Args:
        ufunc: the function.
        args: names or numbers of `dtype`.
        dtype: in which it computes.
    """
    return _TABLES[dtype.kind][ufunc].format(*args, **_words(dtype))


def helper(ufunc: Any, dtype: np.dtype[Any]) -> str:
    """Return the C function that the expression calls, besides those of libm, or ""."""
    real, whole = _HELPERS.get(ufunc, ("", ""))
    shared = ufunc in (np.gcd, np.lcm, np.bitwise_count, np.power)  # by those without a sign
    text = real if is_float(dtype) else whole if dtype.kind == "i" or shared else ""
    return text.format(**_words(dtype)).strip()


def _words(dtype: np.dtype[Any]) -> dict[str, str]:
    name = type_name(dtype)
    unsigned = name if name.startswith("u") else f"u{name}"
    return {
        "T": name,
        "U": unsigned,
        # shorter numbers would be multiplied as int, which may overflow
        "W": unsigned if dtype.itemsize >= 4 else "uint32_t",
        "f": "f" if name == "float" else "",
        "bits": str(8 * dtype.itemsize),
        **{f"size_{x}": _size_of(x, unsigned, dtype.kind == "i") for x in "xy"},
        "s": f"_{dtype.kind}{8 * dtype.itemsize}",
    }


def _size_of(name: str, unsigned: str, signed: bool) -> str:
    return (
        f"({unsigned})(({name} < 0) ? 0 - ({unsigned}){name} : ({unsigned}){name})"
        if signed
        else name
    )
