"""`rg.profile`: what takes the time and the memory of code that is not compiled."""

from __future__ import annotations

import copy
import functools
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.anomaly.naming import caller_in_library, function_name
from retrograd.engine import MODE, Array, Mode, Rule, Tensor, current_mode, mode_set, pick
from retrograd.later import public_names
from retrograd.lines import user_frame
from retrograd.nn.module import Module
from retrograd.seeing.names import Names
from retrograd.tables import as_html, as_text

__all__ = ["ProfileRow", "profile"]
__dir__ = public_names(__name__)


@dataclass
class ProfileRow:
    """What a function or a Module took.

    Args:
        name: what it is called.
        calls: how often it was called.
        forward: the microseconds of these calls.
        backward: the microseconds of their gradients.
        held: the bytes of arrays that the calls keep for the backward pass, each counted once, for
            the first that keeps it; parameters are not counted.

    >>> rg.seeing.ProfileRow("np.exp", 1, 3.0, 4.0).microseconds
    7.0
    """

    name: str
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    held: int = 0

    @property
    def microseconds(self) -> float:
        """The time forward and backward."""
        return self.forward + self.backward


class profile:
    """Measure what runs inside: a context, which can be printed after it.

    `with rg.profile() as p:` times each call on Tensors, forward and backward, each Module with
    all inside it, compiled functions as a whole, and updates of optimizers. `print(p)` shows a
    table by function, the one that takes most first, and one by Module; so does a notebook.

    What is left of the time of the context is Python, the recording of calls, what the clock itself
    takes, and what else was done there.

    Attributes:
        functions: a row for each function, a list of `retrograd.seeing.ProfileRow`.
        modules: a row for each Module that was called, those inside after the one around them.
        microseconds: the time inside the context.
        peak: the largest number of bytes that were kept for backward at one time.

    Returns:
        A context, whose value is the profile itself.

    >>> net = rg.nn.Sequential(rg.nn.Linear(2, 8), rg.nn.Tanh())
    >>> with rg.profile() as p:
    ...     np.sum(net(np.ones((4, 2)))).backward()
    >>> sorted(row.name for row in p.functions)
    ['nn.functional.linear', 'np.sum', 'np.tanh']
    >>> [(row.name, row.calls) for row in p.modules]
    [('net', 1), ('net.0', 1), ('net.1', 1)]
    """

    def __init__(self) -> None:
        self.microseconds = 0.0
        self.peak = 0
        self._functions: dict[str, ProfileRow] = {}
        self._modules: dict[int, tuple[ProfileRow, Module]] = {}
        self._names: dict[int, str] = {}
        self._inside: list[ProfileRow] = []  # of the Modules that are running
        self._owners: dict[int, _Owner] = {}  # by the id of an output
        self._held: dict[int, weakref.ref[Array]] = {}  # by the id of what owns memory
        self._now = 0  # bytes that are held
        self._rules = 0  # how many rules of a reverse pass are running
        self._mark = 0
        self._start = 0

    @property
    def functions(self) -> list[ProfileRow]:
        """A row for each function, the one that takes most time first."""
        return sorted(self._functions.values(), key=lambda row: row.microseconds, reverse=True)

    @property
    def modules(self) -> list[ProfileRow]:
        """A row for each Module that was called, those inside after the one around them."""
        return [row for row, _ in self._modules.values()]

    def __enter__(self) -> profile:
        before = current_mode()
        mode = before
        if not before.records:  # a recording runs once, its program is what takes the time
            mode = Mode(before.grad, self._hear, before.on_escape, records=False)
        self._token = MODE.set(mode)
        self._start = time.perf_counter_ns()
        return self

    def __exit__(self, *error: object) -> None:
        self.microseconds += (time.perf_counter_ns() - self._start) / 1000
        MODE.reset(self._token)

    # What is told

    def _hear(self, kind: str, *what: Any) -> Any:
        answer = getattr(self, f"_hear_{kind}", None)
        return None if answer is None else answer(*what)

    def _hear_call(self, rule: Rule, args: Any, arrays: Any, kwargs: dict[str, Any]) -> Any:
        start = time.perf_counter_ns()
        out = rule.run(*arrays, **kwargs)
        took = time.perf_counter_ns() - start
        if self._rules or rule.fn is pick:
            return out
        if not rule.multi and not isinstance(out, np.ndarray):
            out = np.asarray(out)  # the array that the Tensor will have
        row = self._row(rule)
        row.calls += 1
        row.forward += took / 1000
        if rule.differentiable and current_mode().grad and any(map(_requires_grad, args)):
            rows = (row, *self._inside)
            outs = out if isinstance(out, tuple) else (out,)
            for a in (*args, *outs):
                self._hold(a, rows)
            self._own(outs, rows)
        return out

    def _hear_module(self, module: Module, args: Any, kwargs: Any) -> Any:
        row = self._row_of(module)
        repeats = row in self._inside  # it calls itself: its time is counted already
        self._inside.append(row)
        start = time.perf_counter_ns()
        try:
            return module._forward_with_hooks(args, kwargs)
        finally:
            self._inside.pop()
            row.calls += 1
            if not repeats:
                row.forward += (time.perf_counter_ns() - start) / 1000

    def _hear_compiled(self, step: Any, args: Any, kwargs: Any) -> Any:
        mode = current_mode()
        row = self._functions.setdefault(step.__name__, ProfileRow(step.__name__))
        start = time.perf_counter_ns()
        with mode_set(Mode(mode.grad, None, mode.on_escape)):
            found = step(*args, **kwargs)
        row.calls += 1
        row.forward += (time.perf_counter_ns() - start) / 1000
        return found

    def _hear_section(self, name: str | None) -> None:
        if name == "update":
            self._mark = time.perf_counter_ns()
        elif name is None:
            row = self._functions.setdefault("optimizer.step", ProfileRow("optimizer.step"))
            row.calls += 1
            row.forward += (time.perf_counter_ns() - self._mark) / 1000

    def _hear_visit(self, t: Tensor, g: Any, rule: Rule) -> Rule:
        if self._rules or not rule.differentiable:
            return rule
        owner = self._owner_of(t)
        self._visited = (self._row(rule),) if owner is None else owner.rows
        watched = copy.copy(rule)
        watched.vjps = tuple(vjp and functools.partial(self._time, vjp) for vjp in rule.vjps)
        if rule.joint is not None:
            watched.joint = functools.partial(self._time, rule.joint)
        if rule.through is not None:
            watched.through = {
                inner: functools.partial(self._time, vjp) for inner, vjp in rule.through.items()
            }
        self._mark = time.perf_counter_ns()
        return watched

    def _time(self, rule: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._rules += 1
        self._mark = time.perf_counter_ns()
        try:
            return rule(*args, **kwargs)
        finally:
            self._rules -= 1

    def _hear_gradient(self, t: Tensor, g: Any, behind: Tensor) -> None:
        """Count what it took since the rule began: the rule, undoing broadcasts, the sum."""
        if self._rules:
            return
        now = time.perf_counter_ns()
        for row in self._visited:
            row.backward += (now - self._mark) / 1000
        self._mark = now

    # Whose it is

    def _row(self, rule: Rule) -> ProfileRow:
        name = function_name(rule) or caller_in_library(user_frame()) or rule.name
        return self._functions.setdefault(name, ProfileRow(name))

    def _row_of(self, module: Module) -> ProfileRow:
        if id(module) not in self._modules:
            if id(module) not in self._names:
                called = Names().of_module(module) or type(module).__name__
                for path, inner in module.named_modules():
                    self._names.setdefault(id(inner), f"{called}.{path}" if path else called)
            self._modules[id(module)] = ProfileRow(self._names[id(module)]), module
        return self._modules[id(module)][0]

    def _own(self, outs: tuple[Any, ...], rows: tuple[ProfileRow, ...]) -> None:
        first = outs[0] if outs else None
        if isinstance(first, np.ndarray):
            owners, key = self._owners, id(first)
            owners[key] = _Owner(weakref.ref(first, lambda _: owners.pop(key, None)), rows)

    def _owner_of(self, t: Tensor) -> _Owner | None:
        out: Any = t._array
        first = out[0] if isinstance(out, tuple) and out else out
        owner = self._owners.get(id(first))
        return owner if owner is not None and owner.output() is first else None

    def _hold(self, value: Any, rows: tuple[ProfileRow, ...]) -> None:
        """Count the memory of an argument or an output, unless that is a parameter's."""
        if isinstance(value, Tensor):
            if value.is_leaf and value.requires_grad:
                return
            value = value._array
        while isinstance(value, np.ndarray) and isinstance(value.base, np.ndarray):
            value = value.base
        if not isinstance(value, np.ndarray) or id(value) in self._held:
            return
        key, size = id(value), value.nbytes

        def let_go(_: Any) -> None:
            self._held.pop(key, None)
            self._now -= size

        self._held[key] = weakref.ref(value, let_go)
        self._now += size
        self.peak = max(self.peak, self._now)
        for row in rows:
            row.held += size

    # How it is shown

    def __str__(self) -> str:
        tables = [as_text([*self._function_rows()], right=_NUMBERS)]
        if self._modules:
            tables.append(as_text([*self._module_rows()], right=_NUMBERS))
        return "\n\n".join([*tables, self._total()])

    def __repr__(self) -> str:
        return f"<rg.profile: {self._total()}>"

    def _repr_html_(self) -> str:
        tables = [as_html([*self._function_rows()], right=_NUMBERS, code=(0,))]
        if self._modules:
            tables.append(as_html([*self._module_rows()], right=_NUMBERS, code=(0,)))
        return "".join(tables) + f"<p>{self._total()}</p>"

    def _function_rows(self) -> Iterator[tuple[str, ...]]:
        yield "function", *_HEAD
        for row in self.functions:
            yield row.name, *self._cells(row)

    def _module_rows(self) -> Iterator[tuple[str, ...]]:
        yield "module", *_HEAD
        for row, module in self._modules.values():
            indent = "  " * row.name.count(".")
            yield f"{indent}{row.name}: {type(module).__name__}", *self._cells(row)

    def _cells(self, row: ProfileRow) -> tuple[str, ...]:
        share = 100 * row.microseconds / max(self.microseconds, 1e-9)
        return (
            f"{row.calls}", f"{row.forward:,.0f}", f"{row.backward:,.0f}", f"{share:.0f}",
            f"{row.held:,}",
        )  # fmt: skip

    def _total(self) -> str:
        known = sum(row.microseconds for row in self._functions.values())
        rest = max(self.microseconds - known, 0.0)
        return (
            f"{self.microseconds:,.0f} us in all, {rest:,.0f} of them outside of functions; "
            f"at most {self.peak:,} bytes held for backward"
        )


_HEAD = ("calls", "forward us", "backward us", "%", "bytes held")
_NUMBERS = (1, 2, 3, 4, 5)


@dataclass
class _Owner:
    output: weakref.ref[Array]
    rows: tuple[ProfileRow, ...]


def _requires_grad(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad
