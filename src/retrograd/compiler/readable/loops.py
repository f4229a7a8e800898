"""Loops: equal parts of a program, one after the other, written once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrograd.compiler.ir import Program, Var
from retrograd.compiler.readable.items import Item
from retrograd.compiler.statements import Expression


@dataclass(slots=True, eq=False)
class Loop:
    items: list[Item]
    count: int = 1
    body: list[Item] = field(default_factory=list)
    before: list[tuple[Var, Expression]] = field(default_factory=list)
    same: list[list[Var]] = field(default_factory=list)

    def head(self, names: Any) -> Any: ...

    def change(self, how: Callable[[Expression], Expression | None]) -> None: ...

    def expressions(self) -> list[Expression]:
        return []


def roll(items: Sequence[Item], program: Program) -> list[Item | Loop]:
    return [*items]
