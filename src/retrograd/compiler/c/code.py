"""A C function as text, with what it is called with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from retrograd.compiler.ir import Var


@dataclass(slots=True)
class Function:
    """A C function and what it is called with.

    Args:
        name: its name.
        text: the function.
        arrays: the arrays that it is given, each from which element on.
        numbers: the numbers that are read anew, by their formulas.
        helpers: C functions that it calls.
        cost: about so many operations it does.
        returns: whether it returns a number that is not 0 where an argument is wrong.
        wide: whether it gains by the longest vectors; sums of a few of them do not.
    """

    name: str
    text: str
    arrays: list[tuple[Var, int]]
    numbers: list[Any] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)
    cost: int = 0
    returns: bool = False
    wide: bool = True
