"""Functions of single elements that are no ufuncs, as C expressions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.compiler.c.types import is_float, number

_FINITE = {4: "3.4028234663852886e+38f", 8: "1.7976931348623157e+308"}
_ZERO = "0"


def _rounded(dtype: Any, decimals: int = 0) -> str | None:
    f = "f" if dtype.itemsize == 4 else ""
    if not is_float(dtype):
        return "{0}" if decimals >= 0 else None
    if decimals == 0:
        return f"rint{f}({{0}})"
    by = number(10.0 ** abs(decimals), dtype)
    return f"rint{f}({{0}} * {by}) / {by}" if decimals > 0 else f"rint{f}({{0}} / {by}) * {by}"


def _without_nan(
    dtype: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> str | None:
    if not is_float(dtype):
        return "{0}"
    if not all(v is None or type(v) in (int, float) for v in (nan, posinf, neginf)):
        return None
    top = _FINITE[dtype.itemsize]
    most = top if posinf is None else number(float(posinf), dtype)
    least = f"-{top}" if neginf is None else number(float(neginf), dtype)
    instead = number(float(nan), dtype)
    return f"({{0}} != {{0}}) ? {instead} : isinf({{0}}) ? (({{0}} > 0) ? {most} : {least}) : {{0}}"


def _is_infinite(sign: str) -> Any:
    def text(dtype: Any) -> str:
        return f"isinf({{0}}) && {{0}} {sign} 0" if is_float(dtype) else _ZERO

    return text


def _sinc(dtype: Any) -> str | None:
    if not is_float(dtype):
        return None
    f, pi = "f" if dtype.itemsize == 4 else "", number(math.pi, dtype)
    return f"({{0}} == 0) ? 1 : sin{f}({pi} * {{0}}) / ({pi} * {{0}})"


def _angle(dtype: Any, deg: bool = False) -> str | None:
    if not is_float(dtype):
        return None
    half = number(180.0 if deg else math.pi, dtype)
    return f"({{0}} != {{0}}) ? {{0}} : signbit({{0}}) ? {half} : 0"


def _truncated(dtype: Any) -> str:
    return f"trunc{'f' if dtype.itemsize == 4 else ''}({{0}})" if is_float(dtype) else "{0}"


def _always(value: str) -> Any:
    return lambda dtype: value


# the argument is `{0}`; the text for its dtype and the other arguments, or None
OF_ONE: dict[Any, Any] = {
    np.round: _rounded, np.around: _rounded, np.fix: _truncated, np.nan_to_num: _without_nan,
    np.isposinf: _is_infinite(">"), np.isneginf: _is_infinite("<"), np.sinc: _sinc,
    np.angle: _angle, np.isreal: _always("1"), np.iscomplex: _always(_ZERO),
    np.real: _always("{0}"), np.imag: _always(_ZERO),
}  # fmt: skip

# new arrays of one value
FILLED: dict[Any, int] = {np.zeros_like: 0, np.ones_like: 1, np.empty_like: 0}


def is_close(rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> str:
    """Return whether two floats are equal but for rounding, as `np.isclose` has it."""
    double = np.dtype(float)
    near = number(float(atol), double), number(float(rtol), double)
    text = (
        "({0} == {1}) || (isfinite({1}) && "
        f"fabs({{0}} - {{1}}) <= {near[0]} + {near[1]} * fabs({{1}}))"
    )
    return f"{text} || ({{0}} != {{0}} && {{1}} != {{1}})" if equal_nan else text


_TO_WHOLE = """
/* a float as a whole number; out of range it is the least one, as processors have it */
static {T} whole_{s}({F} x) {{
    return (x >= {low} && x < {high}) ? ({T})x : {least};
}}"""

_TO_UNSIGNED = """
/* a float as a whole number without a sign; one below 0 is counted from the largest, one that is
   too large is 0 */
static uint64_t whole_{s}({F} x) {{
    if (x >= 0 && x < {high}) return (uint64_t)x;
    if (x >= {high}) return 0;
    return (x >= {low} && x < 0) ? (uint64_t)(int64_t)x : UINT64_C(9223372036854775808);
}}"""


def to_whole(source: Any, dtype: Any) -> tuple[str, str]:
    """Return how a float becomes a whole number: an expression, and the function that it calls."""
    # shorter numbers are those of 32 bits, cut off; one of 32 without a sign those of 64
    bits = 32 if dtype.itemsize < 4 or (dtype.kind == "i" and dtype.itemsize == 4) else 64
    wide = dtype.kind == "u" and dtype.itemsize == 8
    kind = "uint64_t" if wide else f"int{bits}_t"
    real = "float" if source.itemsize == 4 else "double"
    word = f"{real}_{kind}"
    high = number(2.0**64 if wide else 2.0 ** (bits - 1), source)
    text = (_TO_UNSIGNED if wide else _TO_WHOLE).format(
        T=kind, F=real, s=word, low=number(-(2.0 ** (bits - 1)), source), high=high,
        least=f"INT{bits}_MIN",
    )  # fmt: skip
    return f"whole_{word}({{0}})", text.strip()
