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
    find_differing_leaf,
    find_differing_result,
    find_first_difference,
    is_close,
    is_finite,
    precision,
    tells_nothing,
)
from retrograd.compiler.lines import TraceError
from retrograd.compiler.lower import lower
from retrograd.compiler.moving import DISTANCES, State, Trial
from retrograd.compiler.precise import PreciseTape
from retrograd.compiler.program import CHECKS, ReadyProgram
from retrograd.compiler.records import flatten_results
from retrograd.compiler.tape import Tape
from retrograd.engine import rehearsal, wrap


class Comparison:
    """A program and the function that it was recorded from.

    Args:
        fn: the function.
        name: what to call it in errors.
        program: the program.
        record: runs the function on leaves of arguments, which are arrays for it if the second
            argument is true, heard by a tape of the kind that is given or a plain one; returns the
            tape, and the function's result.

    Attributes:
        tells_kinds: whether the function was found to do something else for arrays than for
            Tensors.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str,
        program: ReadyProgram,
        record: Callable[..., tuple[Tape, Any]],
    ) -> None:
        self.fn, self.name, self.program, self.record = fn, name, program, record
        self.tells_kinds = False

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
            if self.program.outside is not None and self.program.outside.asks_kinds:
                self._compare_kinds(leaves, arrays)
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
        tape, result = self.record(leaves)
        second = lower(tape, self.fn, result)
        problem, constants = find_differing_call(self.program.recorded, second)
        problem = problem or watch.find_mutation()
        problem = problem or find_differing_leaf(self.program.recorded, second)
        tape.put_back()
        if problem:
            raise self._refusal(problem)
        if constants:
            self.program.write(constants)

    def _refusal(self, problem: str) -> TraceError:
        suspects = self.program.suspects.describe() if self.program.suspects else ""
        return TraceError(f"{self.name} cannot be compiled: {problem}\n{suspects}".rstrip())

    def _compare_kinds(self, leaves: Any, arrays: Any) -> None:
        """Run the function with NumPy arrays for arguments: does it do something else then?"""
        watch, found = Watch(self.program, arrays), []
        with np.errstate(all="ignore"):
            for as_arrays in (False, True):
                try:
                    tape, result = self.record(leaves, as_arrays)
                except Exception:
                    return  # it knows no arrays, or does with them what no program can do
                tensors = [_as_tensor(leaf) for leaf in flatten_results(result)[0]]
                found.append(watch.results(tensors))
                tape.put_back()
        pairs = zip(*found, strict=False)
        self.tells_kinds = len(found[0]) != len(found[1]) or not all(
            _is_near(x, y, precision(self.program.recorded)) for (_, x), (_, y) in pairs
        )

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
                error = self._refusal(problem)
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
            tape, result = self.record(trial.leaves, kind=kind)
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


def _as_tensor(leaf: Any) -> Any:
    is_number = isinstance(leaf, (np.ndarray, np.generic, int, float, complex))
    return wrap(np.asarray(leaf)) if is_number and not isinstance(leaf, bool) else leaf


def _is_near(x: Any, y: Any, itemsize: int) -> bool:
    """Tell whether two arrays have about equal values, of whatever dtypes."""
    if x is None or y is None:
        return x is y
    kind = np.result_type(x, y)
    return is_close(x.astype(kind), y.astype(kind), itemsize=itemsize)
