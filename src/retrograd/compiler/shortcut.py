"""A program and the conditions under which it holds as one function, for what is called often.

A call of Python within costs as much as ten conditions. The function has the lines of the program
itself, so that what mends a run which failed finds them, by a number that is higher throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.guards import GIVEN, entry_lines
from retrograd.compiler.writer import FastWriter
from retrograd.engine import wrap

if TYPE_CHECKING:
    from retrograd.compiler.program import ReadyProgram

RUNS = 16  # a program that has run so often gets one
LINES = 200  # a program of more gains nothing by it
MISSED = object()  # what it returns where the program does not hold

Shortcut = Callable[[tuple[Any, ...]], Any]


def make_shortcut(ready: ReadyProgram) -> Shortcut | None:
    """Return a function of the tuple of arguments that runs a program, or returns `MISSED`.

    It returns a Tensor, as the program's function does. None where it is not worth while: for
    programs of many lines or results, with gradients to come, or that ask NumPy for errors.

    Args:
        ready: the program, settled.
    """
    if not (ready.settled and ready.single) or ready.graph is not None or ready.program.errors:
        return None
    if len(ready.lines) > LINES:
        return None
    writer = FastWriter({**ready.namespace})
    missed = writer.bind("missed", MISSED)
    begin = entry_lines(ready.code.inputs, ready.args, ready.guards, writer, missed)
    result = f"{writer.bind('copied', np.array)}({ready.code.results[0]})"
    end = f"    return {writer.bind('wrap', wrap)}({result})"
    body = ready.lines[1 : ready.end]
    lines = [f"def program({GIVEN}):", *begin, *body, end]
    ready.compile(lines, writer.namespace, "often", len(begin))
    found: Shortcut = writer.namespace.pop("program")  # which is no circle then
    return found
