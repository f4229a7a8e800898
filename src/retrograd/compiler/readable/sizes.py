"""Sizes that follow the batch: found by recording the function for another batch too.

A recording holds numbers: the shape that an array is brought to, by how many a mean divides. Which
of these come from the length of an argument nobody can tell from one recording; from two that
differ in that length alone one sees it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from retrograd.compiler.ir import Call, Program, Var
from retrograd.compiler.live import Live
from retrograd.compiler.readable.phrases import Ref
from retrograd.compiler.sample import Sample
from retrograd.compiler.statements import Expression, Literal, Operation, numpy

_TRIES = 24  # as many choices of axes are tried


class _WithFormula:
    """A number that depends on the length of a batch.

    Args:
        value: what it is in the recording.
        formula: how it is computed.
    """

    formula: Expression

    def __new__(cls, value: Any, formula: Expression) -> Self:
        made = super().__new__(cls, value)  # type: ignore[call-arg]
        made.formula = formula
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({super().__repr__()}, {self.formula})"


class Size(_WithFormula, int):
    """A whole number that depends on the length of a batch."""


class Ratio(_WithFormula, float):
    """A number that depends on the length of a batch, such as `1 / n`."""


Growth = dict[tuple[int, int], int]  # argument and axis, and how many batches long it is


@dataclass(slots=True)
class Sized:
    """A program whose numbers know what they depend on.

    Args:
        program: the program, with `Size` and `Ratio` among the arguments of its calls.
        size: stands for the length of the batch; None where nothing depends on one.
        source: the argument that has that length, and at which axis.
        growth: how many times that length axes of arguments have: argument and axis, and how many.
        formulas: how constants are computed that depend on it, with whether that is one number.
    """

    program: Program
    size: Var | None = None
    source: tuple[Var, int] | None = None
    growth: Growth = field(default_factory=dict)
    formulas: dict[Var, tuple[Expression, bool]] = field(default_factory=dict)


def find_sizes(
    program: Program, sample: Sample, record: Callable[[list[Any]], Program]
) -> Sized | None:
    """Return a program that takes batches of any length, or None if there is no such.

    Args:
        program: a program without buffers.
        sample: of its arguments.
        record: records the function for other arguments, and returns such a program.
    """
    shapes = [part.shape for part in sample.arrays()]
    if len(shapes) != len(program.args):
        return None
    fallback: Sized | None = None
    for growth in itertools.islice(_choices(shapes), _TRIES):
        i, axis = next(place for place, by in growth.items() if by == 1)
        n = shapes[i][axis]
        size = Ref(Var("size", np.empty(()), stem="n"))
        found, comparison = _compare(program, sample, record, growth, n, 1, size)
        if found is not None and not comparison.is_sure:
            again, _ = _compare(program, sample, record, growth, n, 3, size)
            if again is None or _texts(again) != _texts(found):
                continue
        if found is not None:
            found.size, found.source = size.var, (program.args[i], axis)
            found.growth = growth
            if comparison.differs:
                return found
            # perhaps only the rest of an argument is longer, which the function does not look at
            fallback = fallback or found
    return fallback


def _compare(
    program: Program, sample: Sample, record: Callable[[list[Any]], Program], growth: Growth,
    n: int, more: int, size: Ref,
) -> tuple[Sized | None, _Comparison]:  # fmt: skip
    """Return what comes of a comparison with a recording for a batch that has more elements."""
    shapes = [
        tuple(length + more * growth.get((k, a), 0) for a, length in enumerate(part.shape))
        for k, part in enumerate(sample.arrays())
    ]
    comparison = _Comparison(n, n + more, size)
    try:
        with np.errstate(all="ignore"):
            other = record(sample.make(shapes))
    except Exception:  # a function may refuse these shapes with any error
        return None, comparison
    return comparison.compare(program, other), comparison


def _texts(sized: Sized) -> list[str]:
    """Return all that calls are passed, with formulas in the place of numbers."""
    return [repr(call.change(lambda v: None if isinstance(v, Var) else v))
            for call in sized.program.calls]  # fmt: skip


def find_constants(program: Program, other: Program) -> list[Var]:
    """Return the arrays from outside that another recording has not: the function makes them.

    Args:
        program: a recorded program.
        other: a recording of the same function, in which such arrays are constants.
    """
    known = {id(v.array) for call in other.calls for v in call.vars() if v.kind == "captured"}
    found = (v for call in program.calls for v in call.vars())
    return [*{v: None for v in found if v.kind == "captured" and id(v.array) not in known}]


def _choices(shapes: Sequence[tuple[int, ...]]) -> Iterator[Growth]:
    """Yield which axes of which arguments may be those of a batch, the likeliest first.

    An axis may also be a multiple of the batch, as where all words of all sentences are in a row.
    """
    first = dict.fromkeys(shape[0] for shape in shapes if shape and shape[0] > 1)
    lengths = dict.fromkeys([*first, *(n for shape in shapes for n in shape if n > 1)])
    tried: list[Growth] = []
    for leading, multiples in ((True, False), (True, True), (False, False), (False, True)):
        for n in first if leading else lengths:
            places = [
                [(k, a, m // n) for a, m in enumerate(shape)
                 if (m == n or (multiples and m and m % n == 0)) and (a == 0 or not leading)]
                for k, shape in enumerate(shapes)
            ]  # fmt: skip
            options: list[list[tuple[int, int, int] | None]] = [[*at] or [None] for at in places]
            for chosen in itertools.product(*options):
                growth = {(p[0], p[1]): p[2] for p in chosen if p is not None}
                if 1 in growth.values() and growth not in tried:
                    tried.append(growth)
                    yield growth


class _Different(Exception):
    """Two recordings differ in more than a length."""


class _Comparison:
    """A comparison of two programs that were recorded for batches of two lengths."""

    def __init__(self, n: int, m: int, size: Expression) -> None:
        self.n, self.m, self.size = n, m, size
        self.pairs: dict[Var, Var] = {}
        self.formulas: dict[Var, tuple[Expression, bool]] = {}
        self.differs = False  # whether any number or any shape follows the length
        self.is_sure = True  # whether no number may follow it in another way as well

    def compare(self, one: Program, other: Program) -> Sized | None:
        """Return the first program with formulas for its numbers, or None."""
        if len(one.calls) != len(other.calls) or len(one.lives) != len(other.lives):
            return None
        try:
            for v, w in zip(one.args, other.args, strict=True):
                self.pairs[v] = w
            for v, w in zip(one.starts, other.starts, strict=True):
                self.pairs[v] = w
            calls = [self.call(*pair) for pair in zip(one.calls, other.calls, strict=True)]
            self.value(one.results, other.results)
        except (_Different, ValueError):
            return None
        return Sized(replace(one, calls=tuple(calls)), formulas=self.formulas)

    def call(self, one: Call, other: Call) -> Call:
        if (one.kind, one.fn, one.section) != (other.kind, other.fn, other.section):
            raise _Different
        if one.kwargs.keys() != other.kwargs.keys():
            raise _Different
        args = self.value(one.args, other.args)
        kwargs = {k: self.value(v, other.kwargs[k]) for k, v in one.kwargs.items()}
        if one.kind != "write":
            for v, w in zip(one.outs, other.outs, strict=True):
                if v.ndim != w.ndim or v.dtype != w.dtype:
                    raise _Different
                self.differs |= v.shape != w.shape
                self.pairs[v] = w
        return replace(one, args=args, kwargs=kwargs)

    def value(self, a: Any, b: Any) -> Any:
        if isinstance(a, Var):
            if not isinstance(b, Var):
                raise _Different
            if self.pairs.get(a, b) is not b and not _are_equal_constants(self.pairs[a], b):
                raise _Different
            if a not in self.pairs:
                self.pairs[a] = b
                self.outside(a, b)
            return a
        if isinstance(a, Live):
            if not isinstance(b, Live) or a.formula != b.formula:
                raise _Different
            return a
        if isinstance(a, slice):
            if not isinstance(b, slice):
                raise _Different
            return slice(*(self.value(getattr(a, k), getattr(b, k)) for k in _SLICE))
        if isinstance(a, (tuple, list)):
            if type(a) is not type(b) or len(a) != len(b):
                raise _Different
            return type(a)([self.value(x, y) for x, y in zip(a, b, strict=True)])
        if type(a) is not type(b):
            raise _Different
        if a is b or repr(a) == repr(b):
            return a
        if type(a) is int:
            return Size(a, self.integer(a, b))
        if type(a) is float:
            return Ratio(a, self.number(a, b))
        raise _Different

    def outside(self, v: Var, w: Var) -> None:
        """Compare arrays that no call makes."""
        if v.kind != w.kind or v.dtype != w.dtype or v.ndim != w.ndim:
            raise _Different
        if v.kind != "const":
            if v.array is not w.array:
                raise _Different
            return
        a, b = v.array, w.array
        if a.shape == b.shape and a.tobytes() == b.tobytes():
            return
        shape = self.value(a.shape, b.shape)
        first, second = (x.reshape(-1)[0].item() if x.size else 0 for x in (a, b))
        if a.size and b.size and (a == first).all() and (b == second).all():
            number: Any = first
            if first != second and v.dtype.kind == "f":
                exact = 4.0 * float(np.finfo(v.dtype).eps) if v.dtype != np.float64 else 1e-14
                number = Ratio(first, self.number(first, second, exact))
            elif first != second:
                number = self.value(first, second)
            self.formulas[v] = (full(shape, number, v.dtype), True)
        elif a.ndim == 1 and all(
            np.array_equal(x, np.arange(len(x), dtype=x.dtype)) for x in (a, b)
        ):
            made = numpy("arange", Literal(shape[0]))
            if v.dtype != np.arange(1).dtype:
                made = numpy("arange", Literal(shape[0]), dtype=v.dtype)
            self.formulas[v] = (made, False)
        else:
            raise _Different

    def integer(self, a: int, b: int) -> Expression:
        """Return a whole number as a formula of the length."""
        n, m = self.n, self.m
        square = Operation("**", self.size, Literal(2))
        for at_n, at_m, term in ((n, m, self.size), (n * n, m * m, square)):
            if a % at_n == 0 and b == a // at_n * at_m:
                return _times(a // at_n, term)
        factor, rest = divmod(b - a, m - n)
        if rest or not factor:
            raise _Different
        self.is_sure = False  # two points lie on many curves
        offset = a - factor * n
        term = _times(factor, self.size)
        return Operation("+" if offset > 0 else "-", term, Literal(abs(offset)))

    def number(self, a: float, b: float, exact: float = 1e-14) -> Expression:
        """Return a number as a formula of the length.

        Args:
            a: the number in the first recording.
            b: the number in the second one.
            exact: how far, relatively, rounding takes such numbers.
        """
        if a == int(a) and b == int(b):
            return self.integer(int(a), int(b))
        n, m, size = self.n, self.m, self.size
        if a and b and _near(1 / a, exact) and _near(1 / b, exact):
            return Operation("/", Literal(1), self.integer(round(1 / a), round(1 / b)))
        less = Operation("-", size, Literal(1))
        for at_n, at_m, by in (
            (n, m, size),
            (n - 1, m - 1, less),
            (math.sqrt(n), math.sqrt(m), Operation("**", size, Literal(0.5))),
            (n * n, m * m, Operation("**", size, Literal(2))),
            (n * (n - 1), m * (m - 1), Operation("*", size, less)),
        ):
            if math.isclose(a * at_n, b * at_m, rel_tol=exact):
                c = a * at_n
                return Operation("/", Literal(round(c) if _near(c, exact) else c), by)
            if at_n and at_m and math.isclose(a / at_n, b / at_m, rel_tol=exact):
                return Operation("*", Literal(a / at_n), by)
        raise _Different


def _near(value: float, exact: float) -> bool:
    """Tell whether a number is a whole one but for rounding."""
    return round(value) != 0 and math.isclose(value, round(value), rel_tol=exact)


_SLICE = ("start", "stop", "step")


def _times(factor: int, term: Expression) -> Expression:
    return term if factor == 1 else Operation("*", Literal(factor), term)


def _are_equal_constants(v: Var, w: Var) -> bool:
    if v.kind != "const" or w.kind != "const" or v.shape != w.shape or v.dtype != w.dtype:
        return False
    return bool(v.array.tobytes() == w.array.tobytes())


def full(shape: Any, number: Any, dtype: Any) -> Expression:
    """Return the call that makes an array of one number."""
    if isinstance(number, complex):
        return numpy("full", shape, number, dtype=dtype)
    known = {0.0: "zeros", 1.0: "ones"}.get(float(number))
    options = {} if dtype == np.float64 else {"dtype": dtype}
    if known and isinstance(number, (int, float, bool)) and math.copysign(1, number) > 0:
        return numpy(known, shape, **options)
    return numpy("full", shape, number, **({"dtype": dtype} if options else {}))
