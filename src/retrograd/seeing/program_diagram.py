"""The diagram of a compiled program: its lines, and which takes what another computes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from retrograd.seeing.diagram import Arrow, Content, Diagram, Value
from retrograd.seeing.folding import Group, with_loops
from retrograd.seeing.svg import LONGEST, Text

if TYPE_CHECKING:
    from retrograd.compiler.readable import Parameter, Readable, Row

_LINES = 2  # of code in a box
_FUNCTION = re.compile(r"np\.([\w.]+)\(|(\w+)\(")
_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*")


def diagram_of_program(program: Readable) -> Diagram:
    """Return the diagram of a program.

    Args:
        program: the program as readers see it.
    """
    return _Reader(program).diagram()


class _Reader:
    def __init__(self, program: Readable) -> None:
        self.program = program
        self.returned = set(_NAME.findall(program.returns))
        self.values: dict[Any, Value] = {}
        self.arrows: list[Arrow] = []
        # where each name has its value from: positions of lines, names of parameters; of what
        # stands for one array after the other in a loop there are several
        self.makers: dict[str, tuple[Any, ...]] = {}

    def diagram(self) -> Diagram:
        program = self.program
        for p in program.parameters:
            if p.shape is not None and p.role != "count":
                self.makers[p.name] = (p.name,)
                self.values[p.name] = _parameter_value(p)
        kept = False
        each: tuple[str, ...] = ()
        for i, row in enumerate(program.rows):
            if not _is_shown(row):
                each = self._follow_head(row, each)
                continue
            self.values[i] = self._row_value(row)
            for source, name in self._sources(row):
                # a line that writes into an array says so itself
                if name in row.targets and isinstance(source, str):
                    continue
                made = program.rows[source] if isinstance(source, int) else None
                is_kept = made is not None and made.section == "forward" != row.section
                kept |= is_kept
                self.arrows.append(Arrow(source, i, is_dashed=is_kept))
            for name in row.targets:
                self.makers[name] = (i,)
        notes = ["dashed: what the backward pass takes from the forward pass"] if kept else []
        used = {arrow.source for arrow in self.arrows}
        values = {k: v for k, v in self.values.items() if isinstance(k, int) or k in used}
        lines = len(program.rows)
        title = f"The program of {program.name}: {lines} line{'s' * (lines != 1)}"
        return Diagram(values, self.arrows, self._group(), title, notes, "line")

    def _sources(self, row: Row) -> Iterator[tuple[Any, str]]:
        """Yield where a line has its inputs from, and their names."""
        for name in row.inputs:
            for source in self.makers.get(name, ()):
                yield source, name

    def _follow_head(self, row: Row, each: tuple[str, ...]) -> tuple[str, ...]:
        """Note what the names of a loop over several arrays stand for; return these names."""
        if row.targets and row.text.startswith("for ") and row.text.endswith("("):
            self.makers |= dict.fromkeys(row.targets, ())
            return row.targets
        # a line of the head has one array for each name, but for that of a count before them
        for name, array in zip(each[len(each) - len(row.inputs) :], row.inputs, strict=False):
            self.makers[name] += self.makers.get(array, ())
        return each if row.inputs else ()

    def _group(self) -> Group:
        """Return the lines in groups: by section, by loop, and where lines repeat themselves."""
        sections: list[tuple[str, list[Any]]] = []
        for i, row in enumerate(self.program.rows):
            if not _is_shown(row):
                continue
            if not sections or sections[-1][0] != row.section:
                sections.append((row.section, []))
            parts = sections[-1][1]
            if row.depth > 1:
                if not (parts and isinstance(parts[-1], Group)):
                    parts.append(Group("rounds", [], f"done {row.times} times"))
                parts = parts[-1].parts
            parts.append(i)
        numbers: dict[str, int] = {}
        groups = []
        for name, parts in sections:
            kinds = [
                -1 - n if isinstance(part, Group) else self._kind(part, numbers)
                for n, part in enumerate(parts)
            ]
            functions = [str(kind) for kind in kinds]
            groups.append(Group("section", with_loops(parts, kinds, functions), name))
        return Group("all", groups)

    def _kind(self, i: int, numbers: dict[str, int]) -> int:
        """Return a number that is the same for lines that differ in names only."""
        text = _NAME.sub(
            lambda word: word[0] if word[0] == "np" else "_", self.program.rows[i].text
        )
        return numbers.setdefault(text, len(numbers))

    def _row_value(self, row: Row) -> Value:
        target, symbol, code = _parts(row)
        name = ", ".join(row.targets)

        def content() -> Content:
            lines = [Text(name, "name")] if target else []
            lines += [Text(line) for line in _wrap(f"{symbol} {code}" if symbol != "=" else code)]
            if row.shape:
                lines.append(Text(str(row.shape), "note"))
            hint = row.text
            if row.origin.file:
                hint += f"\nfrom {row.origin.text}\n{row.origin.place}"
            return Content(tuple(lines), hint, "" if row.shape is None else str(row.shape))

        kind = "result" if {*row.targets} & self.returned else "call"
        function = _FUNCTION.search(code)
        called = next(filter(None, function.groups()), "") if function else name
        return Value(name, content, kind, function=called, section=row.section)


def _parameter_value(p: Parameter) -> Value:
    shape = str(p.shape)
    lines = (Text(p.name, "name"), Text(shape, "note"))
    content = Content(lines, f"{p.name}: {p.dtype} {shape}", shape)
    tensor = None if p.var is None else p.var.tensor
    is_parameter = tensor is not None and tensor.requires_grad
    kind = "parameter" if is_parameter else "data"
    return Value(p.name, lambda: content, kind, stays_inside=p.role != "argument")


def _is_shown(row: Row) -> bool:
    """Tell whether a line has a box: those of plain numbers, and the heads of loops, have none."""
    return row.dtype is not None


def _parts(row: Row) -> tuple[str, str, str]:
    """Return what a line assigns to, the symbol that does, and what is assigned."""
    found = re.match(r"(.+?) ([-+*/]?=) (.*)", row.text, re.DOTALL)
    return (found[1], found[2], found[3]) if found else ("", "=", row.text)


def _wrap(code: str) -> Sequence[str]:
    """Return code in lines, of which the last ends in three dots where there would be more."""
    lines = textwrap.wrap(code, LONGEST, break_long_words=False, break_on_hyphens=False)
    if len(lines) > _LINES:
        last = lines[_LINES - 1][: LONGEST - 2]
        lines = [*lines[: _LINES - 1], f"{last} \N{HORIZONTAL ELLIPSIS}"]
    return lines
