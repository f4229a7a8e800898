"""Where in the user's code something happens."""

from __future__ import annotations

import linecache
import os
import sys
from types import FrameType
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# whose code takes numbers for a user, who wrote none of its lines
_LIBRARIES = (
    "retrograd.", "numpy.", "scipy.", "sklearn.", "matplotlib.", "statistics.", "random.",
)  # fmt: skip


class Line(NamedTuple):
    """A line of the user's code; as text it ends a message."""

    file: str = ""
    number: int = 0
    text: str = ""

    @property
    def place(self) -> str:
        """The file and the number; of a notebook the cell, such as "In[8]:3"."""
        return f"{_cell_of(self.file) or self.file}:{self.number}" if self.file else ""

    @property
    def short_place(self) -> str:
        """The same, of a file its name alone."""
        return self.place.replace("\\", "/").rpartition("/")[2]

    def __str__(self) -> str:
        return f"\n  {self.place}: {self.text}" if self.file else ""


def _cell_of(file: str) -> str:
    """Return the cell of a notebook whose code lies in a file that only IPython knows, or ""."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return ""
    named = shell.compile.format_code_name(file)
    return str(named[1]) if named else ""


NOWHERE = Line()


def is_of_library(frame: FrameType) -> bool:
    """Tell whether a frame runs code of a library, or code that this one has written."""
    if frame.f_code.co_filename.startswith(HERE):
        return True
    return f"{frame.f_globals.get('__name__', '')}.".startswith(_LIBRARIES)


def user_frame() -> FrameType:
    """Return the frame being run outside of libraries."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_of_library(frame):
        frame = frame.f_back
    return frame


def user_place() -> tuple[str, int]:
    """Return the file and the number of the line being run outside of libraries."""
    frame = user_frame()
    return frame.f_code.co_filename, frame.f_lineno


def line_at(place: tuple[str, int]) -> Line:
    """Return the line at a place, with its text."""
    return Line(*place, linecache.getline(*place).strip())


def user_line() -> Line:
    """Return the line being run outside of libraries."""
    return line_at(user_place())
