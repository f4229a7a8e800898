"""Numbers that each run reads anew, such as a learning rate and the count of updates."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from retrograd.compiler.ir import Program, Var
from retrograd.compiler.live import Reading
from retrograd.compiler.readable.form import Parameter, Row
from retrograd.compiler.readable.items import Item, weight
from retrograd.compiler.readable.phrases import Ref, map_expression, refs
from retrograd.compiler.statements import Expression, Literal, Name, Operation
from retrograd.engine import Array


class Numbers:
    """The numbers of a program.

    Updates are counted in 0-d arrays, which a run increases in place: `t`, the number of this
    update, is made of it. Counts that are equal are one: they grow alike.

    Args:
        program: the program.
        items: its statements.

    Attributes:
        counts: for each reading of a count the name of the count, how much a run adds to it, and
            what the number of the first update of a run is called.
    """

    def __init__(self, program: Program, items: Sequence[Item]) -> None:
        used = {name for item in items for name in live_names(item.value)}
        self.readings = [reading for reading in program.lives if reading.name in used]
        advances = program.advances()
        known: dict[tuple[float, int], tuple[str, int, str]] = {}
        self.counts: dict[str, tuple[str, int, str]] = {}
        for reading in self.readings:
            if reading.stem == "updates":
                n = advances[reading.name]
                t = f"t_{len(known) + 1}" if known else "t"
                self.counts[reading.name] = known.setdefault(
                    (reading.value(), n), (reading.name, n, t)
                )

    def names(self) -> list[str]:
        """Return the names that nothing else may have."""
        counts = [name for count, _, t in self.counts.values() for name in (count, t)]
        return [*(reading.name for reading in self.readings), *counts]

    def parameters(self) -> list[Parameter]:
        """Return the parameters for the numbers."""
        found = []
        for reading in self.readings:
            if reading.name not in self.counts:
                found.append(Parameter(reading.name, "number", reading.value))
            elif self.counts[reading.name][0] == reading.name:
                found.append(
                    Parameter(
                        reading.name,
                        "count",
                        functools.partial(_array_of, reading),
                        (),
                        np.dtype(int),
                    )
                )
        return found

    def write(self, items: Sequence[Item]) -> list[Item]:
        """Return the items with formulas of the numbers, longer ones in lines of their own."""
        at = next((i for i, item in enumerate(items) if live_names(item.value)), None)
        if at is None:
            return [*items]
        while at and items[at - 1].call.section == items[at].call.section:
            at -= 1
        made: dict[Expression, Item] = {}
        here = items[at].call

        def hoist(e: Expression) -> Expression | None:
            names = live_names(e)
            if not names or refs(e) or weight(e) < 4:
                return None
            if e not in made:
                stem = "rate" if any(name.startswith("lr") for name in names) else "factor"
                var = Var("number", np.empty(()), stem=stem)
                made[e] = Item((var,), map_expression(self._change, e), here)
            return Ref(made[e].targets[0])

        for item in items:
            item.value = map_expression(self._change, map_expression(hoist, item.value))
        return [*items[:at], *made.values(), *items[at:]]

    def _change(self, e: Expression) -> Expression | None:
        """Return the number of an update in the place of `updates + 1`."""
        if not isinstance(e, Operation) or e.symbol != "+" or not isinstance(e.left, Name):
            return None
        if e.left.text not in self.counts or not isinstance(e.right, Literal):
            return None
        t, more = Name(self.counts[e.left.text][2]), e.right.value - 1
        return Operation("+", t, Literal(more)) if more else t

    def count(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows with those that count the updates."""
        found = [*rows]
        if not self.counts:
            return found
        at = next(i for i, row in enumerate(rows) if row.section == "update")
        made = []
        for name, n, t in dict.fromkeys(self.counts.values()):
            origin = rows[at].origin
            less = f" - {n - 1}" if n > 1 else ""
            texts = ((f"{name} += {n}", name, (name,)), (f"{t} = int({name}){less}", t, ()))
            for text, target, writes in texts:
                made.append(
                    Row(text, "update", (target,), (name,), (), None, origin, writes=writes)
                )
        return [*found[:at], *made, *found[at:]]


def _array_of(reading: Reading) -> Array:
    """Return a count as it is now, as a 0-d array."""
    return np.array(reading.value())


def live_names(e: Expression) -> list[str]:
    """Return the names of numbers in an expression, as often as they stand there."""
    return [part.text for part in e.parts() if isinstance(part, Name)]
