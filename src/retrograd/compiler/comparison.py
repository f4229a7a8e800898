"""A new program beside its function: the two are run at values near those of a call.

Agreement there shows that nothing was frozen which depends on the values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.compiler.checking import (
    EPSILON,
    Doubt,
    Left,
    Watch,
    differ_in_size,
    distance,
    find_differing_call,
    find_differing_result,
    find_first_difference,
    is_finite,
    precision,
    tells_nothing,
)
from retrograd.compiler.lines import TraceError
from retrograd.compiler.lower import lower
from retrograd.compiler.moving import DISTANCES, State, Trial
from retrograd.compiler.precise import PreciseTape
from retrograd.compiler.program import CHECKS, ReadyProgram
from retrograd.compiler.tape import Tape
from retrograd.engine import rehearsal


class Comparison:
    """A program and the function that it was recorded from.

    Args:
        fn: the function.
        name: what to call it in errors.
        program: the program.
        record: runs the function on leaves of arguments, heard by a tape of the kind that is
            given or a plain one; returns the tape, and the function's result.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str,
        program: ReadyProgram,
        record: Callable[..., tuple[Tape, Any]],
    ) -> None:
        self.fn, self.name, self.program, self.record = fn, name, program, record

    def check(self, leaves: Any, arrays: Any) -> None:
        """Raise unless the two agree; all that they change is put back.

        Other processes hear nothing of it: how often the two run depends on values, which differ
        between processes.

        Args:
            leaves: the arguments of a call.
            arrays: those of them that are arrays or Tensors.

        Raises:
            TraceError: if the function calls something else than before.
            RuntimeError: if the program computes something else.
        """
        with rehearsal():
            self._compare(leaves, arrays)

    def _compare(self, leaves: Any, arrays: Any) -> None:
        if self.program.checks_left == CHECKS:
            self._find_constants(leaves, arrays)
        state = State(self.program)
        try:
            for far, turns in DISTANCES:
                trial = Trial(self.program, state, leaves, far, turns)
                try:
                    found = self._try(trial)
                except Exception:
                    if not far:
                        raise
                    continue  # the function is not defined there, or the sizes are others
                if not found:
                    break
                if found.is_certain or not far:
                    raise found.error
        finally:
            try:
                state.put_back()
            except BaseException:  # an interrupt: what is not put back is lost
                state.put_back()
                raise

    def _find_constants(self, leaves: Any, arrays: Any) -> None:
        """Run the function once more: which arrays outside are others each time, though equal?"""
        watch = Watch(self.program, arrays)
        tape, _ = self.record(leaves)
        problem, constants = find_differing_call(self.program.recorded, lower(tape, self.fn))
        problem = problem or watch.find_mutation()
        tape.put_back()
        if problem:
            raise TraceError(f"{self.name} cannot be compiled: {problem}")
        if constants:
            self.program.write(constants)

    def _try(self, trial: Trial) -> Doubt | None:
        """Run the function, put back what it changed, run the program, and compare the two."""
        program = self.program
        with np.errstate(all="ignore"):
            arrays = trial.begin()
            watch = Watch(program, arrays)
            tape, result = self.record(trial.leaves)
            second = lower(tape, self.fn)
            problem, constants = find_differing_call(program.recorded, second)
            if problem := problem or watch.find_mutation():
                error = TraceError(f"{self.name} cannot be compiled: {problem}")
                tape.put_back()
                return Doubt(error, not differ_in_size(program.recorded, second))
            if not program.constants.issuperset(constants):
                program.write(constants)  # before it runs: it may round differently afterwards
            after = watch.results(result)
            tape.put_back()
            replayed = watch.results(program(arrays))
            itemsize = precision(program.recorded)
            problem = find_differing_result(replayed, after, itemsize)
            if problem:
                noise = self._noise(trial, after, itemsize)
                problem = find_differing_result(replayed, after, itemsize, noise)
            if problem:
                difference = self._computes_something_else(trial, problem, itemsize)
                return Doubt(difference, is_finite([*after, *replayed]))
        if trial.far and tells_nothing(after):
            return Doubt(RuntimeError("nothing to compare"), False)
        return None

    def _noise(self, trial: Trial, after: Left, itemsize: int) -> list[float]:
        """Return how far rounding moves what the function itself leaves behind.

        It is ten times what the rounding of the values given moves, or twice what that of its own
        calls does, such as of long sums.
        """

        def run(kind: Callable[[], Tape] = Tape, **error: Any) -> list[float]:
            watch = Watch(self.program, trial.begin(**error))
            tape, result = self.record(trial.leaves, kind)
            again = watch.results(result)
            tape.put_back()
            return [distance(x, y) for (_, x), (_, y) in zip(again, after, strict=True)]

        precise = run(PreciseTape) if itemsize < 8 else [0.0] * len(after)
        # what is finite in one of the two alone overflows: that is no rounding
        noise = [2 * d if np.isfinite(d) else 0.0 for d in precise]
        for seed in (1, 2, 3):
            off = run(jitter=8 * EPSILON[itemsize], again=seed)
            noise = [max(most, 10 * d) for most, d in zip(noise, off, strict=True)]
        return noise

    def _computes_something_else(self, trial: Trial, problem: str, itemsize: int) -> RuntimeError:
        """Return an error that names the first statement which gives something else."""
        arrays = trial.begin()
        tape, _ = self.record(trial.leaves)
        kept = lower(tape, self.fn, keep=True)
        tape.put_back()
        where = find_first_difference(self.program, arrays, kept, itemsize)
        return RuntimeError(f"the compiled {self.name} computes something else: {problem}{where}")
