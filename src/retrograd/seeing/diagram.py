"""From values and what is made of them to the boxes, frames and arrows of a drawing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from retrograd.seeing.folding import Group
from retrograd.seeing.numbers import show_number
from retrograd.seeing.opening import Pane, Sheet, name_within, open_up
from retrograd.seeing.svg import Box, Edge, Frame, Scene, Text

MOST_GIVENS = 6  # as many leaves that one folded box alone takes are shown beside it
DECADES = 2.0  # that the scale of gradients spans at least
ROUNDING = 14.0  # decades below the largest gradient: what is smaller has no shade of its own


@dataclass(frozen=True)
class Content:
    """What there is to read about a value.

    Args:
        lines: what stands in its box.
        hint: what is shown while the pointer is on it.
        shape: its shape.
    """

    lines: tuple[Text, ...]
    hint: str = ""
    shape: str = ""


@dataclass
class Value:
    """A value that has a box, if it is not folded.

    Args:
        name: what it is called.
        content: writes what there is to read about it; called for what is shown alone.
        kind: "call", "result", "parameter" or "data".
        gradient: an array, None where there is none.
        stays_inside: of a leaf, whether it belongs to what takes it, and is not shown where that
            is folded.
        function: of a call, the name of the function.
        section: of a line of a program: "forward", "backward" or "update".
    """

    name: str
    content: Callable[[], Content]
    kind: str = "call"
    gradient: Any = None
    stays_inside: bool = False
    function: str = ""
    section: str = ""


@dataclass
class Arrow:
    """That a call takes a value.

    Args:
        source, target: the keys of the value and of the call.
        value: the value as the call takes it; None where it is not told.
        sent: the gradient that the call sends back, an array; None where there is none.
        is_dashed: whether its line is broken.
    """

    source: Any
    target: Any
    value: Any = None
    sent: Any = None
    is_dashed: bool = False


@dataclass
class Diagram:
    """What a drawing is of.

    Args:
        values: by a key, all calls and what they take, the leaves.
        arrows: what takes what.
        group: the keys of the calls, in groups, in an order in which they may run.
        title: a few words on what it shows.
        notes: what is to be said below.
        unit: what a call is called here.
    """

    values: dict[Any, Value]
    arrows: list[Arrow]
    group: Group
    title: str = ""
    notes: list[str] = field(default_factory=list)
    unit: str = "call"


def size_of(gradient: Any) -> float:
    """Return the root mean square of an array, without overflow."""
    array = np.abs(np.asarray(gradient)).astype(float)
    if not array.size:
        return 0.0
    largest = float(array.max())
    if not largest or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(np.mean((array / largest) ** 2))


def describe(array: Any) -> str:
    """Write the one element of an array, or the least and the largest of all."""
    if isinstance(array, tuple):
        return f"{len(array)} outputs"
    array = np.asarray(array)
    if array.size == 1:
        return show_number(array.item())
    if not array.size or array.dtype.kind not in "fiu":
        return f"{array.shape} {array.dtype}"
    return f"{array.min():.3g} \N{HORIZONTAL ELLIPSIS} {array.max():.3g}"


def describe_gradient(gradient: Any) -> str:
    """Write a gradient of one element, or the root mean square of one of more."""
    array = np.asarray(gradient)
    return f"grad {show_number(array.item())}" if array.size == 1 else f"grad {size_of(array):.2g}"


def make_scene(
    diagram: Diagram,
    unfold: bool | str | Collection[str] = False,
    values: bool = False,
    gradients: bool = False,
    goes_right: bool = False,
) -> Scene:
    """Return the boxes, frames and arrows of a diagram.

    Args:
        diagram: what it is to show.
        unfold: True for everything; or the names of groups that are opened whatever their size.
        values: whether values stand on the arrows.
        gradients: whether gradients do.
        goes_right: whether arrows go to the right, rather than down.
    """
    return _Maker(diagram, unfold, values, gradients).scene(goes_right)


class _Maker:
    def __init__(
        self, diagram: Diagram, unfold: bool | str | Collection[str], values: bool, gradients: bool
    ) -> None:
        self.diagram = diagram
        self.shows_values, self.shows_gradients = values, gradients
        self.takes: dict[Any, list[Arrow]] = defaultdict(list)
        users: dict[Any, set[Any]] = defaultdict(set)
        for arrow in diagram.arrows:
            self.takes[arrow.target].append(arrow)
            users[arrow.source].add(arrow.target)
        self.users = users
        calls = set(diagram.group.nodes())
        self.givens = [key for key in diagram.values if key not in calls]
        beside: dict[Any, int] = defaultdict(int)
        for key in self.givens:
            if len(users[key]) == 1:
                beside[next(iter(users[key]))] += 1
        self.pane = open_up(
            diagram.group,
            lambda call: 1 + beside[call],
            lambda call: diagram.values[call].function.rpartition(".")[2],
            unfold,
            diagram.unit,
        )
        # what stands for a call: itself, or the sheet that it is in, by its number
        self.shown: dict[Any, Any] = {}
        for part in self.pane.flat():
            for call in part.members if isinstance(part, Sheet) else (part,):
                self.shown[call] = id(part) if isinstance(part, Sheet) else part
        self.boxes: list[Box] = []
        self.frames: list[Frame] = []
        self.modules: list[str] = []  # the Module of each frame
        self.places: dict[Any, int] = {}  # of boxes, by what they stand for
        self.hidden = self._find_hidden()
        self.frame_of: dict[Any, list[int]] = {}  # the frames around it, the outermost first
        self.gradients: dict[Any, Any] = {}

    def _find_hidden(self) -> set[Any]:
        """Return the leaves that are not shown."""
        alone: dict[frozenset[Any], list[Any]] = defaultdict(list)
        for key in self.givens:
            by = frozenset(self.shown[user] for user in self.users[key])
            if by and not any(shown in self.diagram.values for shown in by):
                alone[by].append(key)
        hidden = set()
        for keys in alone.values():
            inside = [key for key in keys if self.diagram.values[key].stays_inside]
            others = [key for key in keys if not self.diagram.values[key].stays_inside]
            hidden |= {*inside, *(others if len(others) > MOST_GIVENS else ())}
        return hidden

    # Boxes

    def scene(self, goes_right: bool) -> Scene:
        """Return it all."""
        self._make_frames(self.pane, [])
        homes = {key: self._home(key) for key in self.givens}
        placed: set[Any] = set()
        for part in self.pane.flat():
            sheet = part if isinstance(part, Sheet) else None
            for call in sheet.members if sheet else (part,):
                for arrow in self.takes[call]:
                    given = arrow.source
                    if given in homes and given not in self.hidden and given not in placed:
                        placed.add(given)
                        self._add(given, self._given_box(given, homes[given]), homes[given])
            if sheet:
                self._add(id(part), self._sheet_box(sheet), self._frame(id(part)))
            else:
                self._add(part, self._value_box(part), self._frame(part))
        for key in self.givens:  # a leaf that nothing takes: the whole graph is that leaf
            if not self.users[key]:
                self._add(key, self._value_box(key), None)
        merged = self._merge()
        sizes = {key: size_of(g) for key, g in self.gradients.items() if g is not None}
        sizes |= {pair: size_of(sent) for pair, (_, sent, _) in merged.items() if sent is not None}
        scale = _Scale(sizes.values())
        for key, place in self.places.items():
            if key in sizes:
                box = self.boxes[place]
                self.boxes[place] = Box(
                    box.lines, box.kind, scale.heat(sizes[key]), box.hint, box.frame
                )
        edges = []
        for (source, target), (text, sent, dashed) in merged.items():
            lines = [Text(text, "note")] if text else []
            if self.shows_gradients and sent is not None:
                lines.append(Text(describe_gradient(sent), "note"))
            heat = scale.heat(sizes[source, target]) if (source, target) in sizes else None
            edges.append(Edge(self.places[source], self.places[target], tuple(lines), heat, dashed))
        return Scene(
            self.boxes, edges, self.frames, self.diagram.title, self._description(), scale.ends(),
            tuple(self.diagram.notes), goes_right,
        )  # fmt: skip

    def _add(self, key: Any, box: Box, frame: int | None) -> None:
        self.places[key] = len(self.boxes)
        self.boxes.append(replace(box, frame=frame))

    def _make_frames(self, pane: Pane, around: list[int]) -> None:
        for part in pane.parts:
            if isinstance(part, Pane):
                self.frames.append(Frame(part.title, frame=around[-1] if around else None))
                self.modules.append(part.place)
                self._make_frames(part, [*around, len(self.frames) - 1])
            else:
                self.frame_of[id(part) if isinstance(part, Sheet) else part] = around

    def _frame(self, key: Any) -> int | None:
        around = self.frame_of[key]
        return around[-1] if around else None

    def _home(self, key: Any) -> int | None:
        """Return the frame that a leaf stands in: that of all who take it, if it is theirs."""
        if not self.diagram.values[key].stays_inside:
            return None
        chains = [self.frame_of[self.shown[user]] for user in self.users[key]]
        common = None
        for frames in zip(*chains, strict=False):
            if len({*frames}) > 1:
                break
            common = frames[0]
        return common

    def _value_box(self, key: Any) -> Box:
        value = self.diagram.values[key]
        self.gradients[key] = value.gradient
        content = value.content()
        return Box(content.lines, value.kind, hint=content.hint, section=value.section)

    def _given_box(self, key: Any, home: int | None) -> Box:
        """Return the box of a leaf, which in the frame of its Module is called as there."""
        box = self._value_box(key)
        if home is None:
            return box
        first, *others = box.lines
        name = name_within(self.diagram.values[key].name, self.modules[home])
        return replace(box, lines=(Text(name, first.style), *others))

    def _sheet_box(self, sheet: Sheet) -> Box:
        inside = set(sheet.members)
        outs = [
            call for call in sheet.members if not self.users[call] or not self.users[call] <= inside
        ]
        values = self.diagram.values
        arrays = [values[call].gradient for call in outs if values[call].gradient is not None]
        if arrays:
            self.gradients[id(sheet)] = np.concatenate([np.ravel(a) for a in arrays])
        lines = [Text(sheet.title, "name")]
        if sheet.text:
            lines.append(Text(sheet.text))
        shape = values[outs[0]].content().shape if len(outs) == 1 else ""
        n = len(sheet.members)
        unit = f"{self.diagram.unit}{'s' * (n != 1)}"
        count = "" if sheet.title.endswith(unit) else f"{n} {unit}"
        notes = [note for note in (count, shape) if note]
        if notes:
            lines.append(Text(": ".join(notes), "note"))
        hint = [line.text for line in lines]
        if sheet.name:
            hint.append(f'unfold="{sheet.name}" opens it')
        section = values[sheet.members[0]].section
        return Box(tuple(lines), "folded", hint="\n".join(hint), section=section)

    # Arrows

    def _merge(self) -> dict[tuple[Any, Any], tuple[str, Any, bool]]:
        """Return for each two boxes with arrows between them: value, gradient, whether dashed."""
        between: dict[tuple[Any, Any], list[Arrow]] = defaultdict(list)
        for part in self.pane.flat():
            for call in part.members if isinstance(part, Sheet) else (part,):
                for arrow in self.takes[call]:
                    source = self.shown.get(arrow.source, arrow.source)
                    target = self.shown[call]
                    if source != target and source in self.places:
                        between[source, target].append(arrow)
        found = {}
        for pair, arrows in between.items():
            value = arrows[0].value if len({a.source for a in arrows}) == 1 else None
            text = describe(value) if self.shows_values and value is not None else ""
            dashed = all(arrow.is_dashed for arrow in arrows)
            found[pair] = text, _total(arrow.sent for arrow in arrows), dashed
        return found

    def _description(self) -> str:
        """Say in words what is shown."""
        steps = [
            part.title if isinstance(part, Sheet) else self.diagram.values[part].function
            for part in self.pane.flat()
        ]
        steps = [*map(str, steps)]
        if len(steps) > 30:
            steps = [*steps[:15], "and so on to", *steps[-5:]]
        names = [self.diagram.values[key].name for key in self.givens if key not in self.hidden]
        text = f"From {', '.join(names[:30])}: " if names else ""
        return f"{text}{', '.join(steps)}."


def _total(gradients: Iterable[Any]) -> Any:
    """Return the sum of gradients of one shape, those of several shapes in a row; None of none."""
    found: dict[tuple[int, ...], Any] = {}
    for g in gradients:
        if g is not None:
            shape = np.shape(g)
            found[shape] = found[shape] + g if shape in found else g
    if len(found) > 1:
        return np.concatenate([np.ravel(g) for g in found.values()])
    return next(iter(found.values()), None)


class _Scale:
    """Shades for the sizes of gradients, by their logarithm."""

    def __init__(self, sizes: Iterable[float]) -> None:
        logs = [math.log10(size) for size in sizes if 0 < size < math.inf]
        self.high = max(logs, default=0.0)
        # what is far below the largest is rounding, and would leave no shades for the others
        logs = [log for log in logs if log > self.high - ROUNDING]
        self.is_empty = not logs
        self.low = min(min(logs, default=0.0), self.high - DECADES)

    def heat(self, size: float) -> float | None:
        """Return 0 for the smallest, 1 for the largest and all that is not finite."""
        if not math.isfinite(size):
            return 1.0
        if size == 0 or self.is_empty:
            return None
        return max((math.log10(size) - self.low) / (self.high - self.low), 0.0)

    def ends(self) -> tuple[str, str] | None:
        """Return the smallest and the largest, as text."""
        return None if self.is_empty else (_round(10**self.low), _round(10**self.high))


def _round(size: float) -> str:
    """Return a number with two digits, as "23" rather than "2.3e+01"."""
    return f"{float(f'{size:.2g}'):g}"
