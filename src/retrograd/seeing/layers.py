"""One level of a drawing: items in layers, ordered so that few edges cross, edges drawn straight.

Each edge that passes a layer has a place of its own there, a "bend". What goes on to several
targets from one box shares its bends, and so its line, up to where it parts.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

Point = tuple[float, float]
Size = tuple[float, float]

BETWEEN_ITEMS = 20.0  # across, between items of a layer
BETWEEN_BENDS = 12.0  # across, between a line and what stands beside it
BETWEEN_LAYERS = 24.0  # along, at least; more where edges go far across
BETWEEN_LABELS = 14.0  # the same, where labels take layers of their own
BETWEEN_BORDERS = 4.0  # the same, between a border and the first or last layer
STEEPNESS = 0.2  # of edges that go far across: how far along they go for that
FARTHEST = 80.0  # along, between layers at most
ARRIVALS = 15.0  # across, between lines that arrive at one item
ORDERING_SWEEPS = 12
PLACING_SWEEPS = 24


@dataclass(frozen=True)
class Item:
    """What has a place in a layer.

    Args:
        across, along: its size.
        layer: "first" or "last" where it must stand there.
        is_port: whether it is a point of a border, where an edge comes in or goes out.
    """

    across: float
    along: float
    layer: str = ""
    is_port: bool = False


@dataclass(frozen=True)
class Link:
    """A connection between two items.

    Args:
        source, target: their positions.
        net: links of one number and source share their lines.
        edges: the numbers of the edges that it stands for.
        leaves_at, arrives_at: where on the item, across; None for its middle.
        label: the size of a label near the target, across and along, for the one edge.
    """

    source: int
    target: int
    net: int
    edges: tuple[int, ...]
    leaves_at: float | None = None
    arrives_at: float | None = None
    label: Size | None = None


@dataclass(frozen=True)
class Strand:
    """A line of one or more links.

    Args:
        points: where it goes.
        edges: the numbers of the edges that it stands for.
        source: the item that it begins at; None where it goes on from another line.
        target: the item that it ends at; None where it parts into others.
    """

    points: tuple[Point, ...]
    edges: tuple[int, ...]
    source: int | None
    target: int | None


@dataclass(frozen=True)
class Arrangement:
    """Where everything goes, across and along.

    Args:
        across, along: the size of the whole.
        starts: the corner of each item with the smallest coordinates.
        centers: the middle of each item, across.
        labels: corner and size of each label, by its edge.
        strands: the lines of the links.
    """

    across: float
    along: float
    starts: tuple[Point, ...]
    centers: tuple[float, ...]
    labels: dict[int, tuple[Point, Size]]
    strands: tuple[Strand, ...]


def arrange(items: Sequence[Item], links: Sequence[Link]) -> Arrangement:
    """Find places for items and links.

    Args:
        items: what has a place in a layer.
        links: what goes from one to another.

    Returns:
        Their places.

    Raises:
        ValueError: if links run in a circle.
    """
    return _Layers(items, links).arrangement()


@dataclass(slots=True)
class _Node:
    """An item, a bend or a label, in its layer."""

    layer: int
    across: float
    along: float
    is_bend: bool = False
    is_label: bool = False
    above: list[_Segment] = field(default_factory=list)
    below: list[_Segment] = field(default_factory=list)
    at: float = 0.0  # the middle, across
    position: int = 0  # in its layer


@dataclass(slots=True)
class _Segment:
    """A part of a link, from one layer to the next."""

    source: _Node
    target: _Node
    leaves: float  # from the middle of the source, across
    arrives: float
    weight: float  # how much it wants to be straight


@dataclass(slots=True)
class _Branch:
    """What one link has for itself: from the trunk of its net to its target."""

    link: Link
    label: _Node | None
    last: _Segment


@dataclass(slots=True)
class _Net:
    """Links that share a line: nodes of the trunk, the source first, and what leaves each."""

    source: int
    leaves: float
    trunk: list[_Node]
    branches: dict[int, list[_Branch]]


class _Layers:
    def __init__(self, items: Sequence[Item], links: Sequence[Link]) -> None:
        self.items, self.links = items, links
        self.has_labels = any(link.label for link in links)
        numbers = _layer_numbers(items, links)
        step = 2 if self.has_labels else 1
        self.nodes = [
            _Node(step * number, item.across, item.along, item.is_port)
            for item, number in zip(items, numbers, strict=True)
        ]
        self.layers: list[list[_Node]] = [[] for _ in range(step * max(numbers, default=0) + 1)]
        for node in self.nodes:
            self.layers[node.layer].append(node)
        self.nets = self._make_nets()
        # layers of nothing but what stands on the border of a frame
        free = {n.layer for n, item in zip(self.nodes, items, strict=True) if not item.layer}
        self.borders = {0, len(self.layers) - 1} - free
        _order(self.layers)
        _balance(self.layers)
        _place(self.layers)

    def _make_nets(self) -> list[_Net]:
        groups: dict[tuple[int, int], list[Link]] = defaultdict(list)
        has_source = {link.target for link in self.links}
        for link in self.links:
            groups[link.source, link.net].append(link)
        nets = []
        for (source, _), links in groups.items():
            node = self.nodes[source]
            # a parameter stands beside what takes it, and must not draw that out of its line
            is_leaf = source not in has_source and not self.items[source].is_port
            net = _Net(source, _offset(links[0].leaves_at, node), [node], defaultdict(list))
            pull = 0.002 if is_leaf else 1.0
            for link in sorted(links, key=lambda link: self.nodes[link.target].layer):
                self._add_branch(net, link, pull)
            nets.append(net)
        return nets

    def _add_branch(self, net: _Net, link: Link, pull: float) -> None:
        target = self.nodes[link.target]
        leaves = target.layer - 1 - bool(link.label)
        while net.trunk[-1].layer < leaves:
            bend = self._add_node(_Node(net.trunk[-1].layer + 1, 0.0, 0.0, True))
            self._connect(net, net.trunk[-1], bend, 0.0, pull)
            net.trunk.append(bend)
        at = leaves - net.trunk[0].layer
        end, label = net.trunk[at], None
        if link.label:
            label = self._add_node(_Node(target.layer - 1, *link.label, is_label=True))
            self._connect(net, end, label, 0.0, pull)
            end = label
        last = self._connect(net, end, target, _offset(link.arrives_at, target), pull)
        net.branches[at].append(_Branch(link, label, last))

    def _add_node(self, node: _Node) -> _Node:
        self.layers[node.layer].append(node)
        return node

    def _connect(
        self, net: _Net, source: _Node, target: _Node, arrives: float, pull: float
    ) -> _Segment:
        bends = source.is_bend + target.is_bend
        leaves = net.leaves if source is net.trunk[0] else 0.0
        segment = _Segment(source, target, leaves, arrives, pull * (1.0, 2.0, 8.0)[bends])
        source.below.append(segment)
        target.above.append(segment)
        return segment

    # From places across to points

    def arrangement(self) -> Arrangement:
        """Return the places of all."""
        left = min((n.at - n.across / 2 for layer in self.layers for n in layer), default=0.0)
        for layer in self.layers:
            for node in layer:
                node.at -= left
        right = max((n.at + n.across / 2 for layer in self.layers for n in layer), default=0.0)
        self._spread_arrivals()
        heights = [max((n.along for n in layer), default=0.0) for layer in self.layers]
        self.tops, top = [], 0.0
        for i, height in enumerate(heights):
            self.tops.append(top)
            top += height + self._gap(i)
        self.bottoms = [t + h for t, h in zip(self.tops, heights, strict=True)]
        strands = [strand for net in self.nets for strand in self._strands(net)]
        labels = {
            branch.link.edges[0]: (self._start(branch.label), branch.link.label)
            for net in self.nets
            for branches in net.branches.values()
            for branch in branches
            if branch.label is not None and branch.link.label is not None
        }
        return Arrangement(
            right, self.bottoms[-1], tuple(map(self._start, self.nodes)),
            tuple(n.at for n in self.nodes), labels, tuple(strands),
        )  # fmt: skip

    def _gap(self, i: int) -> float:
        """Return the distance between a layer and the next."""
        if i + 1 == len(self.layers):
            return 0.0
        segments = [s for node in self.layers[i] for s in node.below]
        far = max((abs(_end(s) - _begin(s)) for s in segments), default=0.0)
        least = BETWEEN_LABELS if self.has_labels else BETWEEN_LAYERS
        if i + 1 in self.borders or i in self.borders:
            least = BETWEEN_BORDERS
        return min(max(least, STEEPNESS * far), FARTHEST)

    def _spread_arrivals(self) -> None:
        """Let lines that arrive at one item arrive side by side, straight where they can."""
        for node in self.nodes:
            middle = [s for s in node.above if not s.arrives]
            if len(middle) < 2 or node.is_bend:
                continue
            middle.sort(key=_begin)
            last, room = len(middle) - 1, 0.4 * node.across
            between = min(ARRIVALS, 2 * room / last)
            wishes = [(s.weight, _begin(s) - node.at) for s in middle]
            for i, at in enumerate(settle(wishes, [between] * last)):
                middle[i].arrives = min(max(at, i * between - room), room - (last - i) * between)

    def _start(self, node: _Node) -> Point:
        top, bottom = self.tops[node.layer], self.bottoms[node.layer] - node.along
        if node.below and not node.above:
            top = bottom  # what begins a line stands near to what takes it
        return node.at - node.across / 2, (top + bottom) / 2

    def _strands(self, net: _Net) -> list[Strand]:
        """Return the lines of a net: the trunk where it is shared, and the branches."""
        found: list[Strand] = []
        source: int | None = net.source
        first = net.trunk[0]
        at = first.at + net.leaves
        points = [(at, self._foot(first)), (at, self.bottoms[first.layer])]
        rest = sum(len(branches) for branches in net.branches.values())
        waiting = [b.link.edges for i in sorted(net.branches) for b in net.branches[i]]
        for i, node in enumerate(net.trunk):
            if i:
                points += [(node.at, self.tops[node.layer]), (node.at, self.bottoms[node.layer])]
            here = net.branches.get(i, [])
            rest -= len(here)
            if len(here) + (rest > 0) > 1:
                if i:
                    edges = tuple(edge for edges in waiting for edge in edges)
                    found.append(Strand(tuple(points), edges, source, None))
                    points, source = points[-1:], None
                found += [self._branch(source, branch, points) for branch in here]
            elif here:
                found.append(self._branch(source, here[0], points))
            waiting = waiting[len(here) :]
        return found

    def _foot(self, node: _Node) -> float:
        """Return where, along, lines leave an item."""
        return self.tops[node.layer] if node.is_bend else self._start(node)[1] + node.along

    def _branch(self, source: int | None, branch: _Branch, points: list[Point]) -> Strand:
        points = list(points)
        if (label := branch.label) is not None:
            points += [(label.at, self.tops[label.layer]), (label.at, self.bottoms[label.layer])]
        at, target = _end(branch.last), branch.last.target
        points.append((at, self.tops[target.layer]))
        points.append((at, self._head(target)))
        return Strand(tuple(points), branch.link.edges, source, branch.link.target)

    def _head(self, node: _Node) -> float:
        """Return where, along, lines arrive at an item."""
        return self.bottoms[node.layer] if node.is_bend else self._start(node)[1]


def _offset(at: float | None, node: _Node) -> float:
    return 0.0 if at is None else at - node.across / 2


def _begin(segment: _Segment) -> float:
    return segment.source.at + segment.leaves


def _end(segment: _Segment) -> float:
    return segment.target.at + segment.arrives


# Which layer


def _layer_numbers(items: Sequence[Item], links: Sequence[Link]) -> list[int]:
    """Return the layer of each item: the longest way to it, nearer to its targets if it is free."""
    out: list[set[int]] = [set() for _ in items]
    into: list[set[int]] = [set() for _ in items]
    for link in links:
        out[link.source].add(link.target)
        into[link.target].add(link.source)
    has_title = any(item.layer == "first" and not item.is_port for item in items)
    numbers = [int(has_title and item.layer != "first") for item in items]
    waiting = [len(sources) for sources in into]
    order = [i for i, n in enumerate(waiting) if not n]
    for i in order:
        for j in out[i]:
            numbers[j] = max(numbers[j], numbers[i] + 1)
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    if len(order) < len(items):
        raise ValueError("frames cannot stand in one order: edges go from each to the other")
    # what is made of one leaf that nothing else takes may stand as near to what takes it
    loose: set[int] = set()
    for i in order:
        is_free = not items[i].layer and len(into[i]) <= 1
        if is_free and all(j in loose and len(out[j]) == 1 for j in into[i]):
            loose.add(i)
    last = max(numbers, default=0)
    for i in reversed(order):
        if items[i].layer == "last":
            numbers[i] = last
        elif not items[i].layer and out[i] and (i in loose or len(into[i]) < len(out[i])):
            numbers[i] = min(numbers[j] for j in out[i]) - 1
    return numbers


# In which order


def _order(layers: list[list[_Node]]) -> None:
    """Order each layer so that few edges cross: each node near the mean of its neighbours."""
    _number(layers)
    best = [list(layer) for layer in layers]
    fewest = _crossings(layers)
    for sweep in range(ORDERING_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for layer in layers[1:] if down else layers[-2::-1]:
            _sort(layer, down)
        crossings = _crossings(layers)
        if crossings < fewest:
            fewest, best = crossings, [list(layer) for layer in layers]
    for layer, order in zip(layers, best, strict=True):
        layer[:] = order
    _number(layers)


def _number(layers: list[list[_Node]]) -> None:
    for layer in layers:
        for i, node in enumerate(layer):
            node.position = i


def _sort(layer: list[_Node], down: bool) -> None:
    """Sort a layer by the neighbours in the one before; nodes without any stay where they are."""
    wishes = {}
    for node in layer:
        if down and node.above:
            wishes[id(node)] = sum(map(_source_position, node.above)) / len(node.above)
        elif not down and node.below:
            wishes[id(node)] = sum(map(_target_position, node.below)) / len(node.below)
    free = [i for i, node in enumerate(layer) if id(node) in wishes]
    moved = sorted((layer[i] for i in free), key=lambda node: wishes[id(node)])
    for i, node in zip(free, moved, strict=True):
        layer[i] = node
        node.position = i


def _source_position(segment: _Segment) -> float:
    """Return where a segment begins: the position of its source, and where on that."""
    return segment.source.position + segment.leaves / (segment.source.across or 1.0)


def _target_position(segment: _Segment) -> float:
    return segment.target.position + segment.arrives / (segment.target.across or 1.0)


def _crossings(layers: list[list[_Node]]) -> int:
    """Count how often edges cross."""
    count = 0
    for layer in layers:
        ends = sorted(
            (_source_position(s), _target_position(s)) for node in layer for s in node.below
        )
        seen: list[float] = []
        for _, end in ends:
            count += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return count


def _balance(layers: list[list[_Node]]) -> None:
    """Put leaves of one call on both sides of what else it takes, unless more edges cross then."""
    ends: dict[int, int] = {}  # of each node that goes on to one item alone, that item, by id
    leaves: set[int] = set()
    for layer in reversed(layers):
        for node in layer:
            targets = {id(s.target): s.target for s in node.below}
            end = id(node)
            if len(targets) == 1:
                end, target = targets.popitem()
                end = ends[end] if target.is_label or target.is_bend else end
            ends[id(node)] = end
    for layer in layers:
        for node in layer:
            is_on_the_way = node.is_label or node.is_bend
            if all(id(s.source) in leaves for s in node.above) and (
                node.above or not is_on_the_way
            ):
                leaves.add(id(node))
    before, crossings = [[*layer] for layer in layers], _crossings(layers)
    for layer in layers:
        runs = groupby([*layer], lambda node: ends[id(node)])
        layer[:] = [node for _, run in runs for node in _middle(run, leaves)]
    _number(layers)
    if _crossings(layers) <= crossings:
        return
    for layer, order in zip(layers, before, strict=True):
        layer[:] = order
    _number(layers)


def _middle(run: Iterable[_Node], leaves: set[int]) -> list[_Node]:
    nodes = [*run]
    beside = [node for node in nodes if id(node) in leaves]
    others = [node for node in nodes if id(node) not in leaves]
    if not others or len(beside) < 2:
        return nodes
    half = len(beside) // 2
    return [*beside[:half], *others, *beside[half:]]


# Where, across


def _place(layers: list[list[_Node]]) -> None:
    """Move nodes across so that edges are straight, as far as none overlaps another.

    Each layer in turn goes where the squared distances that its edges go across, weighted, are
    least while the others stay. Repeated, this finds the least for all: the sum is convex.
    """
    gaps = []
    for layer in layers:
        at = 0.0
        between = [_least_distance(a, b) for a, b in pairwise(layer)]
        for node, gap in zip(layer, [0.0, *between], strict=False):
            at += gap
            node.at = at
        for node in layer:
            node.at -= at / 2
        gaps.append(between)
    for sweep in range(PLACING_SWEEPS):
        down = sweep % 2 == 0
        both = sweep >= 4  # at first from one side only, which moves far at once
        order = range(len(layers)) if down else range(len(layers) - 1, -1, -1)
        for i in order:
            _settle(layers[i], gaps[i], both or down, both or not down)


def _least_distance(a: _Node, b: _Node) -> float:
    between = BETWEEN_BENDS if a.is_bend or b.is_bend else BETWEEN_ITEMS
    return (a.across + b.across) / 2 + between


def _settle(layer: list[_Node], gaps: list[float], above: bool, below: bool) -> None:
    """Move the nodes of a layer to where their edges want them, at least `gaps` apart."""
    wishes = []
    for node in layer:
        weight = total = 0.0
        for s in node.above if above else ():
            weight += s.weight
            total += s.weight * (s.source.at + s.leaves - s.arrives)
        for s in node.below if below else ():
            weight += s.weight
            total += s.weight * (s.target.at + s.arrives - s.leaves)
        # what nothing draws gives way
        wishes.append((weight, total / weight) if weight else (1e-4, node.at))
    for node, at in zip(layer, settle(wishes, gaps), strict=True):
        node.at = at


def settle(wishes: Sequence[tuple[float, float]], gaps: Sequence[float]) -> list[float]:
    """Return places in order, at least `gaps` apart, as near to wished ones as possible.

    The sum of weight * (place - wish) ** 2 is the least there is. It is found by pooling neighbours
    that would come too near (Barlow et al. 1972, "Statistical inference under order restrictions").

    Args:
        wishes: weight and place of each.
        gaps: the least distance from each to the next; there may be one more.

    >>> settle([(1.0, 0.0), (1.0, 0.0), (1.0, 9.0)], [2.0, 2.0])
    [-1.0, 1.0, 9.0]
    """
    pools: list[tuple[float, float, int]] = []  # weight, mean wish less the gaps before, how many
    before = 0.0
    for i, (weight, wish) in enumerate(wishes):
        mean, n = wish - before, 1
        while pools and pools[-1][1] >= mean:
            w, m, k = pools.pop()
            mean = (w * m + weight * mean) / (w + weight)
            weight, n = w + weight, n + k
        pools.append((weight, mean, n))
        before += gaps[i] if i < len(gaps) else 0.0
    found: list[float] = []
    before = 0.0
    for _, mean, n in pools:
        for _ in range(n):
            found.append(mean + before)
            before += gaps[len(found) - 1] if len(found) <= len(gaps) else 0.0
    return found
