"""What there is to say of each call, leaf and group, as data: `explain` makes text of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from retrograd.engine.tensor import Parts
from retrograd.seeing.calls import Writer, count
from retrograd.seeing.folding import Group
from retrograd.seeing.formulas import Formula, formula_of
from retrograd.seeing.graph import Argument, Graph, Node
from retrograd.seeing.names import Names
from retrograd.seeing.numbers import (
    in_brackets,
    is_number,
    is_place,
    largest_place,
    show_number,
    show_place,
    show_shape,
    show_value,
)

Places = Sequence[tuple[int, ...]]
# of a sum of more terms than this the first and the last are shown
_TERMS = 4
# to how many leaves a group sends if each is shown
_FEW = 4
# of how many rounds of a loop the gradient is shown
_ROUNDS = 8


class Sent(NamedTuple):
    """What a call, or a group, sends to one value.

    Attributes:
        to: what the value is called.
        result: what is sent.
        product: of numbers, how it is made of what arrives and the slope: "2 x 0.5".
        rule: the rule as it is written, the lines before it first; and with numbers put in.
        notes: further lines, such as single elements.
    """

    to: str
    result: str
    product: str = ""
    rule: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Entry(NamedTuple):
    """One call, leaf or group.

    Attributes:
        kind: "call", "leaf", "folded" and "opened" for groups, "round", or "more" for what is left
            out.
        depth: in how many groups it is.
        title: what it is: for a call "y = np.tanh(z)".
        value: the value, "" for a group.
        arrives: the lines that say what arrives.
        sent: what is sent to each argument.
        notes: further lines.
    """

    kind: str
    depth: int
    title: str
    value: str = ""
    arrives: tuple[str, ...] = ()
    sent: tuple[Sent, ...] = ()
    notes: tuple[str, ...] = ()


class Teller:
    """Says what there is to say of the parts of a graph whose gradients were sent.

    Args:
        graph: the graph.
        labels: what its nodes are called.
        names: what the user calls things.
        at: places of elements to show, where an array has them; none for the largest.
    """

    def __init__(self, graph: Graph, labels: dict[Node, str], names: Names, at: Places) -> None:
        self.graph = graph
        self.labels = labels
        self.at = at
        self.writer = Writer(labels, names)
        self.received = graph.received()
        self.roots = set(graph.roots)

    # Calls

    def call(self, node: Node, depth: int) -> Entry:
        """Return what there is to say of a call."""
        title = f"{self.labels[node]} = {self.writer.call(node)}"
        value = _show(node.value)
        if numbers := self.writer.call_with_numbers(node):
            title, value = f"{title} = {numbers}", value
        sent = tuple(self._sent(node, a) for a in node.arguments if a.to is not None)
        return Entry("call", depth, title, value, self.arrives(node), sent)

    def _sent(self, node: Node, argument: Argument) -> Sent:
        assert argument.to is not None
        g, sent = node.gradient, argument.sent
        to, notes = self.labels[argument.to], []
        if argument.to is not argument.node and argument.node is not None:
            both = f"{node.function} and {argument.node.function}"
            notes.append(f"past {self.labels[argument.node]}: one rule for {both}")
        if isinstance(sent, Parts):
            return Sent(to, "as one of its outputs", "", (), tuple(notes))
        formula = self._formula(node, argument)
        rule = (*formula.steps, formula.text) if formula else (_name_of(argument.rule),)
        if is_number(sent) and is_number(g):
            if formula and (numbers := formula.put_in((), (), sent)):
                rule = (*rule[:-1], f"{rule[-1]} = {numbers}")
            return Sent(to, _show(sent), _product(g, sent), rule, tuple(notes))
        if argument.summed:
            over = "to one number" if is_number(sent) else f"to {sent.shape}"
            notes.append(f"summed {over}, over the axes along which {to} was repeated")
        lines = [self._element(place, sent, formula) for place in self._places(sent)]
        found = [line for line in lines if line]
        if formula and formula.text not in formula.used() and not any("=" in x for x in found):
            shapes = [f"{n} {show_shape(v)}" for n, v in formula.used().items()
                      if isinstance(v, np.ndarray) and v.ndim]  # fmt: skip
            rule = (*rule[:-1], f"{rule[-1]}   with {', '.join(shapes)}" if shapes else rule[-1])
        return Sent(to, _show(sent), "", rule, (*notes, *found))

    def _element(self, place: tuple[int, ...], sent: Any, formula: Formula | None) -> str:
        text = formula.put_in(place, sent.shape, sent[place]) if formula else ""
        if not text and not self.at:
            return ""
        return f"at {show_place(place)}: {f'{text} = ' if text else ''}{show_number(sent[place])}"

    def _formula(self, node: Node, argument: Argument) -> Formula | None:
        if argument.rule is None or node.rule is None or argument.rule is node.rule.joint:
            return None
        g = node.gradient
        if node.rule.multi:
            g = g.full(node.value)
        given = (g, node.value, *(a.value for a in node.arguments))
        return formula_of(argument.rule, given, node.keywords)

    def _places(self, value: Any) -> list[tuple[int, ...]]:
        """Return the places of the elements of an array that are shown."""
        if self.at:
            return [place for place in self.at if is_place(value, place)]
        if not isinstance(value, np.ndarray) or value.size <= 1 or value.dtype.kind != "f":
            return []
        return [largest_place(value)]

    # What arrives

    def arrives(self, node: Node) -> tuple[str, ...]:
        """Return the lines that say what arrives at a node, a sum as a sum."""
        lines = self._arrived(node)
        if node.gradient is not node.arrived:
            lines = (*lines, f"{_show(node.gradient)} after its hooks")
        return lines

    def _arrived(self, node: Node) -> tuple[str, ...]:
        g = node.arrived
        if g is None:
            return (self._nothing(node),)
        if isinstance(g, Parts):
            return (f"for {count(sum(p is not None for p in g.parts), 'output')} of it",)
        terms = [(a.sent, self.labels[n]) for n, a in self.received[node]]
        if node in self.roots and not terms:
            return (f"{_show(g)}, with which the reverse pass begins",)
        if len(terms) <= 1:
            return (_show(g),)
        if g.size == 1:
            return (_sum([(s.item(), by) for s, by in terms], g.item()),)
        by = list(dict.fromkeys(by for _, by in terms))
        shown = ", ".join(by) if len(by) <= _TERMS else f"{', '.join(by[:2])}, ..., {by[-1]}"
        elements = [
            f"at {show_place(p)}: {_sum([(s[p], by) for s, by in terms], g[p])}"
            for p in self._places(g)
        ]
        return (f"{_show(g)}, the sum of {len(terms)}: from {shown}", *elements)

    def _nothing(self, node: Node) -> str:
        for _, argument, user in self.graph.edges():
            if argument.node is node and argument.to not in (None, node):
                return f"nothing: {self.labels[user]} sends past it"
        return "nothing"

    def leaf(self, node: Node) -> Entry:
        """Return what there is to say of a leaf."""
        return Entry("leaf", 0, self.labels[node], _show(node.value), self.arrives(node))

    # Groups

    def folded(self, group: Group, depth: int, name: str) -> Entry:
        """Return what there is to say of a group that is folded: what arrives and what goes out.

        Args:
            group: the group.
            depth: in how many others it is.
            name: the name by which it is unfolded.
        """
        inside = set(group.nodes())
        arrives = tuple(
            f"at {self.labels[node]}: {_show(node.gradient)}"
            for node in group.outputs(self.graph)[-2:]
            if node.gradient is not None
        )
        sent: dict[Node, Any] = {}
        for node in sorted(inside, key=lambda node: -node.index):
            for a in node.arguments:
                if a.to is not None and a.to not in inside:
                    sent[a.to] = a.sent if a.to not in sent else sent[a.to] + a.sent
        leaves = [node for node in sent if node.is_leaf]
        if len(leaves) > _FEW:
            sent = {node: g for node, g in sent.items() if not node.is_leaf}
        out = tuple(Sent(self.labels[node], _show(g)) for node, g in sent.items())
        if len(leaves) > _FEW:
            out = (*out, Sent(count(len(leaves), "leaf"), "see below"))
        title = f"{_title(group, name)}, folded (unfold={name!r} shows it)"
        return Entry("folded", depth, title, "", arrives, out)

    def opened(self, group: Group, depth: int, name: str, whole: bool) -> Entry:
        """Return what stands above the calls of a group.

        Args:
            group: the group.
            depth: in how many others it is.
            name: the name by which it is unfolded.
            whole: whether of a loop all rounds are shown, not only the last.
        """
        title = _title(group, name)
        if group.kind != "loop":
            return Entry("opened", depth, title)
        if not whole:
            title += f"; below is the last (unfold={name!r} shows all)"
        return Entry("opened", depth, title, notes=self._by_round(group.parts))

    def _by_round(self, rounds: Sequence[Node | Group]) -> tuple[str, ...]:
        """Return how the gradient changes from round to round: whether it vanishes or explodes."""
        last, before = ([*_nodes(part)] for part in (rounds[-1], rounds[-2]))
        taken = {a.node for node in last for a in node.arguments}
        carried = next((i for i, node in reversed([*enumerate(before)]) if node in taken), None)
        if carried is None:
            return ()
        n = len(rounds)
        shown = sorted({round(i * (n - 1) / (_ROUNDS - 1)) for i in range(_ROUNDS)}, reverse=True)
        sizes = []
        for i in shown:
            g = [*_nodes(rounds[i])][carried].gradient
            if isinstance(g, np.ndarray):
                sizes.append(f"{i + 1}: {show_number(np.linalg.norm(np.abs(g).astype(float)))}")
        what = self.labels[before[carried]]
        return (f"size of what arrives at {what} and its like, by round: {', '.join(sizes)}",)


def _title(group: Group, name: str) -> str:
    calls = sum(1 for _ in group.nodes())
    if group.kind != "loop":
        return f"{group.name}: {group.type}, {count(calls, 'call')}"
    rounds = len(group.parts)
    return f"{name}: {rounds:,} equal rounds of {count(calls // rounds, 'call')}"


def _nodes(part: Node | Group) -> Iterator[Node]:
    if isinstance(part, Group):
        yield from part.nodes()
    else:
        yield part


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{len(value)} outputs"
    return "its outputs" if isinstance(value, Parts) else show_value(value)


def _product(g: Any, sent: Any) -> str:
    """Return "upstream x local", "" where the local slope cannot be told."""
    upstream, result = g.item(), sent.item()
    local = result / upstream if upstream else math.nan  # Python's numbers: they do not warn
    return f"{show_number(upstream)} x {in_brackets(local)}" if math.isfinite(local) else ""


def _sum(terms: Sequence[tuple[float, str]], whole: float) -> str:
    """Return a sum as a sum, with where each term comes from."""
    first, *others = terms
    shown = [f"{show_number(first[0])} (from {first[1]})"]
    shown += [f"{in_brackets(value)} (from {by})" for value, by in others]
    if len(shown) > _TERMS:
        shown = [*shown[:2], "...", shown[-1]]
    text = f"{' + '.join(shown)} = {show_number(whole)}"
    return text if len(terms) <= _TERMS else f"{text}, {len(terms)} terms"


def _name_of(rule: Any) -> str:
    """Return what to call a rule whose source is not shown."""
    while hasattr(rule, "func"):
        rule = rule.func
    return f"{getattr(rule, '__qualname__', repr(rule))} of {getattr(rule, '__module__', '?')}"
