"""What of a large graph is shown: which groups are opened, and what stays folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrograd.seeing.folding import Group, name_groups
from retrograd.seeing.svg import LONGEST_TITLE

MOST_BOXES = 32  # are shown, if nobody asks for more
MOST_PARTS = 18  # of one group; of more only the first and the last, as many as ENDS each
ENDS = 5
LEAST_LOOP = 8  # calls of a loop that is folded: shorter ones are shown as they are


@dataclass
class Sheet:
    """Parts that are folded into one.

    Args:
        title: what they are.
        text: what else is to be said of them; "" for nothing.
        members: all calls inside, in recorded order.
        group: what it is when it is opened; None for what is not to be opened by itself.
        name: by which it is unfolded.
    """

    title: str
    text: str
    members: list[Any]
    group: Group | None = None
    name: str = ""

    @property
    def full_title(self) -> str:
        """Its title, with the class of a Module."""
        return f"{self.title}: {self.text}" if self.group and self.group.type else self.title


@dataclass
class Pane:
    """A group that is opened: its parts are shown.

    Args:
        title: what it is.
        place: of a Module its name, such as "net.0"; of others that of the Module around it.
        parts: calls, sheets and panes.
    """

    title: str
    place: str = ""
    parts: list[Any] = field(default_factory=list)

    def flat(self) -> Iterator[Any]:
        """Yield calls and sheets, also those in panes inside."""
        stack = [*reversed(self.parts)]
        while stack:
            part = stack.pop()
            if isinstance(part, Pane):
                stack += reversed(part.parts)
            else:
                yield part


def open_up(
    top: Group,
    weigh: Callable[[Any], int],
    spell: Callable[[Any], str],
    unfold: bool | str | Collection[str] = False,
    unit: str = "call",
) -> Pane:
    """Open groups, level by level, until as much is shown as one can look at.

    A level is opened as a whole or not at all, so that equal things are shown alike; but where
    little is shown so far, as much of it is opened as there is room for.

    Args:
        top: the group of everything.
        weigh: how many boxes a call takes, with what stands beside it.
        spell: the name of the function of a call.
        unfold: True for everything; or the names of groups that are opened whatever their size.
        unit: what a call is called here.

    Returns:
        The opened group.

    Raises:
        ValueError: if `unfold` names a group that there is not.
    """
    everything = unfold is True
    names = name_groups(top)
    wishes = [unfold] if isinstance(unfold, str) else [] if isinstance(unfold, bool) else unfold
    if unknown := [wish for wish in wishes if wish not in names.values()]:
        known = ", ".join(dict.fromkeys(names.values())) or "none"
        raise ValueError(f"there is no group {unknown[0]!r} to unfold; there are: {known}")
    wanted = {key for key, name in names.items() if name in wishes}
    parts_of = _Parts(spell, everything, wanted, names, unit)

    def weight(parts: Sequence[Any]) -> int:
        return sum(1 if isinstance(part, Sheet) else weigh(part) for part in parts)

    whole = Pane("", "", parts_of(top, ""))
    total, panes = weight(whole.parts), [whole]
    while panes:
        level = []
        for pane in panes:
            for i, sheet in enumerate(pane.parts):
                if isinstance(sheet, Sheet) and sheet.group is not None:
                    place = sheet.group.name if sheet.group.type else pane.place
                    inner = parts_of(sheet.group, place)
                    level.append((pane, i, sheet, Pane(sheet.full_title, place, inner)))
        fits = everything or total + sum(weight(x[3].parts) - 1 for x in level) <= MOST_BOXES
        room = MOST_BOXES if fits or total < MOST_BOXES / 2 else 0
        panes = []
        for pane, i, sheet, opened in level:
            more = weight(opened.parts) - 1
            if fits or total + more <= room or _holds(sheet.group, wanted):
                pane.parts[i] = opened
                panes.append(opened)
                total += more
    _join(whole)
    return whole


def _join(whole: Pane) -> None:
    """Make one of panes that are nothing but one in another."""
    panes = [whole]
    for pane in panes:
        while pane is not whole and len(pane.parts) == 1 and isinstance(pane.parts[0], Pane):
            inner = pane.parts[0]
            title = f"{pane.title} \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} {inner.title}"
            if len(title) > LONGEST_TITLE:
                break
            pane.title, pane.place, pane.parts = title, inner.place, inner.parts
        panes += [part for part in pane.parts if isinstance(part, Pane)]


def name_within(name: str, place: str) -> str:
    """Return how a place is called within a Module that it lies in.

    >>> name_within("net.layers.0", "net.layers"), name_within("net.head", "net")
    ('layers.0', 'head')
    """
    if not place or not name.startswith(f"{place}."):
        return name
    rest = name[len(place) + 1 :]
    return f"{place.rpartition('.')[2]}.{rest}" if rest[0].isdigit() else rest


def _holds(group: Any, wanted: set[int]) -> bool:
    """Tell whether a group is wanted, or one inside of it is."""
    if not wanted:
        return False
    inside = (part for part in group.parts if isinstance(part, Group))
    return id(group) in wanted or any(_holds(part, wanted) for part in inside)


@dataclass
class _Parts:
    """What is shown of an opened group: calls, and groups as sheets."""

    spell: Callable[[Any], str]
    everything: bool
    wanted: set[int]
    names: dict[int, str]
    unit: str

    def __call__(self, group: Group, place: str) -> list[Any]:
        if self.everything:
            return self._sheets(group.parts, place)
        if group.kind == "loop":
            return self._first_round(group, place)
        parts: list[Any] = []
        for part in group.parts:
            is_loop = isinstance(part, Group) and part.kind == "loop"
            inner = [*_calls(part)] if is_loop else ()
            parts += inner if 0 < len(inner) < LEAST_LOOP else (part,)
        middle = parts[ENDS:-ENDS]
        if len(parts) <= MOST_PARTS or self._are_wanted(middle):
            return self._sheets(parts, place)
        calls = [call for part in middle for call in _calls(part)]
        counts = Counter(map(self.spell, calls)).most_common(3)
        text = ", ".join(f"{name} {count}" for name, count in counts)
        run = Sheet(f"{len(calls)} {self.unit}s", text, calls)
        return [*self._sheets(parts[:ENDS], place), run, *self._sheets(parts[-ENDS:], place)]

    def _first_round(self, loop: Group, place: str) -> list[Any]:
        """Return the first round of a loop, and the others as one sheet."""
        first, *others = loop.parts
        assert isinstance(first, Group)
        if self._are_wanted(others):
            return self._sheets(loop.parts, place)
        members = [call for other in others for call in _calls(other)]
        rest = Sheet(f"{len(others)} more", "like the one before", members)
        return [*self._sheets(first.parts, place), rest]

    def _are_wanted(self, parts: Sequence[Any]) -> bool:
        return any(_holds(part, self.wanted) for part in parts if isinstance(part, Group))

    def _sheets(self, parts: Sequence[Any], place: str) -> list[Any]:
        return [
            self._sheet(part, place, i) if isinstance(part, Group) else part
            for i, part in enumerate(parts)
        ]

    def _sheet(self, group: Group, place: str, i: int) -> Sheet:
        members = [*_calls(group)]
        if group.kind == "loop":
            title = f"{len(group.parts)} equal parts"
        elif group.kind == "round":
            title = f"part {i + 1}"
        else:
            title = name_within(group.name, place) or group.type
        return Sheet(title, group.type, members, group, self.names.get(id(group), ""))


def _calls(part: Any) -> Iterator[Any]:
    if isinstance(part, Group):
        yield from part.nodes()
    else:
        yield part
