"""Equal parts of a program made one, in terms of the turn."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.compiler.ir import Var
from retrograd.compiler.readable.items import Item
from retrograd.compiler.readable.phrases import Number, Ref, names_of_fields, refs
from retrograd.compiler.readable.sizes import full
from retrograd.compiler.readable.turns import LEAST, Each, Element, Fail, Known, Loop, Made, Turn
from retrograd.compiler.statements import Expression, Index, Literal, Operation

WORTH = 3  # statements: a loop over parameters with fewer is no shorter than they are
KEEPING = 1 << 20  # stands for a place behind the body


class Unifying:
    """Blocks of statements made one.

    Args:
        known: the loops so far.
        blocks: the blocks, turn by turn.
    """

    def __init__(self, known: Known, blocks: list[list[Item]]) -> None:
        self.known = known
        self.blocks = blocks
        self.section = blocks[0][0].call.section
        self.at: dict[Var, tuple[int, int, int]] = {
            v: (r, j, m)
            for r, block in enumerate(blocks)
            for j, item in enumerate(block)
            for m, v in enumerate(item.targets)
            if item.place is None
        }
        self.starts: dict[tuple[int, int], Expression] = {}
        self.previous: dict[tuple[int, int], Var] = {}
        self.kept: dict[tuple[Expression, Expression], Var] = {}
        self.series: list[tuple[Var, list[Expression]]] = []
        self.turns: Counter[Turn] = Counter()
        self.each: dict[tuple[Var, ...], Var] = {}
        self.collected: list[Var] = []
        self.from_start: list[Var] = []
        self.keeps = True

    def var(self, j: int, m: int) -> Var:
        """Return what stands for something in the body."""
        return self.blocks[0][j].targets[m]

    def run(self) -> Loop:
        """Return the loop."""
        body = [self._item(j) for j in range(len(self.blocks[0]))]
        if any(isinstance(item.value, Ref) and item.value.var.kind == "kept" for item in body):
            raise Fail  # a loop that begins one statement later needs no second name for it
        loop = Loop(len(self.blocks), body)
        for (j, m), prev in self.previous.items():
            loop.body.insert(0, Item((prev,), Ref(self.var(j, m)), body[j].call))
        for (j, m), start in self.starts.items():
            loop.starts[self.var(j, m)] = start
        for (start, value), var in self.kept.items():
            loop.starts[var] = start
            loop.body.append(Item((var,), value, body[-1].call))
        loop.before = [*loop.starts.items()]
        for j, item in enumerate(self.blocks[0]):
            if item.place is None:
                for m in range(len(item.targets)):
                    same = [block[j].targets[m] for block in self.blocks if j < len(block)]
                    loop.same.append(same)
        if self.turns:
            [(turn, _)] = self.turns.most_common(1)
            plain = abs(turn.by) == 1 and not self.each
            loop.counter = turn if plain else Turn(0, 1)
            loop.variable = Var("number", np.empty(()), stem="t" if not self.each else "i")
        loop.each = self.each
        for r, block in enumerate(self.blocks):
            for j, item in enumerate(block):
                if item.place is None:
                    for m, v in enumerate(item.targets):
                        self.known.places[v] = Made(loop, r, self.var(j, m))
        for v in self.collected:
            self.known.lists[v] = self.known.loop_of(v)
        self.known.from_start |= {*self.from_start}
        for var, values in self.series:
            for r, value in enumerate(values):
                self.known.series.setdefault(value, []).append((loop, var, r))
        self.known.loops.append(loop)
        return loop

    def _item(self, j: int) -> Item:
        items = [block[j] for block in self.blocks if j < len(block)]
        first = items[0]
        if len(items) < len(self.blocks) and first.place is not None:
            raise Fail
        if len({(it.symbol, it.place is None, len(it.targets)) for it in items}) > 1:
            raise Fail
        if len({it.call.kind for it in items}) > 1:
            raise Fail
        place = None
        targets = first.targets
        if first.place is not None:
            place = self.unify([it.place for it in items], j)  # type: ignore[misc]
            if isinstance(place, Each):
                targets = (self.each[place.items],)
            elif isinstance(place, Ref) and place.var in targets:
                pass
            else:
                raise Fail
        elif self.section != "update":
            shapes = {tuple(t.shape for t in it.targets) for it in items}
            if len(shapes) > 1:
                raise Fail
        value = self.unify([it.value for it in items], j)
        if len(items) < len(self.blocks):
            self._check_last(value)
        return Item(targets, value, first.call, first.symbol, place)

    def unify(self, es: Sequence[Expression], j: int, index: bool = False) -> Expression:
        """Return one expression that is each of these in its turn."""
        state = self._state()
        try:
            return self._same(es, j, index)
        except Fail:
            self._go_back(state)
        if (element := self._in_series(es)) is not None:
            return element
        if not self.keeps or index:
            raise Fail
        return self._keep(es, j)

    def _same(self, es: Sequence[Expression], j: int, index: bool) -> Expression:
        """Return one expression for expressions that are put together in one way."""
        first = es[0]
        if all(isinstance(e, (Ref, Number)) for e in es):
            return self._refs(es, j)  # type: ignore[arg-type]
        if len({type(e) for e in es}) > 1:
            raise Fail
        if isinstance(first, Literal):
            return self._literals(es, index)  # type: ignore[arg-type]
        changed: dict[str, Any] = {}
        for name in names_of_fields(type(first)):
            values = [getattr(e, name) for e in es]
            inside = index or (isinstance(first, Index) and name == "index")
            changed[name] = self._values(values, j, inside)
        return type(first)(**changed)

    def _in_series(self, es: Sequence[Expression]) -> Expression | None:
        """Return what an earlier loop has kept from turn to turn."""
        found = [self.known.series.get(e, ()) for e in es]
        for loop, var, _ in found[0] if all(found) else ():
            turns = [r - 1 for some in found for at, v, r in some if at is loop and v is var]
            if len(turns) == len(es) and (element := self._of_series(var, turns)):
                return element
        return None

    def _of_series(self, var: Var, turns: list[int]) -> Expression | None:
        by = turns[1] - turns[0]
        if not by or any(b - a != by for a, b in itertools.pairwise(turns)):
            return None
        self.collected.append(var)
        self.from_start.append(var)
        turn = Turn(turns[0], by)
        self.turns[turn] += 1
        return Element(var, turn)

    def _keep(self, es: Sequence[Expression], j: int) -> Expression:
        """Return what is computed at the end of a turn for the next, and stands there at first.

        In the first turn there may be less of a sum: then there is 0 at first.
        """
        first, *rest = es
        if not self._made_here(first):
            try:
                return self._kept(first, rest, j)
            except Fail:
                pass
        if not all(isinstance(e, Operation) and e.symbol == "+" for e in rest):
            raise Fail
        if isinstance(first, Operation) and first.symbol == "+":
            raise Fail
        for old, new in (("left", "right"), ("right", "left")):
            state = self._state()
            try:
                here = self._same([first, *(getattr(e, new) for e in rest)], j, False)
                kept = self._kept(Literal(0), [getattr(e, old) for e in rest], j)
            except Fail:
                self._go_back(state)
                continue
            pair = (kept, here) if old == "left" else (here, kept)
            return Operation("+", *pair)
        raise Fail

    def _kept(self, start: Expression, rest: list[Expression], j: int) -> Expression:
        """Return what stands for a value that is made at the end of each turn."""
        if len(rest) < LEAST - 1:
            raise Fail
        self.keeps, keeps = False, self.keeps
        state = self._state()
        try:
            value = self.unify(rest, KEEPING)
        except Fail:
            self._go_back(state)
            raise
        finally:
            self.keeps = keeps
        try:
            self._check_last(value)
            if not any(v in self.at for v in refs(value)):
                raise Fail
        except Fail:
            self._go_back(state)
            raise
        if isinstance(value, Ref):
            _, at, m = self.at[value.var]
            return self._carried(at, m, start, j)
        if (start, value) not in self.kept:
            var = Var("kept", np.empty(()), stem="previous")
            self.kept[start, value] = var
            self.series.append((var, [start, *rest]))
        return Ref(self.kept[start, value])

    def _values(self, values: list[Any], j: int, index: bool) -> Any:
        first = values[0]
        if isinstance(first, Expression):
            if not all(isinstance(v, Expression) for v in values):
                raise Fail
            return self.unify(values, j, index)
        if isinstance(first, tuple):
            if any(not isinstance(v, tuple) or len(v) != len(first) for v in values):
                raise Fail
            return tuple(self._values([*column], j, index) for column in zip(*values, strict=True))
        if any(v is not first and v != first for v in values):
            raise Fail
        return first

    def _literals(self, es: Sequence[Literal], index: bool) -> Expression:
        first = es[0]
        if all(e == first for e in es):
            return first
        values = [e.value for e in es]
        if not index or any(type(v) is not int for v in values):
            raise Fail
        by = values[1] - values[0]
        if any(b - a != by for a, b in itertools.pairwise(values)):
            raise Fail
        if min(values) < 0 <= max(values):
            raise Fail
        turn = Turn(values[0], by)
        self.turns[turn] += 1
        return turn

    def _refs(self, es: Sequence[Ref | Number], j: int) -> Expression:
        variables = [e.var for e in es]
        first = variables[0]
        places = [self.at.get(v) for v in variables]
        if all(v is first for v in variables):
            if places[0] is not None:
                raise Fail  # what one turn makes, and all others read
            if len({type(e) for e in es}) > 1:
                raise Fail
            return es[0]
        if any(isinstance(e, Number) for e in es[1:]):
            raise Fail
        known = places[1]
        if known is not None:
            r1, at, m = known
            if r1 == 1 and all(p == (r, at, m) for r, p in enumerate(places)):
                return Ref(self.var(at, m))
            if all(p == (r - 1, at, m) for r, p in enumerate(places) if r) and places[0] is None:
                return self._carried(at, m, self._start(es[0], variables[1]), j)
            raise Fail
        if any(p is not None for p in places):
            raise Fail
        element = self._element(variables)
        if element is not None:
            return element
        if self.section == "update" and len(self.blocks[0]) >= WORTH and isinstance(es[0], Ref):
            group = tuple(variables)
            if group not in self.each:
                self.each[group] = Var("each", np.empty(first.shape), stem=first.stem)
            return Each(group)
        raise Fail

    def _start(self, e: Ref | Number, like: Var) -> Expression:
        """Return what there is before the first turn."""
        if isinstance(e, Number):
            return full(like.shape, e.var.array.reshape(-1)[0].item(), like.dtype)
        return Ref(e.var)

    def _carried(self, at: int, m: int, start: Expression, j: int) -> Expression:
        if j == KEEPING:
            raise Fail  # that would be from two turns before
        known = self.starts.setdefault((at, m), start)
        if known != start:
            raise Fail
        var = self.var(at, m)
        if j <= at:
            return Ref(var)
        if (at, m) not in self.previous:
            self.previous[at, m] = Var("made", np.empty(var.shape, var.dtype), stem="previous")
        return Ref(self.previous[at, m])

    def _element(self, variables: list[Var]) -> Expression | None:
        """Return what an earlier loop has made, in the same turn or in one that goes with it."""
        places = [self.known.places.get(v) for v in variables]
        known = next((p for p in places if p is not None), None)
        if known is None:
            return None
        loop, var = known.loop, known.var
        turns = []
        start = loop.starts.get(var)
        for v, p in zip(variables, places, strict=True):
            if p is not None and p.loop is loop and p.var is var:
                turns.append(p.turn)
            elif isinstance(start, Ref) and start.var is v:
                turns.append(-1)
            else:
                return None
        by = turns[1] - turns[0]
        if any(b - a != by for a, b in itertools.pairwise(turns)) or not by:
            return None
        if -1 in turns:
            self.from_start.append(var)
        self.collected.append(var)
        turn = Turn(turns[0], by)
        self.turns[turn] += 1
        return Element(var, turn)

    def _check_last(self, value: Expression) -> None:
        """Refuse what the last turn cannot compute, since there is nothing at that index."""
        last = len(self.blocks) - 1
        for part in value.parts():
            if isinstance(part, Element):
                at = part.turn.first + part.turn.by * last
                made = self.known.loop_of(part.var)
                low = -1 if part.var in self.from_start else 0
                if not low <= at < made.count:
                    raise Fail
            elif isinstance(part, Turn) and (part.by > 0 or part.first + part.by * last < -1):
                raise Fail

    def _state(self) -> Any:
        return ({**self.starts}, {**self.previous}, {**self.kept}, [*self.series],
                Counter(self.turns), {**self.each}, [*self.collected],
                [*self.from_start])  # fmt: skip

    def _go_back(self, state: Any) -> None:
        (self.starts, self.previous, self.kept, self.series, self.turns, self.each,
         self.collected, self.from_start) = state  # fmt: skip

    def _made_here(self, e: Expression) -> bool:
        return any(v in self.at for v in refs(e))
