"""Names in C: like those of the program, but no word of the language and no function of libm."""

from __future__ import annotations

import itertools
import re

_WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while bool true false complex imaginary NAN INFINITY HUGE_VAL main
acos asin atan atan2 cos sin tan cosh sinh tanh acosh asinh atanh exp frexp ldexp log log10 modf
expm1 log1p logb exp2 log2 pow sqrt hypot cbrt ceil fabs floor fmod nearbyint rint lrint llrint
round lround llround trunc remainder remquo copysign nan nextafter nexttoward fdim fmax fmin fma
erf erfc lgamma tgamma ilogb scalbn scalbln signbit isnan isinf isfinite isnormal fpclassify gamma
j0 j1 jn y0 y1 yn drem finite scalb significand exp10 pow10 signgam math_errhandling abs labs
index rindex div ldiv memcpy memset state given part self data
"""
_TAKEN = {*_WORDS.split()} | {f"{word}{suffix}" for word in _WORDS.split() for suffix in ("f", "l")}


class CNames:
    """The names of one scope, each given once."""

    def __init__(self) -> None:
        self._used = {*_TAKEN}

    def fresh(self, wish: str) -> str:
        """Return a name like a wish that nothing has yet."""
        stem = re.sub(r"[^0-9a-zA-Z_]", "_", wish).strip("_") or "value"
        if stem[0].isdigit() or re.fullmatch(r"[ijkrst]\d*|end|first|packed|[A-Z_]+", stem):
            stem = f"v_{stem}"
        name = stem
        if name in self._used:
            name = next(
                n for n in (f"{stem}_{i}" for i in itertools.count(2)) if n not in self._used
            )
        self._used.add(name)
        return name
