"""What of a large graph is shown: which groups are opened, and what stays folded."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrograd.seeing.folding import Group

MOST_BOXES = 48  # are shown, if nobody asks for more
MOST_PARTS = 20  # of one group; of more only the first and the last, as many as ENDS each
ENDS = 7


@dataclass
class Sheet:
    """Parts that are folded into one.

    Args:
        title: what they are.
        text: what else is to be said of them; "" for nothing.
        members: all calls inside, in recorded order.
        group: what it is when it is opened; None for what is not to be opened by itself.
    """

    title: str
    text: str
    members: list[Any]
    group: Group | None = None


@dataclass
class Pane:
    """A group that is opened: its parts are shown."""

    title: str
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
    unfold: bool | Collection[str] = (),
) -> Pane:
    """Open groups, the outer ones first, until as much is shown as one can look at.

    Args:
        top: the group of everything.
        weigh: how many boxes a call takes, with what stands beside it.
        spell: the name of the function of a call.
        unfold: True for everything; or the names of groups that are opened whatever their size.

    Returns:
        The opened group.
    """
    everything = unfold is True
    wanted = () if isinstance(unfold, bool) else tuple(unfold)

    def weight(parts: Sequence[Any]) -> int:
        return sum(1 if isinstance(part, Sheet) else weigh(part) for part in parts)

    whole = Pane("", _parts(top, spell, everything))
    total = weight(whole.parts)
    panes = deque([whole])
    while panes:
        pane = panes.popleft()
        for i, sheet in enumerate(pane.parts):
            if not isinstance(sheet, Sheet) or sheet.group is None:
                continue
            inner = _parts(sheet.group, spell, everything)
            more = weight(inner) - 1
            if everything or total + more <= MOST_BOXES or _holds(sheet.group, wanted):
                total += more
                title = f"{sheet.title}: {sheet.group.type}" if sheet.group.type else sheet.title
                pane.parts[i] = opened = Pane(title, inner)
                panes.append(opened)
    return whole


def _holds(group: Group, wanted: tuple[str, ...]) -> bool:
    """Tell whether a group is wanted, or one inside of it is."""
    if not wanted:
        return False
    if group.name in wanted or group.kind in wanted:
        return True
    return any(_holds(part, wanted) for part in group.parts if isinstance(part, Group))


def _parts(group: Group, spell: Callable[[Any], str], everything: bool) -> list[Any]:
    """Return what is shown of an opened group: calls, and groups as sheets."""
    parts: list[Any] = [*group.parts]
    if group.kind == "loop" and not everything:
        first, *others = group.parts
        assert isinstance(first, Group)
        members = [call for other in others for call in _calls(other)]
        rest = Sheet(f"{len(others)} more", "equal to the one before", members)
        return [*_sheets(first.parts, spell), rest]
    if len(parts) > MOST_PARTS and not everything:
        begin, middle, end = parts[:ENDS], parts[ENDS:-ENDS], parts[-ENDS:]
        calls = [call for part in middle for call in _calls(part)]
        counts = Counter(map(spell, calls)).most_common(3)
        text = ", ".join(f"{name} {count}" for name, count in counts)
        run = Sheet(_count(len(calls)), text, calls)
        return [*_sheets(begin, spell), run, *_sheets(end, spell)]
    return _sheets(parts, spell)


def _sheets(parts: Sequence[Any], spell: Callable[[Any], str]) -> list[Any]:
    return [_sheet(part, i) if isinstance(part, Group) else part for i, part in enumerate(parts)]


def _sheet(group: Group, i: int) -> Sheet:
    members = [*_calls(group)]
    if group.kind == "loop":
        title = f"{len(group.parts)} equal parts"
    elif group.kind == "round":
        title = f"part {i + 1}"
    else:
        title = group.name or group.type
    return Sheet(title, group.type, members, group)


def _calls(part: Any) -> Iterator[Any]:
    if isinstance(part, Group):
        yield from part.nodes()
    else:
        yield part


def _count(n: int) -> str:
    return f"{n} call{'s' * (n != 1)}"
