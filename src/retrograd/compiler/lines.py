"""Where in the user's code something happens, and the error that says so."""

from __future__ import annotations

import linecache
import os
import sys
from typing import NamedTuple

from retrograd.engine.tensor import is_of_library

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class TraceError(RuntimeError):
    """A function does something that a recorded program cannot do again.

    The message ends with the line of the user's code that does it.

    >>> step = rg.compile(lambda x: x * x.sum().item())
    >>> try:
    ...     step(np.ones(3))
    ... except rg.TraceError as error:
    ...     print(str(error)[:30])
    t.item() cannot be compiled: t
    """


class Line(NamedTuple):
    """A line of the user's code; as text it ends a message."""

    file: str = ""
    number: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"\n  {self.file}:{self.number}: {self.text}" if self.file else ""


NOWHERE = Line()


def user_place() -> tuple[str, int]:
    """Return the file and the number of the line being run outside of libraries."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(HERE) or is_of_library(frame)
    ):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def line_at(place: tuple[str, int]) -> Line:
    """Return the line at a place, with its text."""
    return Line(*place, linecache.getline(*place).strip())


def user_line() -> Line:
    """Return the line being run outside of libraries."""
    return line_at(user_place())
