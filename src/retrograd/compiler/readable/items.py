"""Statements for readers: calls as assignments, small ones inside larger ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.compiler.ir import Call, Flow, Program, Var
from retrograd.compiler.readable.phrases import (
    VIEWS,
    WRITES,
    Number,
    Ref,
    argument,
    map_expression,
    phrase,
    refs,
)
from retrograd.compiler.statements import (
    Attribute,
    Expression,
    Index,
    Invoke,
    Literal,
    Name,
    NumPy,
    Operation,
    numpy,
)

LONGEST = 66  # characters: what is longer, about, stands in a line of its own


@dataclass(slots=True, eq=False)
class Item:
    """A statement of a readable program.

    Args:
        targets: what it assigns to; what it changes where `symbol` or `place` is set.
        value: what is computed.
        call: the call that it comes from, which tells its section and the user's line.
        symbol: "+" for `target += value`, and so on; "" for an assignment.
        place: what is written in place, as an expression; None for an assignment.
    """

    targets: tuple[Var, ...]
    value: Expression
    call: Call
    symbol: str = ""
    place: Expression | None = None

    def reads(self) -> list[Var]:
        """Return the Vars that it reads, as often as it does."""
        inside = [] if self.place is None else refs(self.place)
        return refs(self.value) + inside


def itemise(program: Program) -> list[Item]:
    """Return the statements of a program, small calls written where their results are used."""
    return _Itemising(program).run()


class _Itemising:
    """Decides which results stand in lines of their own."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.flow = Flow(program.calls)
        self.written = self.flow.writes(program.calls)
        self.uses: Counter[Var] = Counter()
        for call in program.calls:
            self.uses.update(call.vars())
        self.results = set(program.wanted())
        self.inside: dict[Var, Item] = {}  # what is written where it is used
        self.through = {call.outs[0] for call in program.calls if call.kind == "write"}
        self.roles = self._find_roles()
        self.alone: set[Var] = set()
        self.positions: dict[Any, list[int]] = {}
        for i, call in enumerate(program.calls):
            if call.kind == "write":
                self.positions.setdefault(self.flow.memory(call.outs[0]), []).append(i)
        self.made_at = {v: i for i, call in enumerate(program.calls) for v in call.outs}
        self.last_use = self._find_last_uses()

    def run(self) -> list[Item]:
        """Return the items.

        What stands in a line of its own in one of many like turns does so in all: else one could
        not see that they are alike.
        """
        self._run()
        count = Counter(self.roles.values())
        alone = {
            role for v, role in self.roles.items() if v not in self.inside and not self._has_name(v)
        }
        self.alone = {v for v, role in self.roles.items() if role in alone and count[role] >= 3}
        return self._run()

    def _run(self) -> list[Item]:
        items = []
        self.inside.clear()
        for i, call in enumerate(self.program.calls):
            self.section = call.section
            item = self._item(call, i)
            if len(item.targets) == 1 and item.place is None and self._is_small(item):
                self.inside[item.targets[0]] = item
            else:
                items.append(item)
        return items

    def _find_roles(self) -> dict[Var, Any]:
        """Return what tells which calls may be turns of one loop: how they are made and used."""
        roles: dict[Var, Any] = {}
        for call in self.program.calls:
            if call.kind == "call" and call.section != "update" and call.view_of is None:
                v = call.outs[0]
                made_by = [id(getattr(self.flow.maker(a), "fn", None)) for a in call.args]
                roles[v] = (call.origin, call.section, call.fn, v.shape, *made_by)
        return roles

    def _item(self, call: Call, i: int) -> Item:
        def put_in(e: Expression) -> Expression | None:
            if not isinstance(e, Ref) or e.var not in self.inside:
                return None
            return self.inside[e.var].value

        if call.kind == "write":
            target = call.args[0]
            place = map_expression(put_in, Ref(target))
            value = map_expression(put_in, argument(call.args[1]))
            symbol = WRITES.get(call.fn, "")
            if not symbol and call.fn is not np.copyto:
                value = numpy(call.fn.__name__, place, value)
            if symbol and not isinstance(place, (Ref, Index)):
                value, symbol = Operation(symbol, place, value), ""
            return Item((target,), value, call, symbol, place)
        return Item(call.outs, map_expression(put_in, phrase(call)), call)

    def _is_small(self, item: Item) -> bool:
        """Tell whether a value is written where it is used."""
        (var,) = item.targets
        call = item.call
        if var in self.results or call.kind == "draw" or call.acts or var in self.through:
            return False
        is_view = call.view_of is not None
        if self.flow.memory(var) in self.written and not is_view:
            return False
        if not self._stays(item):
            return False
        if is_view and call.fn in VIEWS and _is_plain_view(item.value):
            return not self._has_name(var) or self.uses[var] <= 1
        if self.uses[var] != 1 or self._has_name(var) or var in self.alone:
            return False
        return self._length(item.value) <= LONGEST

    def _length(self, value: Expression) -> int:
        """Return about how many characters an expression takes."""
        length = 0
        update = self.section == "update"
        for part in value.parts():
            if isinstance(part, Ref):
                # updates of all parameters are to look alike
                name = "" if update else self.program.names.wishes.get(part.var)
                length += len(name or "abcdefgh")
            elif isinstance(part, (Literal, Number)):
                length += 2
            elif isinstance(part, (Name, NumPy)):
                length += len(getattr(part, "text", "") or getattr(part, "name", ""))
            elif isinstance(part, Operation):
                length += 3
            elif isinstance(part, Attribute):
                length += 1 + len(part.name)
        return length

    def _has_name(self, var: Var) -> bool:
        names = self.program.names
        if names.wishes.get(var):
            return True
        of = names.gradient_of.get(var)
        return of is not None and bool(names.wishes.get(of))

    def _stays(self, item: Item) -> bool:
        """Tell whether nothing that it reads is written before it is used last."""
        var = item.targets[0]
        start = self.made_at[var]
        last = self.last_use.get(var, start)
        for v in item.reads():
            places = self.positions.get(self.flow.memory(v), ())
            if any(start < at < last for at in places):
                return False
        return True

    def _find_last_uses(self) -> dict[Var, int]:
        """Return the position at which each Var is read last, also inside what uses it."""
        calls, last = self.program.calls, dict.fromkeys(self.results, len(self.program.calls))
        for i, call in reversed([*enumerate(calls)]):
            at = i
            if self._may_move(call):
                at = max([i, *(last.get(v, i) for v in call.outs)])
            for v in call.vars():
                last[v] = max(last.get(v, at), at)
        return last

    def _may_move(self, call: Call) -> bool:
        return call.kind == "call" and (call.view_of is not None or self.uses[call.outs[0]] == 1)


def _is_plain_view(value: Expression) -> bool:
    """Tell whether a view is short enough to be written wherever it is used."""
    return weight(value) <= 6 and _views(value)


def _views(value: Expression) -> bool:
    if isinstance(value, (Attribute, Index)):
        return _views(value.of)
    if isinstance(value, Invoke) and isinstance(value.function, Attribute):
        return _views(value.function.of)
    return isinstance(value, Ref)


def weight(value: Expression) -> int:
    """Return how many names and numbers stand in an expression."""
    return sum(isinstance(part, (Ref, Number, Literal, Name)) for part in value.parts())
