"""What loops of a readable program consist of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from retrograd.compiler.ir import Var
from retrograd.compiler.readable.items import Item
from retrograd.compiler.readable.phrases import Ref
from retrograd.compiler.statements import Expression

LEAST = 3  # so often something must be repeated to become a loop


@dataclass(frozen=True, slots=True)
class Turn(Expression):
    """A whole number that changes evenly: `first + by * i` in the turn `i` of a loop."""

    first: int
    by: int


@dataclass(frozen=True, slots=True)
class Element(Expression):
    """What an earlier loop has made in one of its turns.

    Args:
        var: what stands for it in the body of that loop.
        turn: which turn that was, in this turn; -1 is what there was before the loop.
    """

    var: Var
    turn: Turn


@dataclass(frozen=True, slots=True)
class Each(Expression):
    """One of several arrays, another one in each turn."""

    items: tuple[Var, ...]


@dataclass(slots=True, eq=False)
class Loop:
    """Statements that are repeated.

    Args:
        count: how often.
        body: the statements, of the first turn.
        before: what there is before the first turn, of what a turn hands on to the next.
        same: groups of Vars that one variable stands for, turn after turn.
        variable: counts the turns; None if nobody asks.
        counter: its first value, and by how much it grows.
        each: for arrays that are others in each turn, what stands for them.
        lists: what is collected, and in which list.
        starts: what there is before the first turn of what is handed on.
        from_start: of what is collected that which begins with what there was before.
    """

    count: int
    body: list[Item]
    before: list[tuple[Var, Expression]] = field(default_factory=list)
    same: list[list[Var]] = field(default_factory=list)
    variable: Var | None = None
    counter: Turn = field(default_factory=lambda: Turn(0, 1))
    each: dict[tuple[Var, ...], Var] = field(default_factory=dict)
    lists: dict[Var, Var] = field(default_factory=dict)
    starts: dict[Var, Expression] = field(default_factory=dict)
    from_start: set[Var] = field(default_factory=set)

    @property
    def call(self) -> Any:
        """The call that the first statement comes from."""
        return self.body[0].call

    def expressions(self) -> list[Expression]:
        """Return what is computed before the loop, and what it goes through."""
        tables = [Ref(v) for group in self.each for v in group]
        return [start for _, start in self.before] + tables


class Fail(Exception):
    """Parts are not equal enough to be one loop."""


@dataclass(slots=True)
class Made:
    """Where in a loop something is made."""

    loop: Loop
    turn: int
    var: Var  # what stands for it in the body


@dataclass(slots=True)
class Known:
    """What is known of the loops so far.

    Args:
        loops: the loops.
        places: where in them something is made.
        lists: the loops of which something is collected, by what that is.
        from_start: what is collected with what there was before the first turn.
        series: what a variable that is kept from turn to turn is at the beginning of each turn.
    """

    loops: list[Loop] = field(default_factory=list)
    places: dict[Var, Made] = field(default_factory=dict)
    lists: dict[Var, Loop] = field(default_factory=dict)
    from_start: set[Var] = field(default_factory=set)
    series: dict[Expression, list[tuple[Loop, Var, int]]] = field(default_factory=dict)

    def loop_of(self, var: Var) -> Loop:
        """Return the loop that has something in its body, or hands it on."""
        return next(loop for loop in self.loops if var in loop.starts or var in made_in(loop))


def made_in(loop: Loop) -> set[Var]:
    """Return what stands in the body of a loop."""
    return {v for item in loop.body for v in item.targets}
