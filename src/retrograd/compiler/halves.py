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
from retrograd.compiler.statements import Assign, Do, Name
from retrograd.compiler.writer import PYTHON, FastWriter, head, run_setup
from retrograd.engine import Array

Functions: TypeAlias = tuple[Callable[..., Any], Callable[..., Any]]
LARGE = 16_384  # bytes: below, a copy of a buffer that is at hand costs no more than a new array
_ALLOTS = "_like_"
_FILE = "<retrograd program in halves>"


class Run:
    """A call of a program in halves.

    Attributes:
        halves: the program, None until `begin`.
        results: what the first half gave.
    """

    __slots__ = ("_functions", "_kept", "halves", "results")

    def __init__(self) -> None:
        self.halves: Halves | None = None

    def begin(self, halves: Halves, arrays: Sequence[Array]) -> Sequence[Array]:
        """Run the first half, with buffers that this call has alone; return what it gave.

        Args:
            halves: the program.
            arrays: its arguments.
        """
        self._functions = functions = halves.free.pop() if halves.free else halves.make()
        self.halves = halves  # from now on they are given back, whatever happens
        try:
            self.results, self._kept = functions[0](*arrays)
        except BaseException as error:
            self._kept = None
            halves.explain(error)
            raise
        found: Sequence[Array] = self.results
        return found

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
            assert self.halves is not None
            self.halves.explain(error)
            raise
        return found

    def __del__(self) -> None:
        # which it has not where it was interrupted while it was made
        halves: Halves | None = getattr(self, "halves", None)
        if halves is not None:
            halves.free.append(self._functions)


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
        self._holds: Callable[..., bool] | None = ready.holds
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
        run = Run()
        run.begin(self, arrays)
        return run

    def holds_beside(self, guards: Sequence[Guard]) -> bool:
        """Tell whether the program holds, given that these conditions do."""
        if guards is not self._known:
            self._known = guards
            further = find_further(self.ready.guards, guards)
            self._holds = compile_guards(further, {}) if further else None
        return self._holds is None or self._holds()

    def _write(self, count: int, results: int, at: int) -> CodeType:
        code, writer = self._code, FastWriter(self._functions)
        self._fresh = self._find_fresh(results, at)
        copies = [
            name if name in self._fresh else f"_copied({name})" if name else "None"
            for name in code.results
        ]
        later = {name for step in code.body[at:] for name in _names(step)}
        later |= {name for name in code.results[results:] if name is not None}
        known = dict.fromkeys(code.inputs[:count])
        for step in code.body[:at]:
            if isinstance(step.statement, Assign):
                known.update((t.text, None) for t in step.statement.targets if isinstance(t, Name))
        kept = "".join(f"{name}, " for name in known if name in later)
        lines: list[str] = []
        fresh = {Name(name): name for name in self._fresh}

        def add(steps: Sequence[Step]) -> None:
            for step in steps:
                if isinstance(step.statement, Do) and step.statement.out in fresh:
                    name = fresh[step.statement.out]
                    lines.append(f"    {name} = _empty(*{_ALLOTS}{name})")
                lines.append("    " + writer.statement(step.statement))
                self._steps[len(lines)] = step

        def end(text: str) -> None:
            lines.append(f"    return {text}")

        lines.append(head("_first_half", code.inputs[:count]))
        add(code.body[:at])
        end(f"({''.join(f'{c}, ' for c in copies[:results])}), ({kept})")
        lines.append(head("_second_half", ["kept_", *code.inputs[count:]]))
        if kept:
            lines.append(f"    {kept} = kept_")
        add(code.body[at:])
        end(f"({''.join(f'{c}, ' for c in copies[results:])})")
        return compile("\n".join(lines), _FILE, "exec")

    def _find_fresh(self, results: int, at: int) -> set[str]:
        """Return the large gradients that are computed into new arrays, rather than copied.

        Each is filled by one statement of the second half, and no view of its buffer has a name.

        Args:
            results: as for the class.
            at: likewise.
        """
        code, space = self._code, self.ready.namespace
        if code.bind is not None:
            return set()  # C has the addresses of its buffers
        arrays = {n: a for n, a in space.items() if isinstance(a, np.ndarray)}
        read = set[str]().union(*map(_names_read, code.setup))
        named = code.results.count
        found = set()
        for step in code.body[at:]:
            name = code.names[step.fills] if step.fills is not None else ""
            buffer = arrays.get(name)
            if (
                buffer is None
                or buffer.nbytes < LARGE
                or _order_of(buffer) is None
                or name not in code.results[results:]
                or named(name) > 1
                or not (isinstance(step.statement, Do) and step.statement.out == Name(name))
                or sum(other.fills is not None and code.names[other.fills] == name
                       for other in code.body) > 1
                or name in read
            ):  # fmt: skip
                continue
            found.add(name)
        return found

    def make(self) -> Functions:
        """Return the two halves as functions that have buffers of their own."""
        code = self._code
        namespace = {"np": np, "_copied": np.array, **code.data, **code.functions}
        run_setup(code, namespace)
        namespace["_empty"] = np.empty
        for name in self._fresh:
            buffer = namespace.pop(name)
            namespace[f"{_ALLOTS}{name}"] = buffer.shape, buffer.dtype, _order_of(buffer)
        if code.bind is not None:
            code.bind(namespace)
        namespace.update(self._functions)
        exec(self._text, namespace)
        # which is no circle then
        first, second = namespace.pop("_first_half"), namespace.pop("_second_half")
        if errors := self.ready.program.errors:
            return np.errstate(**errors)(first), np.errstate(**errors)(second)  # type: ignore[arg-type]
        return first, second

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


def _order_of(array: Array) -> str | None:
    """Return in which order the elements of an array lie, "C" or "F"; None if in neither."""
    flags = array.flags
    return "C" if flags.c_contiguous else "F" if flags.f_contiguous else None


def _names(step: Step) -> set[str]:
    """Return the names in the statement of a step."""
    return _names_in(step.statement)


def _names_in(statement: Any) -> set[str]:
    found = set()
    for field in statement.__dataclass_fields__:
        value = getattr(statement, field)
        for part in value if isinstance(value, tuple) else (value,):
            if hasattr(part, "parts"):
                found |= {inner.text for inner in part.parts() if isinstance(inner, Name)}
    return found


def _names_read(statement: Any) -> set[str]:
    """Return the names in a statement, without those that it binds."""
    if isinstance(statement, Assign):
        return {part.text for part in statement.value.parts() if isinstance(part, Name)}
    return _names_in(statement)
