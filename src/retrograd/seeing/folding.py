"""Groups of calls that are one thing to a reader: those of a Module, and those of a loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from retrograd.engine import is_stand_in
from retrograd.later import public_names
from retrograd.seeing.graph import Argument, Graph, Node
from retrograd.seeing.names import Names, Path

__all__ = ["Group", "fold"]
__dir__ = public_names(__name__)

# how often a part must follow on itself to be a loop, and of how many parts one round may consist
_LEAST, _LONGEST = 3, 1000


class Group:
    """Calls that are one thing to a reader.

    Attributes:
        kind: "all" for a whole graph, "module" for calls of one Module, "loop" for equal parts that
            follow on each other, "round" for one of these.
        name: of a Module its place, such as "net.0"; else "".
        type: of a Module the name of its class; else "".
        parts: nodes of calls and further groups, in recorded order; the rounds of a loop.

    >>> t = x = rg.Tensor(0.5, requires_grad=True)
    >>> for _ in range(5):
    ...     t = np.sin(t) * x
    >>> rg.seeing.fold(rg.seeing.Graph(t), rg.seeing.Names()).parts
    [<loop of 5 rounds, 10 calls>]
    """

    __slots__ = ("kind", "name", "parts", "type")

    def __init__(
        self, kind: str, parts: Sequence[Node | Group], name: str = "", type: str = ""
    ) -> None:
        self.kind = kind
        self.parts = [*parts]
        self.name = name
        self.type = type

    def nodes(self) -> Iterator[Node]:
        """Go through the nodes of all calls inside, in recorded order.

        Returns:
            An iterator over nodes.

        >>> net = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.Linear(3, 1))
        >>> graph = rg.seeing.Graph(np.sum(net(np.ones((1, 2)))))
        >>> group = rg.seeing.fold(graph, rg.seeing.Names()).parts[0]
        >>> [node.rule.name for node in group.nodes()]
        ['linear', 'linear']
        """
        stack = [*reversed(self.parts)]
        while stack:
            part = stack.pop()
            if isinstance(part, Group):
                stack += reversed(part.parts)
            else:
                yield part

    def inputs(self) -> list[Node]:
        """Return the nodes outside that calls inside take as arguments, each once.

        Returns:
            A list of nodes, in the order in which they are taken.

        >>> net = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.Linear(3, 1))
        >>> graph = rg.seeing.Graph(np.sum(net(np.ones((1, 2)))))
        >>> group = rg.seeing.fold(graph, rg.seeing.Names()).parts[0]
        >>> len(group.inputs())
        4
        """
        inside = set(self.nodes())
        found: dict[Node, None] = {}
        for node in self.nodes():
            for argument in node.arguments:
                if argument.node is not None and argument.node not in inside:
                    found.setdefault(argument.node)
        return [*found]

    def outputs(self, graph: Graph) -> list[Node]:
        """Return the nodes inside that calls outside take, and the roots of the graph.

        Args:
            graph: the whole graph.

        Returns:
            A list of nodes, in recorded order.

        >>> net = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.Linear(3, 1))
        >>> graph = rg.seeing.Graph(np.sum(net(np.ones((1, 2)))))
        >>> group = rg.seeing.fold(graph, rg.seeing.Names()).parts[0]
        >>> len(group.outputs(graph))
        1
        """
        inside = set(self.nodes())
        used = {a for a, _, user in graph.edges() if a in inside and user not in inside}
        used |= inside.intersection(graph.roots)
        return sorted(used, key=lambda node: node.index)

    def __repr__(self) -> str:
        count = sum(1 for _ in self.nodes())
        what = self.kind
        if self.kind == "module":
            what = f"{self.name}: {self.type}"
        elif self.kind == "loop":
            what = f"loop of {len(self.parts)} rounds"
        return f"<{what}, {count} call{'s' * (count != 1)}>"


def fold(graph: Graph, names: Names) -> Group:
    """Return the calls of a graph in groups: by Module, and where equal parts repeat as loops.

    Calls are those of a Module if they take its Parameters, or if what they are computed from and
    what is computed from them both are, or if they only look at the array of such a call in another
    way (`reshape`); they must follow on each other. Eager code keeps nothing else, so a Module
    without Parameters has no group of its own.

    Parts are equal if they call the same functions on arguments of the same shapes. They are a loop
    where three or more follow on each other.

    Args:
        graph: the graph.
        names: what the user calls things.

    Returns:
        A group of kind "all".

    >>> net = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.Tanh(), rg.nn.Linear(3, 1))
    >>> y = net(np.ones((5, 2)))
    >>> rg.seeing.fold(rg.seeing.Graph(y), rg.seeing.Names()).parts
    [<net: Sequential, 3 calls>]
    >>> _[0].parts
    [<net.0: Linear, 1 call>, <np.tanh>, <net.2: Linear, 1 call>]
    """
    paths = _paths(graph, names)
    top = Group("all", _by_module(graph.calls, paths, names))
    _fold_loops(top)
    return top


def name_groups(top: Group) -> dict[int, str]:
    """Return the names of all groups by id: of a Module its place, of a loop a number.

    The rounds of a loop are equal, so what is inside has the same names in each.

    Args:
        top: the group of everything.
    """
    names: dict[int, str] = {}  # groups are as deep as Modules are nested: recursion will do

    def enter(group: Group, loops: int) -> int:
        """Name the groups inside one, and return how many loops there are by now."""
        if group.kind == "loop":
            loops += 1
            names[id(group)] = f"loop{loops}"
            return [enter(part, loops) for part in group.parts if isinstance(part, Group)][-1:][0]
        if group.name:
            names[id(group)] = group.name
        for part in group.parts:
            if isinstance(part, Group):
                loops = enter(part, loops)
        return loops

    enter(top, 0)
    return names


# By Module


def _paths(graph: Graph, names: Names) -> dict[Node, Path]:
    """Return for each call the way to the Module that it belongs to, () for none."""
    own: dict[Node, Path] = {}  # of what is made of Parameters alone, and of what takes it
    constant: dict[Node, Path | None] = {}  # Parameters, and what is made of them alone
    before: dict[Node, Path | None] = {}  # of the calls that it was computed from
    sources: dict[Node, list[Path]] = {}  # the same, of each
    after: dict[Node, Path | None] = dict.fromkeys(graph.nodes)  # of those computed from it
    for node in graph.nodes:
        given = [a.node for a in node.arguments if a.node is not None]
        if node.is_leaf:
            owner = names.owner(node.tensor)
            if owner is not None:
                constant[node] = owner
            before[node] = None
            continue
        taken = [path for n in given if (path := constant.get(n)) is not None]
        if taken:
            own[node] = _common(taken)
            if all(n in constant for n in given) and not any(map(_is_data, node.arguments)):
                constant[node] = own[node]
        data = [n for n in given if n not in constant]
        known = [path for n in data if (path := own.get(n, before[n])) is not None]
        before[node] = _common(known) if known else None
        sources[node] = known
    for node in reversed(graph.nodes):
        path = own.get(node, after[node])
        for argument in node.arguments:
            n = argument.node
            if path is not None and n is not None:
                known_after = after[n]
                after[n] = path if known_after is None else _common([known_after, path])
    found: dict[Node, Path] = {}
    for node in graph.calls:
        path = after[node]
        viewed = None if names.of(node.tensor) else _viewed(node)
        if node in own:
            found[node] = own[node]
        elif viewed in found:
            found[node] = found[viewed]
        elif path is None:
            found[node] = ()
        else:
            # in a residual block `x + f(x)` one of the sources is in the block, and what follows
            shared = [_common([path, source]) for source in sources[node]]
            found[node] = max(shared, key=len, default=())
    return found


def _viewed(node: Node) -> Node | None:
    """Return the node whose array a call only looks at in another way, None if it makes a new."""
    if node.is_several or not node.value.size or is_stand_in(node.value):
        return None
    given = [a for a in node.arguments if a.node is not None and not a.node.is_several]
    return next((a.node for a in given if np.may_share_memory(a.value, node.value)), None)


def _common(paths: Iterable[Path]) -> Path:
    """Return what the beginnings of all paths have in common."""
    first, *others = paths
    for other in others:
        same = (i for i, (a, b) in enumerate(zip(first, other, strict=False)) if a != b)
        first = first[: next(same, min(len(first), len(other)))]
    return first


def _is_data(argument: Argument) -> bool:
    """Tell whether an argument is an array that is no Tensor."""
    return (
        argument.node is None and isinstance(argument.value, np.ndarray) and argument.value.ndim > 0
    )


def _by_module(nodes: Sequence[Node], paths: dict[Node, Path], names: Names) -> list[Node | Group]:
    """Return nodes in recorded order, those of a Module that follow on each other as a group."""
    top: list[Node | Group] = []
    open_groups: list[Group] = []
    open_path: Path = ()
    for node in nodes:
        path = paths[node]
        same = len(_common([path, open_path]))
        del open_groups[same:]
        for depth in range(same, len(path)):
            place = path[: depth + 1]
            group = Group("module", [], ".".join(place), names.type_at(place))
            (open_groups[-1].parts if open_groups else top).append(group)
            open_groups.append(group)
        (open_groups[-1].parts if open_groups else top).append(node)
        open_path = path
    return top


# Loops


def _fold_loops(top: Group) -> None:
    """Put parts that repeat into loops, at every depth."""
    numbers: dict[Any, int] = {}  # of each kind of part, so that kinds are compared as numbers
    kinds: dict[int, int] = {}  # of each part, by id
    order = [top]
    for group in order:
        order += [part for part in group.parts if isinstance(part, Group)]

    def kind_of(part: Node | Group) -> int:
        if isinstance(part, Group):
            return kinds[id(part)]
        return numbers.setdefault(_signature(part), len(numbers))

    for group in reversed(order):  # what is inside comes first
        sequence = [kind_of(part) for part in group.parts]
        kinds[id(group)] = numbers.setdefault((group.kind, group.type, *sequence), len(numbers))
        functions = [p.type if isinstance(p, Group) else p.function for p in group.parts]
        group.parts = with_loops(group.parts, sequence, functions)


def with_loops(parts: list[Any], kinds: list[int], functions: list[str]) -> list[Any]:
    """Return parts with each loop among them as a group, of rounds that have loops in turn.

    Args:
        parts: calls and groups, in order.
        kinds: for each a number, the same for parts that are equal.
        functions: the function of each, or what else is the same in rounds that differ a little.
    """
    found: list[Any] = []
    at = 0
    for start, period, count in sorted(find_loops(kinds, functions)):
        found += parts[at:start]
        rounds = []
        for begin in range(start, start + period * count, period):
            one = slice(begin, begin + period)
            inside = parts[one]
            if period >= _LEAST:
                inside = with_loops(inside, kinds[one], functions[one])
            rounds.append(Group("round", inside))
        found.append(Group("loop", rounds))
        at = start + period * count
    return found + parts[at:]


def find_loops(kinds: Sequence[int], functions: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return where a sequence repeats itself: start, length of a round, and number of rounds.

    Of those that overlap the one that covers most is taken, and of equal ones the shortest round.

    Args:
        kinds: a number for each part: those of equal parts are equal.
        functions: the function of each, or what else is the same in rounds that differ a little.
    """
    sequence = np.asarray(kinds)
    candidates = []
    for period in range(1, min(len(sequence) // _LEAST, _LONGEST) + 1):
        same = np.concatenate(([False], sequence[period:] == sequence[:-period], [False]))
        edges = np.flatnonzero(same[1:] != same[:-1])
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            rounds, left = divmod(end - start + period, period)
            if rounds >= _LEAST:
                # Where a loop begins with a constant, its first round is not like the others, but
                # calls the same functions: what is left of a round is of that one then.
                if start and functions[start - 1] == functions[start - 1 + period]:
                    start += left
                candidates.append((-rounds * period, period, start, rounds))
    found: list[tuple[int, int, int]] = []
    free = np.ones(len(sequence), bool)
    for covered, period, start, rounds in sorted(candidates):
        if free[start : start - covered].all():
            free[start : start - covered] = False
            found.append((start, period, rounds))
    return found


def _signature(node: Node) -> Any:
    """Return what two calls have in common that do the same to other values."""
    shown = (
        a.value.shape if isinstance(a.value, np.ndarray) else type(a.value) for a in node.arguments
    )
    shape = None if node.is_several else node.value.shape
    return (node.function, shape, *shown, *node.keywords)
