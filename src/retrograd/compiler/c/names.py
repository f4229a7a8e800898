"""Names in C: like those of the program, but no word of the language or of its library."""

from __future__ import annotations

import itertools
import re

# keywords of C99, of what came after it, and of C++, which includes the headers
_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while bool true false complex imaginary
alignas alignof asm atomic constexpr generic noreturn nullptr static_assert thread_local typeof
and and_eq bitand bitor catch char8_t char16_t char32_t class co_await co_return co_yield compl
concept const_cast consteval constinit decltype delete dynamic_cast explicit export final friend
import module mutable namespace new noexcept not not_eq operator or or_eq override private
protected public reflexpr reinterpret_cast requires static_cast synchronized template this throw
try typeid typename using virtual wchar_t xor xor_eq
"""
# functions and macros of the headers, also of older and newer ones, and what compilers define
_LIBRARY = """
NAN INFINITY HUGE_VAL main
acos asin atan atan2 cos sin tan cosh sinh tanh acosh asinh atanh exp frexp ldexp log log10 modf
expm1 log1p logb exp2 log2 pow sqrt hypot cbrt ceil fabs floor fmod nearbyint rint lrint llrint
round lround llround trunc remainder remquo copysign nan nextafter nexttoward fdim fmax fmin fma
erf erfc lgamma tgamma ilogb scalbn scalbln signbit isnan isinf isfinite isnormal fpclassify gamma
j0 j1 jn y0 y1 yn drem finite scalb significand exp10 pow10 signgam math_errhandling abs labs
index rindex div ldiv imaxabs imaxdiv offsetof errno assert stdin stdout stderr signal random
isgreater isgreaterequal isless islessequal islessgreater isunordered
linux unix i386 near far min max
"""
_OWN = "state given part self data draw_bits"
_WORDS = f"{_KEYWORDS} {_LIBRARY} {_OWN}"
_TAKEN = {*_WORDS.split()} | {f"{word}{suffix}" for word in _WORDS.split() for suffix in ("f", "l")}

# what the texts of functions use; macros; the names that C keeps for its library and for types
_RESERVED = re.compile(
    r"[ijkrst]\d*|end|first|packed|I\d*|B\d+|[A-Z_]{2}[A-Z0-9_]*|(str|mem|wcs)[a-z]\w*|\w+_t"
    r"|\w+_[biuf]\d+"
)


class CNames:
    """The names of one scope, each given once."""

    def __init__(self) -> None:
        self._used = {*_TAKEN}

    def fresh(self, wish: str) -> str:
        """Return a name like a wish that nothing has yet."""
        stem = re.sub(r"[^0-9a-zA-Z_]", "_", wish).strip("_") or "value"
        if stem[0].isdigit() or _RESERVED.fullmatch(stem):
            stem = f"v_{stem}"
        name = stem
        if name in self._used:
            name = next(
                n for n in (f"{stem}_{i}" for i in itertools.count(2)) if n not in self._used
            )
        self._used.add(name)
        return name
