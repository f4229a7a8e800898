"""`step.profile`: what each line of a program takes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from retrograd.compiler.aside import Aside
from retrograd.compiler.assembly import Step
from retrograd.compiler.moving import State
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.statements import Name
from retrograd.compiler.writer import PYTHON
from retrograd.engine import rehearsal
from retrograd.lines import Line
from retrograd.tables import as_html, as_text

if TYPE_CHECKING:
    from retrograd.compiler.step import CompiledStep

SECONDS = 0.2  # about so long a program is timed
RUNS = 5, 500  # at least and at most
WIDTH = 72  # of a column of text at most
_PAGE = 16  # lines in a notebook


class ProfiledLine(NamedTuple):
    """A line of a program, with what it takes.

    Args:
        text: the statement.
        section: "forward", "backward" or "update".
        microseconds: the median time of a run of it.
        bytes: of the arrays that it reads and writes.
        shape: of the array that it fills; "" where it fills none.
        line: the user's line that it comes from.

    >>> step = rg.compile(lambda x: np.exp(x) + 1)
    >>> step.profile(np.zeros(4)).lines[0][:2]
    ('np.exp(x, out=exp)', 'forward')
    """

    text: str
    section: str
    microseconds: float
    bytes: int
    shape: str
    line: Line


class ProgramProfile:
    """What each line of a program takes: `print` it, or let a notebook show it.

    Args:
        lines: the lines in the order in which they run.
        runs: how often the program was run.

    Attributes:
        lines: the lines in the order in which they run.
        runs: how often the program was run.

    >>> step = rg.compile(lambda x: np.sum(np.exp(x) * x))
    >>> profile = step.profile(np.zeros(100_000))
    >>> profile.hottest()[0].text
    'np.exp(x, out=exp)'
    """

    def __init__(self, lines: Sequence[ProfiledLine], runs: int) -> None:
        self.lines = list(lines)
        self.runs = runs

    @property
    def microseconds(self) -> float:
        """The time of all lines together."""
        return sum(line.microseconds for line in self.lines)

    def hottest(self, count: int | None = None) -> list[ProfiledLine]:
        """Return the lines that take longest, the hottest first.

        Args:
            count: how many of them (default: all).

        Returns:
            The lines.

        >>> step = rg.compile(lambda x: np.exp(x) + 1)
        >>> len(step.profile(np.zeros(10)).hottest(1))
        1
        """
        ordered = sorted(self.lines, key=lambda line: line.microseconds, reverse=True)
        return ordered[:count]

    def in_order(self) -> str:
        """Return the table with the lines in the order in which they run, in their sections.

        Returns:
            The table as text.

        >>> step = rg.compile(lambda x: np.exp(x) + 1)
        >>> print(step.profile(np.zeros(10)).in_order().splitlines()[1].split()[-1])
        forward
        """
        lines: list[str] = []
        text = as_text(self._rows(self.lines), right=(0, 1, 2)).splitlines()
        lines.append(text[0])
        pairs = zip(self.lines, text[1:], strict=True)
        for section, group in itertools.groupby(pairs, lambda pair: pair[0].section):
            lines += [f"# {section}", *(row for _, row in group)]
        return "\n".join([*lines, self._total()])

    def __str__(self) -> str:
        return f"{as_text(self._rows(self.hottest()), right=(0, 1, 2))}\n{self._total()}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.lines)} lines: {self._total()}>"

    def _repr_html_(self) -> str:
        hottest = self.hottest()
        rows = self._rows(hottest[:_PAGE])
        if more := hottest[_PAGE:]:
            share = 100 * sum(line.microseconds for line in more) / (self.microseconds or 1.0)
            times = f"{sum(line.microseconds for line in more):.1f}", f"{share:.0f}"
            told = f"{len(more)} more lines: print shows them"
            rows.append((*times, "", told, "", ""))
        return as_html(rows, right=(0, 1, 2), caption=self._total(), code=(3,))

    def _rows(self, lines: Sequence[ProfiledLine]) -> list[tuple[str, ...]]:
        total = self.microseconds or 1.0
        return [
            ("us", "%", "bytes", "line", "shape", "from"),
            *(
                (
                    f"{line.microseconds:.1f}", f"{100 * line.microseconds / total:.0f}",
                    f"{line.bytes:,}", _shorten(line.text), line.shape, _shorten(line.line.text),
                )
                for line in lines
            ),
        ]  # fmt: skip

    def _total(self) -> str:
        return f"{self.microseconds:,.1f} us in {len(self.lines)} lines, median of {self.runs} runs"


def _shorten(text: str) -> str:
    """Return a text that fits a column of a table."""
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def profile(step: CompiledStep, args: Any, kwargs: dict[str, Any]) -> ProgramProfile:
    """Time each line of the program for some arguments: see `CompiledStep.profile`."""
    with step._lock:
        aside = Aside(step, args, kwargs)
        ready = aside.find_program() or aside.make_program()
        state = State(ready)
        try:
            with rehearsal():
                times = _time(ready, aside.arrays)
        finally:
            state.put_back()
    medians = np.median(times, axis=0)
    lines = [
        ProfiledLine(
            PYTHON.statement(item.statement),
            item.call.section,
            float(medians[i]) / 1000,
            _bytes_of(ready, item),
            str(item.fills.shape) if item.fills else "",
            item.call.origin,
        )
        for i, item in enumerate(ready.code.body)
    ]
    return ProgramProfile(lines, len(times))


def _time(ready: ReadyProgram, arguments: Any) -> Any:
    """Return the nanoseconds of each statement in each run, as an array of runs and statements."""
    marks = [0] * (len(ready.steps) + 2)
    lines = ready.lines[: ready.first_step - 1]  # the head, and numbers that are read anew
    lines += ["    _marks[0] = _now()", "    _marks[1] = _now()"]
    for i, number in enumerate(sorted(ready.steps), 2):
        lines += [ready.lines[number - 1], f"    _marks[{i}] = _now()"]
    space = {**ready.namespace, "_marks": marks, "_now": time.perf_counter_ns}
    exec(compile("\n".join(lines), f"{ready.file} timed", "exec"), space)
    program = space.pop("program")  # which is no circle then
    given = ready.arrays(arguments)
    found: list[Any] = []
    end = time.perf_counter() + SECONDS
    with np.errstate(all="ignore"):
        program(*given)  # the first run finds memory cold
        while len(found) < RUNS[0] or (len(found) < RUNS[1] and time.perf_counter() < end):
            program(*given)
            steps = np.diff(marks)
            found.append(np.maximum(steps[1:] - steps[0], 0))  # less what the clock itself takes
    return np.array(found)


def _bytes_of(ready: ReadyProgram, step: Step) -> int:
    """Return the bytes of the arrays that a statement names."""
    layouts = {name: var for var, name in ready.code.names.items()}
    total = 0
    for name in _names_in(step):
        array = ready.namespace.get(name)
        if isinstance(array, np.ndarray):
            total += array.nbytes
        elif name in layouts:
            total += layouts[name].size * layouts[name].dtype.itemsize
    return total


def _names_in(step: Step) -> set[str]:
    statement: Any = step.statement
    parts: list[Any] = []
    for field in ("call", "out", "target", "value", "where"):
        part = getattr(statement, field, None)
        if part is not None:
            parts += part.parts()
    parts += [p for target in getattr(statement, "targets", ()) for p in target.parts()]
    return {part.text for part in parts if isinstance(part, Name)}
