"""An explanation as text for a terminal, and as a table for a notebook."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from retrograd.seeing.entries import Entry

# lines are no longer than this, unless the names before them leave too little room
_INDENT, _WIDTH, _ROOM = "    ", 100, 64
# twice: notebooks overrule attributes, and pages that show a notebook take styles out
_SIDE = 'align="left" valign="top" style="text-align:left;vertical-align:top;white-space:pre-wrap"'
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
    head = "".join(f"<th {_SIDE}>{name}</th>" for name in _HEADS)
    rows = "".join(f"<tr>{row}</tr>" for entry in entries for row in _rows(entry))
    return (
        f"<table><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _rows(entry: Entry) -> Iterator[str]:
    lines = [
        (_times(f"{s.product} = {s.result}" if s.product else s.result), s.to, s.rule, s.notes)
        for s in entry.sent
    ]
    title = "\u2003" * entry.depth + entry.title
    if not entry.value and not entry.arrives and not lines:
        text = "\n".join([title, *entry.notes])
        yield _cell([text], columns=len(_HEADS))
        return
    span = max(len(lines), 1)
    title = _code([title]) if entry.kind in ("call", "leaf") else html.escape(title)
    first = [_cell_of(title, span), _cell([entry.value], span), _cell(entry.arrives, span)]
    for result, to, rule, notes in lines[:1] or [("", "", (), entry.notes)]:
        yield "".join(first) + _last(result, to, rule, notes)
    for line in lines[1:]:
        yield _last(*line)


def _last(result: str, to: str, rule: Iterable[str], notes: Iterable[str]) -> str:
    """Return the cells that there are for each argument."""
    lines = [part for part in (_code(rule), _plain(notes)) if part]
    return _cell_of(_code([to]), 1) + _cell([result]) + _cell_of("<br>".join(lines), 1)


def _times(text: str) -> str:
    """Return a product with the sign that is no letter: an argument may be called x."""
    return text.replace(" x ", " \N{MULTIPLICATION SIGN} ")


def _code(lines: Iterable[str]) -> str:
    """Return code in a typeface of its own, a line for what each sign of equality says."""
    text = "<br>".join(_plain(_equal_parts(line)) for line in lines)
    # not <code>, whose background covers the line above where one is wrapped
    return f"<samp>{text}</samp>" if text else ""


def _equal_parts(line: str) -> list[str]:
    """Return "y = f(x) = f(2)" as "y = f(x)" and "= f(2)", and a rule before its numbers."""
    first, *rest = line.split(" = ")
    if rest and first.strip().isidentifier():
        first = f"{first} = {rest.pop(0)}"
    return [first, *(f"=\N{NO-BREAK SPACE}{part}" for part in rest)]


def _plain(lines: Iterable[str]) -> str:
    return "<br>".join(html.escape(line) for line in lines)


def _cell(lines: Iterable[str], rows: int = 1, columns: int = 1) -> str:
    return _cell_of(_plain(lines), rows, columns)


def _cell_of(text: str, rows: int, columns: int = 1) -> str:
    spans = (f' rowspan="{rows}"' if rows > 1 else "") + (
        f' colspan="{columns}"' if columns > 1 else ""
    )
    return f"<td {_SIDE}{spans}>{text}</td>"
