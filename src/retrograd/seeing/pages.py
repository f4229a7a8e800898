"""An explanation as text for a terminal, and as a table for a notebook."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from retrograd.seeing.entries import Entry

# lines are no longer than this, unless the names before them leave too little room
_INDENT, _WIDTH, _ROOM = "    ", 100, 64
_STYLE = "text-align:left;vertical-align:top;white-space:pre-wrap"
_HEADS = ("call", "value", "arrives (g)", "to", "what is sent", "by the rule")


def as_text(head: str, entries: Iterable[Entry]) -> str:
    """Return entries as text, with an empty line between them; leaves as a table.

    Args:
        head: what stands above.
        entries: what is shown.
    """
    blocks, leaves = [head], []
    for entry in entries:
        if entry.kind == "leaf":
            leaves.append(entry)
        else:
            blocks.append("\n".join(_lines(entry)))
    if leaves:
        blocks.append("\n".join(_leaf_lines(leaves)))
    return "\n\n".join(blocks)


def _lines(entry: Entry) -> Iterator[str]:
    margin = _INDENT * entry.depth
    title = entry.title + (f" = {entry.value}" if entry.value else "")
    if entry.value and len(margin) + len(title) > _WIDTH:
        yield from _wrapped(entry.title, margin, margin + 2 * _INDENT)
        yield from _wrapped(f"= {entry.value}", margin + 2 * _INDENT, margin + 2 * _INDENT)
    else:
        yield from _wrapped(title, margin, margin + 2 * _INDENT)
    rows = [("arrives", entry.arrives)]
    for sent in entry.sent:
        first = f"{sent.product} = {sent.result}" if sent.product else sent.result
        rows.append((f"to {sent.to}", (first, *sent.rule, *sent.notes)))
    rows += [("", (note,)) for note in entry.notes]
    width = max((len(name) for name, lines in rows if lines), default=0)
    for name, lines in rows:
        start = f"{margin}{_INDENT}{name:{width}}  " if width else f"{margin}{_INDENT}"
        for line in lines:
            yield from _wrapped(line, start, " " * len(start) + "  ")
            start = " " * len(start)


def _leaf_lines(leaves: Sequence[Entry]) -> Iterator[str]:
    rows = [("leaf", "value", ("gradient",)), *((e.title, e.value, e.arrives) for e in leaves)]
    name_width, value_width = (max(len(str(row[i])) for row in rows) for i in (0, 1))
    for name, value, arrives in rows:
        start = f"{name:{name_width}}  {value:{value_width}}  "
        for line in arrives:
            yield from _wrapped(line, start, " " * len(start) + "  ")
            start = " " * len(start)


def _wrapped(line: str, start: str, again: str) -> list[str]:
    if len(start) + len(line) <= max(_WIDTH, len(start) + _ROOM):
        return [(start + line).rstrip()]
    return textwrap.wrap(
        line, max(_WIDTH, len(start) + _ROOM), initial_indent=start, subsequent_indent=again,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def as_table(caption: str, entries: Iterable[Entry]) -> str:
    """Return entries as an HTML table, a row for each argument that something is sent to.

    Args:
        caption: what stands above.
        entries: what is shown.
    """
    head = "".join(f'<th style="{_STYLE}">{name}</th>' for name in _HEADS)
    rows = "".join(f"<tr>{row}</tr>" for entry in entries for row in _rows(entry))
    return (
        f"<table><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _rows(entry: Entry) -> Iterator[str]:
    lines = [
        ((f"{s.product} = {s.result}" if s.product else s.result), s.to, [*s.rule, *s.notes])
        for s in entry.sent
    ]
    title = "\u2003" * entry.depth + entry.title
    if not entry.value and not entry.arrives and not lines:
        text = "\n".join([title, *entry.notes])
        yield _cell([text], columns=len(_HEADS))
        return
    span = max(len(lines), 1)
    first = [_cell([part], span) for part in (title, entry.value)] + [_cell(entry.arrives, span)]
    for result, to, rule in lines[:1] or [("", "", [*entry.notes])]:
        yield "".join(first) + _cell([to]) + _cell([result]) + _cell(rule)
    for result, to, rule in lines[1:]:
        yield _cell([to]) + _cell([result]) + _cell(rule)


def _cell(lines: Iterable[str], rows: int = 1, columns: int = 1) -> str:
    text = "<br>".join(html.escape(line) for line in lines)
    spans = (f' rowspan="{rows}"' if rows > 1 else "") + (
        f' colspan="{columns}"' if columns > 1 else ""
    )
    return f'<td style="{_STYLE}"{spans}>{text}</td>'
