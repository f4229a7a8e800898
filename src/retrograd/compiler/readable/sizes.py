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
from typing import Any

import numpy as np

from retrograd.compiler.ir import Call, Program, Var
from retrograd.compiler.live import Live
from retrograd.compiler.readable.phrases import Ref
from retrograd.compiler.statements import Expression, Literal, Operation, numpy
from retrograd.engine import Array, Tensor, wrap

_TRIES = 24  # as many choices of axes are tried
_SAMPLE = 64  # elements: as many are kept of each argument


class Size(int):
    """A whole number that depends on the length of a batch.

    Args:
        value: what it is in the recording.
        formula: how it is computed.
    """

    formula: Expression

    def __new__(cls, value: int, formula: Expression) -> Size:
        made = super().__new__(cls, value)
        made.formula = formula
        return made

    def __repr__(self) -> str:
        return f"Size({int(self)}, {self.formula})"


class Ratio(float):
    """A number that depends on the length of a batch, such as `1 / n`.

    Args:
        value: what it is in the recording.
        formula: how it is computed.
    """

    formula: Expression

    def __new__(cls, value: float, formula: Expression) -> Ratio:
        made = super().__new__(cls, value)
        made.formula = formula
        return made

    def __repr__(self) -> str:
        return f"Ratio({float(self)}, {self.formula})"


@dataclass(slots=True)
class Example:
    """What is kept of the arguments of a first call, to record a function again.

    Args:
        structure: the tree of the arguments.
        leaves: its leaves; of an array some elements, its shape, and the Tensor if it is one.
    """

    structure: Any
    leaves: list[Any]

    @classmethod
    def of(cls, structure: Any, leaves: Sequence[Any]) -> Example:
        """Return what is kept of some arguments."""
        return cls(structure, [_Part.of(leaf) for leaf in leaves])

    def arrays(self) -> list[_Part]:
        """Return what is kept of those arguments that are arrays."""
        return [leaf for leaf in self.leaves if isinstance(leaf, _Part)]

    def make(self, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """Return leaves whose arrays have other shapes."""
        found = iter(shapes)
        return [v.make(next(found)) if isinstance(v, _Part) else v for v in self.leaves]


@dataclass(slots=True)
class _Part:
    """Some elements of an array."""

    values: Array
    shape: tuple[int, ...]
    trains: bool
    has_grad: bool

    @classmethod
    def of(cls, leaf: Any) -> Any:
        if not isinstance(leaf, (np.ndarray, np.generic, Tensor)):
            return leaf
        array = leaf._array if isinstance(leaf, Tensor) else np.asarray(leaf)
        trains = isinstance(leaf, Tensor) and leaf.requires_grad
        has_grad = isinstance(leaf, Tensor) and trains and leaf._grad is not None
        return cls(array.flat[:_SAMPLE].copy(), array.shape, trains, has_grad)

    def make(self, shape: tuple[int, ...]) -> Any:
        array = np.resize(self.values, shape) if self.values.size else np.empty(shape)
        array = array.astype(self.values.dtype, copy=False)
        if not self.trains:
            return array
        t = wrap(array)
        t.requires_grad, t._grad = True, np.zeros_like(array) if self.has_grad else None
        return t


@dataclass(slots=True)
class Sized:
    """A program whose numbers know what they depend on.

    Args:
        program: the program, with `Size` and `Ratio` among the arguments of its calls.
        size: stands for the length of the batch; None where nothing depends on one.
        source: the argument that has that length, and at which axis.
        formulas: how constants are computed that depend on it, with whether that is one number.
    """

    program: Program
    size: Var | None = None
    source: tuple[Var, int] | None = None
    formulas: dict[Var, tuple[Expression, bool]] = field(default_factory=dict)


def find_sizes(
    program: Program, example: Example, record: Callable[[list[Any]], Program]
) -> Sized | None:
    """Return a program that takes batches of any length, or None if there is no such.

    Args:
        program: a program without buffers.
        example: its arguments.
        record: records the function for other arguments, and returns such a program.
    """
    shapes = [part.shape for part in example.arrays()]
    if len(shapes) != len(program.args):
        return None
    fallback: Sized | None = None
    for growth in itertools.islice(_choices(shapes), _TRIES):
        i, axis = next(place for place, by in growth.items() if by == 1)
        n = shapes[i][axis]
        others = [
            tuple(length + growth.get((k, a), 0) for a, length in enumerate(shape))
            for k, shape in enumerate(shapes)
        ]
        try:
            with np.errstate(all="ignore"):
                other = record(example.make(others))
        except Exception:  # a function may refuse these shapes with any error
            continue
        size = Var("size", np.empty(()), stem="n")
        comparison = _Comparison(n, n + 1, Ref(size))
        found = comparison.compare(program, other)
        if found is not None:
            found.size, found.source = size, (program.args[i], axis)
            if comparison.differs:
                return found
            # perhaps only the rest of an argument is longer, which the function does not look at
            fallback = fallback or found
    return fallback


Growth = dict[tuple[int, int], int]  # by how much axes grow: argument and axis, and by how much


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
    for leading, multiples in ((True, False), (False, False), (True, True), (False, True)):
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
        factor, rest = divmod(b - a, m - n)
        if not rest and factor:
            offset = a - factor * n
            term = _times(factor, self.size)
            if not offset:
                return term
            return Operation("+" if offset > 0 else "-", term, Literal(abs(offset)))
        square = Operation("**", self.size, Literal(2))
        if a % (n * n) == 0 and b == a // (n * n) * m * m:
            return _times(a // (n * n), square)
        raise _Different

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
