"""Where boxes, frames and wires of a drawing go: a layered layout, of abstract boxes.

The boxes of a graph without circles are put into layers, so that every edge goes from one layer to
a later one (Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical
system structures"). Frames hold boxes and other frames. Each is laid out by itself, from the
innermost outward, and is then one box of the frame around it; where an edge crosses its border
stands a port. So nothing can overlap, and no edge runs through a box.

Distances are along the layers' direction, in which edges go, and across it. `Sketch` and `Picture`
are told in x and y.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from retrograd.seeing.layers import Arrangement, Item, Link, arrange

Point = tuple[float, float]
Size = tuple[float, float]
# what stands in a frame: ("box", i), ("frame", i), ("in", source), ("out", source), ("title", i)
End = tuple[str, int]

PADDING = 14.0  # between the border of a frame and what is inside


@dataclass
class Sketch:
    """What is to be drawn: sizes, and what is connected to what.

    Args:
        boxes: width and height of each box.
        edges: pairs of positions in `boxes`, the first before the second.
        labels: width and height of the label on an edge, by its position in `edges`.
        frames: width and height of each frame's title.
        box_frames: for each box the position of its frame, None outside of all.
        frame_frames: for each frame the one around it, which comes before it in `frames`.
        goes_right: whether edges go to the right, rather than down.
    """

    boxes: Sequence[Size]
    edges: Sequence[tuple[int, int]] = ()
    labels: dict[int, Size] = field(default_factory=dict)
    frames: Sequence[Size] = ()
    box_frames: Sequence[int | None] = ()
    frame_frames: Sequence[int | None] = ()
    goes_right: bool = False


@dataclass(frozen=True)
class Wire:
    """A line that one or more edges from one box share.

    Args:
        points: where it goes; between two of them it leaves and arrives in the edges' direction.
        edges: the positions of the edges that run along it.
        arrives: whether it ends at a box, and not in further wires.
    """

    points: tuple[Point, ...]
    edges: tuple[int, ...]
    arrives: bool


@dataclass(frozen=True)
class Area:
    """A rectangle: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Picture:
    """Where everything of a `Sketch` goes.

    Args:
        width, height: of the whole.
        boxes: the place of each box.
        frames: the place of each frame.
        labels: the place of each label, by the position of its edge.
        wires: the lines of the edges.
    """

    width: float
    height: float
    boxes: tuple[Area, ...]
    frames: tuple[Area, ...]
    labels: dict[int, Area]
    wires: tuple[Wire, ...]


def lay_out(sketch: Sketch) -> Picture:
    """Find places for all boxes, frames, labels and edges of a sketch.

    Args:
        sketch: what is to be drawn.

    Returns:
        Their places. Nothing overlaps but wires with wires, and frames with what is inside them.

    Raises:
        ValueError: if an edge goes back in the order of the boxes, or if frames cannot stand in
            one order, since edges go from each of two to the other.
    """
    for source, target in sketch.edges:
        if source >= target:
            raise ValueError(f"the edge from box {source} to {target} goes back")
    return _Layout(sketch).picture()


_ROOT = -1  # in the place of a frame: what is around all frames


@dataclass
class _Inside:
    """The layout of a frame: what stands in it, and where in its own coordinates."""

    arrangement: Arrangement
    keys: list[End]  # what the items are
    places: dict[End, int]
    across: float  # its size
    along: float
    start: Point  # of the arrangement inside of it, across and along


class _Layout:
    """The layout of a whole sketch, frame by frame."""

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch
        none: list[int | None] = [None]
        around = list(sketch.frame_frames) or none * len(sketch.frames)
        self.around = [_ROOT if f is None else f for f in around]
        home = list(sketch.box_frames) or none * len(sketch.boxes)
        self.home = [_ROOT if f is None else f for f in home]
        self.members: dict[int, list[End]] = defaultdict(list)
        for frame, outer in enumerate(self.around):
            self.members[outer].append(("frame", frame))
        for box, frame in enumerate(self.home):
            self.members[frame].append(("box", box))
        # by frame, then by two ends and the box that it all comes from: edges
        self.links: dict[int, dict[tuple[End, End, int], list[int]]]
        self.links = defaultdict(lambda: defaultdict(list))
        for edge, (source, target) in enumerate(sketch.edges):
            self._lead(edge, source, target)
        self.inside: dict[int, _Inside] = {}
        for frame in self._from_inside():
            self.inside[frame] = self._arrange(frame)

    def _chain(self, frame: int) -> list[int]:
        """Return a frame and those around it, from the outermost."""
        chain = [frame]
        while frame != _ROOT:
            frame = self.around[frame]
            chain.append(frame)
        return chain[::-1]

    def _from_inside(self) -> list[int]:
        """Return the frames, each after those inside of it, and else in order."""
        depths = {frame: len(self._chain(frame)) for frame in range(len(self.sketch.frames))}
        return [*sorted(depths, key=lambda frame: -depths[frame]), _ROOT]

    def _hint(self, frame: int, source: int) -> float:
        """Return where, across, edges from a box leave the frame beside this one that it is in."""
        around = {*self._chain(frame)}
        beside = [f for f in self._chain(self.home[source]) if f not in around]
        if not beside or beside[0] not in self.inside:
            return -1.0
        inside = self.inside[beside[0]]
        return inside.arrangement.centers[inside.places["out", source]]

    def _lead(self, edge: int, source: int, target: int) -> None:
        """Lead an edge through the borders between its ends: a link in each frame on its way."""
        out, into = self._chain(self.home[source]), self._chain(self.home[target])
        common = sum(1 for a, b in zip(out, into, strict=False) if a == b)
        here: End = ("box", source)
        for frame in reversed(out[common:]):
            self.links[frame][here, ("out", source), source].append(edge)
            here = ("frame", frame)
        meet = out[common - 1]
        for frame in into[common:]:
            self.links[meet][here, ("frame", frame), source].append(edge)
            meet, here = frame, ("in", source)
        self.links[meet][here, ("box", target), source].append(edge)

    def _size(self, size: Size) -> Size:
        """Return width and height as sizes across and along, or the other way round."""
        return (size[1], size[0]) if self.sketch.goes_right else size

    def _arrange(self, frame: int) -> _Inside:
        title = frame != _ROOT and not self.sketch.goes_right
        # the title comes first, so that no line into the frame runs through it
        keys = [("title", frame)] * title + self.members[frame]
        links = self.links[frame]
        ends = {end for source, target, _ in links for end in (source, target)}
        # lines come in in the order in which they leave other frames
        keys += sorted(
            (end for end in ends if end[0] in ("in", "out")),
            key=lambda end: (end[0], self._hint(frame, end[1]) if end[0] == "in" else 0.0, end[1]),
        )
        places = {key: i for i, key in enumerate(keys)}
        items = [self._item(kind, i) for kind, i in keys]
        found = []
        for (source, target, net), edges in links.items():
            # edges to a box have labels of their own, and so do not share a link
            shared = [[edge] for edge in edges] if target[0] == "box" else [edges]
            for group in shared:
                label = self.sketch.labels.get(group[0]) if target[0] == "box" else None
                found.append(Link(
                    places[source], places[target], net, tuple(group),
                    self._port(source, "out", net), self._port(target, "in", net),
                    label and self._size(label),
                ))  # fmt: skip
        arrangement = arrange(items, found)
        pad = 0.0 if frame == _ROOT else PADDING
        start = (pad, pad)
        across, along = arrangement.across + 2 * pad, arrangement.along + 2 * pad
        if frame != _ROOT and self.sketch.goes_right:
            width, height = self.sketch.frames[frame]
            start = (pad + height, pad)
            across, along = across + height, max(along, width + 2 * pad)
        return _Inside(arrangement, keys, places, across, along, start)

    def _item(self, kind: str, i: int) -> Item:
        if kind == "box":
            return Item(*self._size(self.sketch.boxes[i]))
        if kind == "frame":
            return Item(self.inside[i].across, self.inside[i].along)
        if kind == "title":
            return Item(*self.sketch.frames[i], layer="first")
        return Item(0.0, 0.0, layer="first" if kind == "in" else "last", is_port=True)

    def _port(self, end: End, kind: str, net: int) -> float | None:
        """Return where, across, edges from a box cross the border of a frame; None for a box."""
        if end[0] != "frame":
            return None
        inside = self.inside[end[1]]
        port = inside.places[kind, net]
        return inside.start[0] + inside.arrangement.centers[port]

    def picture(self) -> Picture:
        """Return all places in the coordinates of the whole."""
        boxes: dict[int, Area] = {}
        frames: dict[int, Area] = {}
        labels: dict[int, Area] = {}
        wires: list[Wire] = []
        corners: dict[int, Point] = {_ROOT: (0.0, 0.0)}
        for frame in [_ROOT, *range(len(self.sketch.frames))]:
            inside, (across, along) = self.inside[frame], corners[frame]
            begin = across + inside.start[0], along + inside.start[1]
            found = inside.arrangement
            for (kind, i), place in inside.places.items():
                corner = begin[0] + found.starts[place][0], begin[1] + found.starts[place][1]
                if kind == "box":
                    boxes[i] = self._area(corner, self._size(self.sketch.boxes[i]))
                elif kind == "frame":
                    size = self.inside[i].across, self.inside[i].along
                    corners[i] = corner
                    frames[i] = self._area(corner, size)
            for edge, (corner, size) in found.labels.items():
                labels[edge] = self._area((begin[0] + corner[0], begin[1] + corner[1]), size)
            for strand in found.strands:
                points = [(begin[0] + a, begin[1] + b) for a, b in strand.points]
                begin_at = "" if strand.source is None else inside.keys[strand.source][0]
                if begin_at == "in":
                    points.insert(0, (points[0][0], along))
                end = "" if strand.target is None else inside.keys[strand.target][0]
                if end == "out":
                    points.append((points[-1][0], along + inside.along))
                wires.append(Wire(tuple(map(self._point, points)), strand.edges, end == "box"))
        whole = self.inside[_ROOT]
        width, height = self._size((whole.across, whole.along))
        return Picture(
            width, height, tuple(boxes[i] for i in range(len(boxes))),
            tuple(frames[i] for i in range(len(frames))), labels, tuple(wires),
        )  # fmt: skip

    def _point(self, point: Point) -> Point:
        return (point[1], point[0]) if self.sketch.goes_right else point

    def _area(self, corner: Point, size: Size) -> Area:
        return Area(*self._point(corner), *self._size(size))
