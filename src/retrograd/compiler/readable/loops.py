"""Loops: equal parts of a program, one after the other, written once.

A recording is a straight line: fifty steps of a recurrent net are fifty times the same lines. Parts
that are equal but for what they read become the body of a `for`, if all they read can be said in
terms of its variable: an index that goes up or down, what the step before has made, what the same
step of an earlier loop has made (which that loop collects in a list), or, for updates, the things
of one parameter after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.compiler.ir import Program, Var
from retrograd.compiler.readable.items import Item
from retrograd.compiler.readable.phrases import Number, Ref, map_expression, names_of_fields, refs
from retrograd.compiler.readable.sizes import Size
from retrograd.compiler.readable.turns import LEAST, Each, Element, Fail, Known, Loop, Turn
from retrograd.compiler.readable.unify import Unifying
from retrograd.compiler.statements import Expression, Index, List, Literal, Negative, Operation

TRIES = 40  # so many repetitions are looked at
LONGEST_BODY = 150  # statements


def roll(items: Sequence[Item], program: Program) -> list[Item | Loop]:
    """Return the items with those that repeat others in loops.

    Args:
        items: the statements of a program.
        program: the program, whose results are needed behind all loops.
    """
    found = _Rolling(_invariants_first(items), program).run()
    return found if any(isinstance(node, Loop) for node in found) else [*items]


def _invariants_first(items: Sequence[Item]) -> list[Item]:
    """Put first what is computed of parameters and constants alone: no loop changes that."""
    fixed: set[Var] = set()
    front: list[Item] = []
    rest: list[Item] = []
    for i, item in enumerate(items):
        if item.place is not None:
            return [*front, *rest, *items[i:]]
        plain = item.call.kind == "call" and item.call.section == "forward"
        read = refs(item.value)
        if plain and read and all(v.kind in ("captured", "const") or v in fixed for v in read):
            fixed |= {*item.targets}
            front.append(item)
        else:
            rest.append(item)
    return [*front, *rest]


class _Rolling:
    """Finds loops, the one that saves most first."""

    def __init__(self, items: list[Item], program: Program) -> None:
        self.items = items
        self.results = set(program.wanted())
        self.known = Known()

    def run(self) -> list[Item | Loop]:
        """Return the items and loops in order."""
        # sections are looked through in order, so that later loops know what earlier ones made
        nodes: list[Item | Loop] = []
        for _, group in itertools.groupby(self.items, lambda item: item.call.section):
            nodes += self._section([*group])
        return self._finish(nodes)

    def _section(self, items: list[Item]) -> list[Item | Loop]:
        if len(items) < LEAST:
            return [*items]
        keys = [_key(item) for item in items]
        for start, period, count in itertools.islice(_repeats(keys), TRIES):
            loop = self._try(items, start, period, count)
            if loop is not None:
                at, made, length = loop
                before = self._section(items[:at])
                after = self._section(items[at + length :])
                return [*before, made, *after]
        return [*items]

    def _try(
        self, items: list[Item], start: int, period: int, count: int
    ) -> tuple[int, Loop, int] | None:
        """Return where a loop begins, the loop, and how many statements it stands for.

        The first turn may be a little different, as to what there was before; the last one may
        lack what it would make for another.
        """
        end = min(start + period * (count + 2), len(items))
        for first in range(max(start - period, 0), min(start + period, end)):
            most = (end - first) // period
            for turns in range(most, max(most - 4, LEAST) - 1, -1):
                blocks = [items[first + r * period :][:period] for r in range(turns)]
                rest = items[first + turns * period :][:period]
                for missing in (1, 2, 3, 4):
                    part = rest[: period - missing]
                    if part and len(part) == period - missing >= period / 2:
                        found = self._unify([*blocks, part])
                        if found is not None:
                            return first, found, turns * period + len(part)
                found = self._unify(blocks)
                if found is not None:
                    return first, found, turns * period
        return None

    def _unify(self, blocks: list[list[Item]]) -> Loop | None:
        try:
            return Unifying(self.known, blocks).run()
        except Fail:
            return None

    # What loops collect

    def collect(self, var: Var) -> Loop:
        """Note that all that a loop makes of something is needed later."""
        place = self.known.places[var]
        self.known.lists[place.var] = place.loop
        return place.loop

    def _finish(self, nodes: list[Item | Loop]) -> list[Item | Loop]:
        """Write what is needed of single turns, behind loops, as elements of lists."""
        changed: list[Item | Loop] = []
        needed: list[tuple[Loop | None, Item]] = []
        for node in nodes:
            if isinstance(node, Loop):
                needed += [(node, item) for item in node.body]
            else:
                needed.append((None, node))
        for loop, item in needed:
            for v in item.reads():
                place = self.known.places.get(v)
                if place and place.loop is not loop and place.turn < place.loop.count - 1:
                    self.collect(v)
        for v in self.results:
            place = self.known.places.get(v)
            if place and place.turn < place.loop.count - 1:
                raise Fail  # no list is returned for a result: leave it as it is
        for var, loop in self.known.lists.items():
            loop.lists[var] = Var("list", np.empty(()), stem="all")
            if var in self.known.from_start:
                loop.from_start.add(var)
        for loop, item in needed:
            item.value = self._resolve(item.value, loop)
            if item.place is not None:
                item.place = self._resolve(item.place, loop)
        for node in nodes:
            if isinstance(node, Loop):
                node.before = [(v, self._resolve(e, node)) for v, e in node.before]
            changed.append(node)
        return changed

    def _resolve(self, e: Expression, here: Loop | None) -> Expression:
        def change(e: Expression) -> Expression | None:
            if isinstance(e, Element):
                loop = self.known.lists[e.var]
                shift = 1 if e.var in self.known.from_start else 0
                index = _counted(replace(e.turn, first=e.turn.first + shift), here)
                return Index(Ref(loop.lists[e.var]), index)
            if isinstance(e, Turn):
                return _counted(e, here)
            if isinstance(e, Each):
                assert here is not None
                return Ref(here.each[e.items])
            if isinstance(e, List) and (whole := self._whole(e, here)):
                return whole
            if isinstance(e, Ref):
                place = self.known.places.get(e.var)
                if place is None or place.loop is here:
                    return None
                if place.turn == place.loop.count - 1:
                    return Ref(place.var)
                shift = 1 if place.var in self.known.from_start else 0
                return Index(Ref(place.loop.lists[place.var]), Literal(place.turn + shift))
            return None

        return map_expression(change, e)

    def _whole(self, e: List, here: Loop | None) -> Expression | None:
        """Return the list that a list of all its elements is, also in reverse."""
        places = [self.known.places.get(i.var) if isinstance(i, Ref) else None for i in e.items]
        first = places[0] if places else None
        if first is None or first.loop is here or len(places) != first.loop.count:
            return None
        if any(p is None or p.loop is not first.loop or p.var is not first.var for p in places):
            return None
        turns = [p.turn for p in places if p is not None]
        if first.var not in first.loop.lists:
            return None
        whole: Expression = Ref(first.loop.lists[first.var])
        if first.var in self.known.from_start:
            whole = Index(whole, Literal(slice(1, None)))
        if turns == [*range(len(turns))]:
            return whole
        if turns == [*range(len(turns))][::-1]:
            return Index(whole, Literal(slice(None, None, -1)))
        return None


def _counted(turn: Turn, loop: Loop | None) -> Expression:
    """Return a number that changes evenly in terms of the variable of the loop."""
    assert loop is not None
    if loop.variable is None or not turn.by:
        return Literal(turn.first)
    factor, rest = divmod(turn.by, loop.counter.by)
    if rest:
        raise Fail
    offset = turn.first - factor * loop.counter.first
    t = Ref(loop.variable)
    if factor == -1:
        return Operation("-", Literal(offset), t) if offset else Negative(t)
    term: Expression = t if factor == 1 else Operation("*", Literal(factor), t)
    if not offset:
        return term
    return Operation("+" if offset > 0 else "-", term, Literal(abs(offset)))


# Finding what repeats


def _key(item: Item) -> Any:
    """Return what is the same for statements that may be turns of one loop."""
    place = () if item.place is None else _shape_of(item.place)
    return (item.symbol, place, _shape_of(item.value), item.call.kind, len(item.targets),
            item.call.origin)  # fmt: skip


def _shape_of(e: Expression, index: bool = False) -> Any:
    if isinstance(e, (Ref, Number)):
        return "ref"
    if isinstance(e, Literal):
        plain = index and type(e.value) is int and not isinstance(e.value, Size)
        return "int" if plain else e
    inner = []
    for name in names_of_fields(type(e)):
        value = getattr(e, name)
        inside = index or (isinstance(e, Index) and name == "index")
        inner.append(_shape_of_value(value, inside))
    return type(e), tuple(inner)


def _shape_of_value(value: Any, index: bool) -> Any:
    if isinstance(value, Expression):
        return _shape_of(value, index)
    if isinstance(value, tuple):
        return tuple(_shape_of_value(v, index) for v in value)
    return value if not callable(value) else id(value)


def _repeats(keys: Sequence[Any]) -> Iterator[tuple[int, int, int]]:
    """Yield where something is repeated, how long it is, and how often; what saves most first."""
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
    found = []
    for period in range(1, min(LONGEST_BODY, len(codes) // LEAST) + 1):
        same = codes[period:] == codes[:-period]
        edges = np.flatnonzero(np.diff(np.r_[False, same, False]))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            count = (end - start) // period + 1
            if count >= LEAST and (end - start) >= period * (LEAST - 1):
                found.append(((count - 1) * period, -period, start, period, count))
            # one turn less if the first is another one
    found.sort(reverse=True)
    for _, _, start, period, count in found:
        yield start, period, count
