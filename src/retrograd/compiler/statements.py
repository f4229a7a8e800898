"""Expressions and statements as data: what a program consists of before anybody writes it down.

An expression is a small tree. A statement is one step of a program; it tells what it does, so that
nobody has to read generated text back. `writer` makes Python of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np


class Expression:
    """A value that a program computes or refers to."""

    __slots__ = ()

    def parts(self) -> Iterator[Expression]:
        """Yield the expression and all inside it."""
        yield self
        for field in fields(self):  # type: ignore[arg-type]
            yield from _expressions(getattr(self, field.name))


def _expressions(value: Any) -> Iterator[Expression]:
    if isinstance(value, Expression):
        yield from value.parts()
    elif isinstance(value, tuple):
        for part in value:
            yield from _expressions(part)


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """A variable of the program."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Expression):
    """A number, a dtype, a shape, a slice, text: what is written as it is."""

    value: Any

    def _key(self) -> tuple[type, str]:
        return type(self.value), repr(self.value)  # 1 is not 1.0, 0.0 is not -0.0, nan is nan

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, slots=True, eq=False)
class Bound(Expression):
    """An object of this process, which the writer gives a name that begins with `stem`."""

    stem: str
    value: Any


@dataclass(frozen=True, slots=True)
class NumPy(Expression):
    """A function of NumPy by its name, such as `linalg.inv`."""

    name: str

    @property
    def is_ufunc(self) -> bool:
        """Whether it is a ufunc, called as a whole and not by a method such as `reduce`."""
        return isinstance(getattr(np, self.name, None), np.ufunc)


@dataclass(frozen=True, slots=True)
class Tuple(Expression):
    """A tuple of expressions."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class List(Expression):
    """A list of expressions."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    """`of.name`."""

    of: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Index(Expression):
    """`of[index]`; slices stand in it as literals."""

    of: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Invoke(Expression):
    """A call `function(*args, **options)`."""

    function: Expression
    args: tuple[Expression, ...]
    options: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation(Expression):
    """`left symbol right`, such as `a + b`, `a is b`, `a or b`."""

    symbol: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Negative(Expression):
    """`-of`."""

    of: Expression


@dataclass(eq=False, slots=True)
class Buffer:
    """Memory that arrays of a program share, one after the other.

    Args:
        name: its name in the program.
        size: how many elements it has.
        dtype: their dtype.
        users: how many arrays have been laid out in it; where it is one, that array is the
            buffer, and the name stands nowhere.
    """

    name: str
    size: int
    dtype: np.dtype[Any]
    users: int = 0


@dataclass(frozen=True, slots=True)
class Memory(Expression):
    """The first `size` elements of a buffer."""

    buffer: Buffer
    size: int


@dataclass(frozen=True, slots=True)
class Do:
    """Call a function that writes into `out`, such as `np.add(x, y, out=out)`."""

    call: Invoke
    out: Expression

    @property
    def is_single(self) -> bool:
        """Whether this is one call into NumPy, which cannot fail on values.

        Python is interrupted behind calls only, so that such a statement, once reached, was done.
        """
        function = self.call.function
        fills = isinstance(function, NumPy) and function.is_ufunc
        return (fills or is_dot(function)) and not _calls(*self.call.args)

    @property
    def takes_output_last(self) -> bool:
        """Whether NumPy takes the output as one more argument, which costs less than `out=`."""
        function = self.call.function
        if self.call.options:
            return False
        if isinstance(function, NumPy):  # NumPy deprecates it for maximum and minimum
            return function.is_ufunc and function.name not in ("maximum", "minimum")
        return is_dot(function)


@dataclass(frozen=True, slots=True)
class Assign:
    """Bind names, or an attribute, to a value: `a = value`, `a, b = value`."""

    targets: tuple[Expression, ...]
    value: Expression

    is_single = False


@dataclass(frozen=True, slots=True)
class Fill:
    """Copy a value into an array that is there: `target[...] = value`."""

    target: Expression
    value: Expression

    @property
    def is_single(self) -> bool:
        """Whether this is one call into NumPy, as for `Do`."""
        return not _calls(self.value)


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy an array into another: `np.copyto(target, value)`.

    Args:
        target: what is written.
        value: what is copied, broadcast to it.
        where: a mask of what to copy, or None for all.
        casts: whether any dtype becomes any other.
    """

    target: Expression
    value: Expression
    where: Expression | None = None
    casts: bool = False

    @property
    def is_single(self) -> bool:
        """Whether this is one call into NumPy, as for `Do`."""
        return not _calls(self.value) and (self.where is None or not _calls(self.where))


@dataclass(frozen=True, slots=True)
class Compute:
    """Run compiled code, which tells whether it has not: `part(state) and part_again()`.

    Args:
        part: the name of the code.
        state: the name of what it is called with.
        is_single: whether it cannot fail on values, as for `Do`.
    """

    part: str
    state: str
    is_single: bool


@dataclass(frozen=True, slots=True)
class Return:
    """End the run with a value."""

    value: Expression

    is_single = False


Statement: TypeAlias = Do | Assign | Fill | Copy | Compute | Return


def is_dot(function: Expression) -> bool:
    """Tell whether an expression is the method `x.dot`."""
    return isinstance(function, Attribute) and function.name == "dot"


def _calls(*expressions: Expression) -> bool:
    return any(isinstance(part, Invoke) for e in expressions for part in e.parts())


def method(of: Expression, name: str, *args: Any) -> Invoke:
    """Return the call of a method with literals, or expressions, as arguments."""
    given = tuple(a if isinstance(a, Expression) else Literal(a) for a in args)
    return Invoke(Attribute(of, name), given)


def numpy(name: str, *args: Any, **options: Any) -> Invoke:
    """Return the call of a NumPy function with literals, or expressions, as arguments."""
    given = tuple(a if isinstance(a, Expression) else Literal(a) for a in args)
    named = tuple((k, v if isinstance(v, Expression) else Literal(v)) for k, v in options.items())
    return Invoke(NumPy(name), given, named)
