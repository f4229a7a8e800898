"""Numbers that a program reads anew in every run, such as a learning rate, and formulas of them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from retrograd.compiler.lines import TraceError
from retrograd.compiler.statements import (
    Attribute,
    Expression,
    Index,
    Literal,
    Name,
    Negative,
    Operation,
)
from retrograd.compiler.writer import PYTHON
from retrograd.lines import user_line


class Reading(NamedTuple):
    """A number outside that each run reads anew, such as a learning rate.

    Args:
        name: its name in the program.
        stem: the name that this was made of, "lr" for "lr_2".
        owner: what it is read from.
        path: how: a text is an attribute, a tuple `(key,)` an item.
    """

    name: str
    stem: str
    owner: Any
    path: tuple[Any, ...]

    def value(self) -> Any:
        """Return the number as it is now."""
        found = self.owner
        for step in self.path:
            found = getattr(found, step) if isinstance(step, str) else found[step[0]]
        return found

    def expression(self, owner: Expression) -> Expression:
        """Return how it is read from its owner."""
        found = owner
        for step in self.path:
            attribute = isinstance(step, str)
            found = Attribute(found, step) if attribute else Index(found, Literal(step[0]))
        return found


def _operators(symbol: str, compute: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    def apply(a: Any, b: Any) -> Any:
        if not all(isinstance(v, (Live, int, float)) for v in (a, b)):
            return NotImplemented
        x, y = (v if isinstance(v, Live) else Live(v, Literal(v)) for v in (a, b))
        return Live(compute(x.value, y.value), Operation(symbol, x.formula, y.formula))

    return apply, lambda self, other: apply(other, self)


class Live:
    """A number read anew in every run, or a formula of such.

    Args:
        value: the number in this run.
        formula: how a run computes it, from the names of readings.
    """

    __slots__ = ("formula", "value")

    def __init__(self, value: float, formula: Expression) -> None:
        self.value = value
        self.formula = formula

    @classmethod
    def of(cls, reading: Reading) -> Live:
        """Return the number that a reading gives."""
        return cls(reading.value(), Name(reading.name))

    __add__, __radd__ = _operators("+", operator.add)
    __sub__, __rsub__ = _operators("-", operator.sub)
    __mul__, __rmul__ = _operators("*", operator.mul)
    __truediv__, __rtruediv__ = _operators("/", operator.truediv)
    __pow__, __rpow__ = _operators("**", operator.pow)
    __gt__, __lt__ = _operators(">", operator.gt)[0], _operators("<", operator.lt)[0]

    def __neg__(self) -> Live:
        return Live(-self.value, Negative(self.formula))

    def __bool__(self) -> bool:
        text = PYTHON.expression(self.formula)
        raise TraceError(f"a branch on {text}, which changes between runs{user_line()}")
