"""A program run in two halves: to its results, and, once their gradients are known, to its end.

In between lies what the second half needs, in the buffers of the program. So each call that is not
over has a set of buffers of its own, and sets that are free again serve the next calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, TypeAlias

import numpy as np

from retrograd.compiler.assembly import Code, Step
from retrograd.compiler.guards import Guard, compile_guards, find_further
from retrograd.compiler.ir import Var
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.statements import Assign, Name
from retrograd.compiler.writer import PYTHON, FastWriter, head, setup_lines
from retrograd.engine import Array

Functions: TypeAlias = tuple[Callable[..., Any], Callable[..., Any]]
_FILE = "<retrograd program in halves>"


class Run:
    """A call whose first half has run.

    Args:
        halves: the program.
        functions: its halves as functions, with buffers that the run has.
        arrays: its arguments.

    Attributes:
        results: what the first half gave.
    """

    __slots__ = ("_functions", "_halves", "_kept", "results")

    def __init__(self, halves: Halves, functions: Functions, arrays: Sequence[Array]) -> None:
        self._halves, self._functions = halves, functions
        try:
            self.results, self._kept = functions[0](*arrays)
        except BaseException as error:
            halves.explain(error)
            raise

    def finish(self, seeds: Sequence[Array]) -> Sequence[Array | None] | None:
        """Run the second half; return what it gave, or None if it has run before.

        Args:
            seeds: the gradients of results.
        """
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        try:
            found: Sequence[Array | None] = self._functions[1](kept, *seeds)
        except BaseException as error:
            self._halves.explain(error)
            raise
        return found

    def __del__(self) -> None:
        self._halves.free.append(self._functions)


class Halves:
    """A program in two halves.

    Args:
        ready: the program.
        count: how many of its inputs the first half takes.
        results: how many of its results are those of the first half.
        at: the position of the first statement of the second half.

    Attributes:
        ready: as given.
        free: the halves as functions, each pair with buffers that no call uses now.
    """

    def __init__(self, ready: ReadyProgram, count: int, results: int, at: int) -> None:
        self.ready = ready
        self.free: list[Functions] = []
        self._holds: Callable[..., bool] = ready.holds
        self._known: Sequence[Guard] = ()
        self._code: Code = ready.code
        self._functions: dict[str, Any] = {}
        self._steps: dict[int, Step] = {}
        self._text = self._write(count, results, at)

    @classmethod
    def split(cls, ready: ReadyProgram, count: int, results: int) -> Halves | None:
        """Return a program in halves, None if its first results need what only the second has.

        Args:
            ready: the program.
            count: how many of its inputs the first half takes.
            results: how many of its results are those of the first half.
        """
        code = ready.code
        if code.lives or code.carried or ready.program.grads:
            return None
        if code.bind is not None:
            first = ready.program.results[:results]
            late = any(isinstance(v, Var) and v in code.late for v in first)
            known = code.middle is not None and ready.halved_at == count
            return cls(ready, count, results, code.middle or 0) if known and not late else None
        seeds = {*code.inputs[count:]}
        wanted = {*code.results[:results]}
        at = len(code.body)
        for i, step in enumerate(code.body):
            if i < at and not seeds.isdisjoint(_names(step)):
                at = i
            fills_result = step.fills is not None and code.names[step.fills] in wanted
            if i >= at and (fills_result or step.call.kind != "call"):
                return None
        return cls(ready, count, results, at)

    def start(self, arrays: Sequence[Array]) -> Run:
        """Run the first half on arguments."""
        return Run(self, self.free.pop() if self.free else self._make_functions(), arrays)

    def holds_beside(self, guards: Sequence[Guard]) -> bool:
        """Tell whether the program holds, given that these conditions do."""
        if guards is not self._known:
            self._known = guards
            self._holds = compile_guards(find_further(self.ready.guards, guards), {})
        return self._holds()

    def _write(self, count: int, results: int, at: int) -> CodeType:
        code, writer = self._code, FastWriter(self._functions)
        copies = ["None" if name is None else f"_copied({name})" for name in code.results]
        later = {name for step in code.body[at:] for name in _names(step)}
        later |= {name for name in code.results[results:] if name is not None}
        known = dict.fromkeys(code.inputs[:count])
        for step in code.body[:at]:
            if isinstance(step.statement, Assign):
                known.update((t.text, None) for t in step.statement.targets if isinstance(t, Name))
        kept = "".join(f"{name}, " for name in known if name in later)
        lines = []

        def add(steps: Sequence[Step]) -> None:
            for step in steps:
                lines.append("    " + writer.statement(step.statement))
                self._steps[len(lines)] = step

        def end(text: str) -> None:
            lines.append(f"    return {text}")

        lines.append(head("first", code.inputs[:count]))
        add(code.body[:at])
        end(f"({''.join(f'{c}, ' for c in copies[:results])}), ({kept})")
        lines.append(head("second", ["kept_", *code.inputs[count:]]))
        if kept:
            lines.append(f"    {kept} = kept_")
        add(code.body[at:])
        end(f"({''.join(f'{c}, ' for c in copies[results:])})")
        return compile("\n".join(lines), _FILE, "exec")

    def _make_functions(self) -> Functions:
        code = self._code
        namespace = {"np": np, "_copied": np.array, **code.data, **code.functions}
        exec("\n".join(setup_lines(code)), namespace)
        if code.bind is not None:
            code.bind(namespace)
        namespace.update(self._functions)
        exec(self._text, namespace)
        return namespace["first"], namespace["second"]

    def explain(self, error: BaseException) -> None:
        """Say in an error which statement failed, and from which line of the user's."""
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == _FILE:
                step = self._steps.get(trace.tb_lineno)
                if step is not None and isinstance(error, Exception):
                    text = PYTHON.statement(step.statement)
                    error.add_note(f"in `{text}` of a compiled program, from{step.call.line}")
            trace = trace.tb_next


def _names(step: Step) -> set[str]:
    """Return the names in a statement."""
    found = set()
    statement = step.statement
    for field in statement.__dataclass_fields__:
        value = getattr(statement, field)
        for part in value if isinstance(value, tuple) else (value,):
            if hasattr(part, "parts"):
                found |= {inner.text for inner in part.parts() if isinstance(inner, Name)}
    return found
