"""Expressions for readers as text: parentheses only where Python needs them, names for Vars."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from retrograd.compiler.ir import Var
from retrograd.compiler.readable.phrases import Helper, Number, Ref
from retrograd.compiler.statements import (
    Expression,
    Literal,
    Negative,
    Operation,
    Tuple,
)
from retrograd.compiler.writer import PythonWriter, literal

# how tightly operators bind; operands of operators that bind less stand in parentheses
_TIGHT = {"**": 8, "@": 6, "*": 6, "/": 6, "//": 6, "%": 6, "+": 5, "-": 5, "&": 4, "|": 3}
# numbers that say more as what they are
_KNOWN = {
    math.pi: "np.pi", 2 * math.pi: "(2 * np.pi)", math.exp(-100): "np.exp(-100)",
    math.sqrt(2 / math.pi): "np.sqrt(2 / np.pi)", math.sqrt(2): "np.sqrt(2)",
    math.sqrt(0.5): "np.sqrt(0.5)", math.log(2): "np.log(2)",
}  # fmt: skip
_NEGATIVE = 7
_COMPARES = 2


class ReadableWriter(PythonWriter):
    """Writes expressions of Refs.

    Args:
        name: returns the name of a Var.
        helper: returns the name of a function that is none of NumPy's, or of a generator.
    """

    forms: ClassVar[Mapping[type, Callable[[Any, Any], str]]] = {
        **PythonWriter.forms,
        Ref: lambda w, e: w.name(e.var),
        Number: lambda w, e: w.number(e.var),
        Helper: lambda w, e: w.helper(e.fn),
        Operation: lambda w, e: w._operation(e),
        Tuple: lambda w, e: w._tuple(e),
        Negative: lambda w, e: f"-{w._inside(e.of, _NEGATIVE)}",
        Literal: lambda w, e: w._literal(e.value),
    }

    def __init__(self, name: Callable[[Var], str], helper: Callable[[Any], str]) -> None:
        self.name, self.helper = name, helper
        self.formulas: dict[Var, Expression] = {}

    def number(self, var: Var) -> str:
        """Return the number that a constant is."""
        if var in self.formulas:
            return self.inner(self.formulas[var])
        first = var.array.reshape(-1)[0]
        # the shortest number that the dtype holds as this one
        value = float(str(first)) if first.dtype.kind == "f" else first.item()
        return literal(int(value) if type(value) is float and _is_whole(value) else value)

    def inner(self, value: Expression) -> str:
        """Return an expression as something is asked of it, such as an attribute."""
        text = self.expression(value)
        return f"({text})" if _binds(value) < 9 else text

    def _literal(self, value: Any) -> str:
        formula = getattr(value, "formula", None)
        if formula is not None:
            return self.expression(formula)
        if type(value) is tuple:
            return self._tuple(Tuple(tuple(map(Literal, value))))
        if type(value) is list:
            return f"[{', '.join(map(self._literal, value))}]"
        return _KNOWN.get(value) or literal(value) if type(value) is float else literal(value)

    def _subscript(self, value: Expression) -> str:
        if isinstance(value, Literal) and isinstance(value.value, slice):
            at = value.value
            ends = ["" if v is None else self._literal(v) for v in (at.start, at.stop)]
            step = at.step
            return ":".join(ends) + (f":{step}" if step not in (None, 1) else "")
        return super()._subscript(value)

    def _tuple(self, e: Tuple) -> str:
        """Return a tuple, one with slices as `np.s_[...]` writes it."""
        if any(isinstance(i, Literal) and isinstance(i.value, slice) for i in e.items):
            return f"np.s_[{', '.join(map(self._subscript, e.items))}]"
        inside = ", ".join(map(self.expression, e.items))
        return f"({inside},)" if len(e.items) == 1 else f"({inside})"

    def _operation(self, e: Operation) -> str:
        tight = _TIGHT.get(e.symbol, _COMPARES)
        left, right = self._inside(e.left, tight), self._inside(e.right, tight + 1)
        if tight == _COMPARES:
            left = self._inside(e.left, tight + 1)
        if e.symbol == "**":
            left, right = self._inside(e.left, tight + 1), self._inside(e.right, _NEGATIVE)
        if e.symbol == "@" or tight == 6:
            left = self._apart(e.left, left, e.symbol)
        return f"{left} {e.symbol} {right}"

    def _apart(self, inner: Expression, text: str, symbol: str) -> str:
        """Return the left operand in parentheses where `@` and `*` would stand side by side."""
        mixed = isinstance(inner, Operation) and (inner.symbol == "@") != (symbol == "@")
        return f"({text})" if mixed and _binds(inner) == 6 else text

    def _inside(self, value: Expression, tight: int) -> str:
        text = self.expression(value)
        return f"({text})" if _binds(value) < tight else text


def _is_whole(value: float) -> bool:
    return value.is_integer() and abs(value) < 1e6 and str(value) != "-0.0"


def _binds(value: Expression) -> int:
    """Return how tightly the parts of an expression stick together."""
    if isinstance(value, Literal):
        formula = getattr(value.value, "formula", None)
        if formula is not None:
            return _binds(formula)
        number: object = value.value
        negative = isinstance(number, (int, float)) and number < 0
        return _NEGATIVE if negative else 9
    if isinstance(value, Number):
        return 9
    if isinstance(value, Operation):
        return _TIGHT.get(value.symbol, _COMPARES)
    return _NEGATIVE if isinstance(value, Negative) else 9
