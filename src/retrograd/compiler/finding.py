"""`step.find_nan`: the first nan of a compiled call, in the function and in its program."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from retrograd.anomaly import cures
from retrograd.anomaly.faults import AnomalyError, Fault, is_finite
from retrograd.anomaly.watch import Watcher, without_warnings
from retrograd.compiler.aside import Aside
from retrograd.compiler.assembly import Step
from retrograd.compiler.ir import Call, Flow, Var
from retrograd.compiler.moving import State
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.tape import Tape
from retrograd.compiler.writer import PYTHON
from retrograd.engine import Rule, rehearsal, spelled
from retrograd.lines import Line

if TYPE_CHECKING:
    from retrograd.compiler.step import CompiledStep


def find_nan(step: CompiledStep, args: Any, kwargs: dict[str, Any]) -> None:
    """Raise AnomalyError at the first nan or inf of a call: see `CompiledStep.find_nan`."""
    with step._lock, np.errstate(all="ignore"), without_warnings():
        aside = Aside(step, args, kwargs)
        ready = aside.make_program()
        state = State(ready)
        try:
            with rehearsal():
                births, first = _run_statements(ready, aside.arrays)
        finally:
            state.put_back()
        tapes: list[_WatchingTape] = []

        def watch() -> Tape:
            tapes.append(_WatchingTape())
            return tapes[-1]

        try:
            aside.record(watch)
        except AnomalyError as error:
            text = _line_of(births, tapes[-1].failed, error.fault.line) or first
            raise AnomalyError(replace(error.fault, program_line=text)) from None
    found = next((birth for birth in births if birth.matters), None)
    if found is not None:  # in the program alone, which may compute otherwise
        raise AnomalyError(found.fault())


class _WatchingTape(Tape):
    """Records as any tape does, and looks at each call and each gradient on the way.

    Attributes:
        failed: the position among the recorded calls of the one that gave something not finite;
            None where it was a gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watcher = Watcher()
        self.failed: int | None = None
        self._through = 0  # how many functions that are looked through are running

    def hear(self, kind: str, *what: Any) -> Any:
        if kind == "call":
            return self._watch_call(*what)
        answer = super().hear(kind, *what)
        if kind in ("visit", "gradient"):
            watched = self._watcher.hear(kind, *what)
            return watched if kind == "visit" else answer
        return answer

    def _watch_call(self, rule: Rule, args: Any, arrays: Any, kwargs: dict[str, Any]) -> Any:
        self._through += rule.looks_through
        try:
            out = super().hear("call", rule, args, arrays, kwargs)
        finally:
            self._through -= rule.looks_through
        if not self._through:
            try:
                self._watcher.look_at(rule, args, arrays, kwargs, out)
            except AnomalyError:
                calls = sum(event.kind in ("call", "write", "draw") for event in self.log)
                self.failed = calls - 1
                raise
        return out


class _Birth(NamedTuple):
    """A statement that gives something not finite of what is.

    Args:
        step: the statement.
        values: what it gave.
        inputs: what it read, by name.
        came: what is wrong with the inputs already.
        spoils: the results, gradients and writes that are not finite because of it.
    """

    step: Step
    values: Any
    inputs: dict[str, Any]
    came: str
    spoils: list[Var]

    @property
    def matters(self) -> bool:
        """Whether anything that the program leaves behind is not finite because of it."""
        return bool(self.spoils)

    @property
    def text(self) -> str:
        """The statement as a reader sees it."""
        return PYTHON.statement(self.step.statement)

    def fault(self) -> Fault:
        """Return what there is to tell of it."""
        call = self.step.call
        return Fault(
            function=spelled(call.fn),
            values=self.values,
            inputs=self.inputs,
            line=call.origin,
            elementwise=isinstance(call.fn, np.ufunc),
            came=self.came,
            program_line=self.text,
        )


def _run_statements(ready: ReadyProgram, arguments: Any) -> tuple[list[_Birth], str]:
    """Run a program statement by statement.

    Returns:
        Where numbers stop being finite, in order; and the first statement that reads or gives what
        is not finite, which may have become a constant before all runs.
    """
    code, flow = ready.code, Flow(ready.program.calls)
    values = [*ready.arrays(arguments), *ready.numbers()]
    space = dict(ready.namespace)
    space.update(zip([*code.inputs, *code.lives], values, strict=True))
    births: list[_Birth] = []
    first = ""
    causes: dict[Any, _Birth] = {}  # by memory: why it is not finite

    def read(var: Var) -> Any:
        return space.get(code.names.get(var, ""))

    for call, group in itertools.groupby(code.body, lambda step: step.call):
        steps = list(group)
        given = {v: np.array(read(v)) for v in call.vars() if isinstance(read(v), np.ndarray)}
        for step in steps:
            exec(PYTHON.statement(step.statement), space)
            if not first and not all(map(is_finite, (*given.values(), *map(read, call.outs)))):
                first = PYTHON.statement(step.statement)
        for v in call.outs:
            out = read(v)
            causes.pop(flow.memory(v), None)
            if is_finite(out):
                continue
            cause = _cause(call, given, out, causes, flow)
            if isinstance(cause, str) and cause != _MEANT:
                names = {code.names[var]: value for var, value in given.items()}
                cause = _Birth(steps[-1], np.array(out), names, cause, [])
                births.append(cause)
            if isinstance(cause, _Birth):
                causes[flow.memory(v)] = cause
    for v in (*ready.program.wanted(), *ready.program.written_outside(flow)):
        known = causes.get(flow.memory(v))
        if known is not None and not is_finite(read(v)):
            known.spoils.append(v)
    return births, first


_MEANT = "meant"


def _cause(
    call: Call, given: dict[Var, Any], out: Any, causes: dict[Any, _Birth], flow: Flow
) -> _Birth | str:
    """Return why an output is not finite.

    Returns:
        The statement where that began; "" if it is this one, "meant" if inf was, else what is
        wrong with an input.
    """
    bad = {v: value for v, value in given.items() if not is_finite(value)}
    has_nan = bool(np.isnan(out).any())
    with_nan = [v for v, value in bad.items() if np.isnan(value).any()]
    for v in with_nan if has_nan and with_nan else bad:
        known = causes.get(flow.memory(v))
        if known is not None:
            return known
        if v in with_nan or (v.tensor is not None and v.tensor.requires_grad):
            trained = v.kind == "captured" and v.tensor is not None and v.tensor.requires_grad
            return cures.SPOILED_LEAF if trained else cures.SPOILED_DATA
    constants = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, float)]
    if any(a != a for a in constants):
        return _MEANT
    return _MEANT if not has_nan and (bad or not np.isfinite(constants).all()) else ""


def _line_of(births: list[_Birth], number: int | None, line: Line) -> str:
    """Return the program's line where a fault of the function shows, "" if there is none.

    Args:
        births: where the program's numbers stop being finite.
        number: the position of the function's call among those of a recording, if it was a call.
        line: the user's line.
    """
    same_call = [b for b in births if number is not None and b.step.call.number == number]
    same_line = [b for b in births if b.step.call.origin == line]
    found = same_call or [b for b in same_line if b.matters] or [b for b in births if b.matters]
    found = found or same_line
    return found[0].text if found else ""
