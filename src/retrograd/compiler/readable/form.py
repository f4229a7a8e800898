"""A readable program as data, for whoever writes, draws, times or follows it line by line."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.compiler.ir import Var
from retrograd.lines import NOWHERE, Line

WIDTH = 64  # columns: code up to this width has its comment in one column with that of its block


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a readable program is given.

    Args:
        name: its name.
        role: "argument", of the function; "array" that the function finds outside, such as a
            parameter or a gradient from before; "state" of an optimizer; "count" of updates;
            "number", such as a learning rate; "constant"; "generator" of random numbers;
            "function".
        read: returns what it is now; None for an argument.
        shape: its shape, None for what is no array.
        dtype: its dtype, None for what is no array.
        var: its array in the program, None for what is none there.
        sizes: the lengths of its axes as text, "n" for that of a batch; None where these are the
            numbers in `shape`.
    """

    name: str
    role: str
    read: Callable[[], Any]
    shape: tuple[int, ...] | None = None
    dtype: np.dtype[Any] | None = None
    var: Var | None = None
    sizes: tuple[str, ...] | None = None

    @property
    def value(self) -> Any:
        """What it is now; None for an argument."""
        return self.read()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a readable program.

    Args:
        text: the statement, without indentation and comment.
        section: "forward", "backward" or "update".
        targets: the names that it assigns, or writes into.
        inputs: the names that it reads.
        shape: the shape of what it assigns; None for the head of a loop and the like.
        dtype: its dtype, likewise.
        origin: the user's line that it comes from.
        depth: 1 in the function, 2 in a loop.
        times: how often a run does it.
        writes: the names of arrays that it changes in place.
    """

    text: str
    section: str
    targets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    dtype: np.dtype[Any] | None = None
    origin: Line = NOWHERE
    depth: int = 1
    times: int = 1
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Readable:
    """A program for readers, which runs as it stands.

    Args:
        name: the name of its function.
        parameters: what it is given, in order; arguments are positional, all else by keyword.
        rows: its lines, in order.
        returns: what it returns, as text; "" for nothing.
        helpers: the source of the functions that it calls and that are none of NumPy's.
        note: what a reader has to know about the sizes of arguments, "" for nothing.
    """

    name: str
    parameters: tuple[Parameter, ...]
    rows: tuple[Row, ...]
    returns: str
    helpers: tuple[str, ...] = ()
    note: str = ""

    def __repr__(self) -> str:
        count = len(self.rows)
        return f"<the program of {self.name} for readers: {count} line{'s' * (count != 1)}>"

    def __str__(self) -> str:
        return self.source

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.source)}</pre>"

    def arrays(self) -> dict[str, Any]:
        """Return what is passed by keyword, as it is now: arrays themselves, not copies."""
        return {p.name: p.value for p in self.parameters if p.role != "argument"}

    def sections(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield each section with its rows."""
        rows: list[Row] = []
        for row in self.rows:
            if rows and row.section != rows[0].section:
                yield rows[0].section, rows
                rows = []
            rows.append(row)
        if rows:
            yield rows[0].section, rows

    @property
    def source(self) -> str:
        """The program as text: its function, and below it those that it calls."""
        return "\n".join([self.function, *(f"\n\n{part}" for part in self.helpers)])

    @property
    def function(self) -> str:
        """The function as text."""
        lines = self._head()
        if self.note:
            lines.append(f"    # {self.note}")
        for section, rows in self.sections():
            lines.append(f"\n    # {section}")
            lines += _aligned(rows)
        if self.returns:
            lines.append(f"    return {self.returns}")
        elif not self.rows:
            lines.append("    pass")
        return "\n".join(lines)

    def _head(self) -> list[str]:
        """Return the lines of the signature: one parameter a line, with its shape."""
        given = [p for p in self.parameters if p.role == "argument"]
        others = [p for p in self.parameters if p.role != "argument"]
        if not others and len(given) < 4:
            names = ", ".join(p.name for p in given)
            return [
                f"def {self.name}({names}):",
                *(f"    # {p.name}: {_describe(p)}" for p in given),
            ]
        state = [p for p in others if p.role == "state"]
        texts = [(f"{p.name},", _describe(p)) for p in given]
        texts += [("*,", "")] * bool(others)
        texts += [(f"{p.name},", _describe(p)) for p in others if p.role != "state"]
        if not texts:
            return [f"def {self.name}():"]
        width = max(len(text) for text, _ in texts)
        lines = [
            f"    {text:<{width}}  # {note}" if note else f"    {text}" for text, note in texts
        ]
        if state:
            lines.append("    # the state of the optimizer, in the shapes of the parameters")
            names = " ".join(f"{p.name}," for p in state)
            lines += textwrap.wrap(names, 96, initial_indent="    ", subsequent_indent="    ")
        return [f"def {self.name}(", *lines, "):"]


def _describe(p: Parameter) -> str:
    if p.shape is not None:
        shape = str(p.shape)
        if p.sizes is not None:
            shape = f"({', '.join(p.sizes)}{',' * (len(p.sizes) == 1)})"
        return f"{shape} {p.dtype}"
    return {"number": f"{p.value}", "generator": "np.random.Generator"}.get(p.role, p.role)


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Return lines with their comments in one column."""
    texts = ["    " * row.depth + row.text for row in rows]
    width = max((len(text) for text in texts if len(text) <= WIDTH), default=0)
    return [
        f"{text:<{width}}  {_comment(row)}".rstrip() for text, row in zip(texts, rows, strict=True)
    ]


def _comment(row: Row) -> str:
    if not row.targets and row.dtype is None:
        return ""  # it goes on with the head of a loop, whose first line tells
    shape = "" if row.shape is None else str(row.shape)
    parts = [part for part in (shape, row.origin.short_place) if part]
    return f"# {'  '.join(parts)}" if parts else ""
