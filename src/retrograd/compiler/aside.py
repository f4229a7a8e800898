"""A program for some arguments that is looked at and not run: nothing of a call remains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.graphs import stand_ins
from retrograd.compiler.lower import lower
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.tape import Tape
from retrograd.engine import Tensor, current_mode

if TYPE_CHECKING:
    from retrograd.compiler.step import CompiledStep


class Aside:
    """A call of a compiled function, taken apart.

    Args:
        step: the compiled function.
        args: what it is called with.
        kwargs: likewise.

    Attributes:
        arrays: the arguments that are arrays or Tensors.
    """

    def __init__(self, step: CompiledStep, args: Any, kwargs: dict[str, Any]) -> None:
        self.step = step
        given, self.structure = step._flatten(args, kwargs)
        self.given = given
        self.leaves = stand_ins(given)
        self.arrays = [a for a in self.leaves if isinstance(a, (np.ndarray, np.generic, Tensor))]

    def record(self, kind: Callable[[], Tape] = Tape) -> tuple[Tape, Any]:
        """Run the function; return what was heard of it, and its result. All is put back."""
        tape, result = self.step._record(self.leaves, self.structure, kind=kind)
        tape.put_back()
        return tape, result

    def make_program(self) -> ReadyProgram:
        """Return a program of its own for this call."""
        tape, result = self.record()
        return ReadyProgram(lower(tape, self.step.fn, result), current_mode().grad, False)

    def find_program(self) -> ReadyProgram | None:
        """Return the program that a call would run now; None where it would be recorded."""
        programs = self.step._programs.get(self.step._key(self.given, self.structure), ())
        return next((program for program in programs if program.holds()), None)
