"""Where in the user's code something happens."""

from __future__ import annotations

import linecache
import os
import sys
from types import FrameType
from typing import NamedTuple

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARIES = (HERE, os.path.dirname(os.path.abspath(np.__file__)) + os.sep)


class Line(NamedTuple):
    """A line of the user's code; as text it ends a message."""

    file: str = ""
    number: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"\n  {self.file}:{self.number}: {self.text}" if self.file else ""


NOWHERE = Line()


def user_frame() -> FrameType:
    """Return the frame being run outside this library and NumPy."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        frame = frame.f_back
    return frame


def user_place() -> tuple[str, int]:
    """Return the file and the number of the line being run outside this library."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def line_at(place: tuple[str, int]) -> Line:
    """Return the line at a place, with its text."""
    return Line(*place, linecache.getline(*place).strip())


def user_line() -> Line:
    """Return the line being run outside this library."""
    return line_at(user_place())
