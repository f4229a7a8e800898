"""The first replays of a program are compared with the function it was recorded from."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.ir import Call, Flow, Program, Var
from retrograd.compiler.live import Live
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.writer import PYTHON
from retrograd.engine import Array, Tensor, spelled

WATCHED = 1_000_000  # larger arrays outside are not watched


class Watch:
    """What a run of the function may change: looked at before and after it.

    Args:
        ready: the program whose replay will be compared.
        arguments: the arguments of the call.
    """

    def __init__(self, ready: ReadyProgram, arguments: Any) -> None:
        self.written = ready.written
        self.leaves = [ready.leaf(leaf, arguments) for leaf, _ in ready.program.grads]
        for leaf in self.leaves:
            _ = leaf.grad  # reading it copies what is still in a buffer of the program
        self.groups = [(group, {**group}) for group, _ in ready.program.updates]
        self.outside = [
            (v.array, v.array.copy())
            for v in ready.captured
            if v.tensor is None
            and v.size <= WATCHED
            and not any(np.shares_memory(v.array, a) for a in ready.written)
        ]

    def find_mutation(self) -> str:
        """Return what the function changed without a recorded call, or ""."""
        for group, options in self.groups:
            if changed := ", ".join(k for k, v in options.items() if group[k] is not v):
                return f"it changes {changed} of an optimizer: do so before or after the step"
        for array, old in self.outside:
            if not is_close(array, old, exact=True):
                return (
                    f"it writes into an array outside, of shape {old.shape}, without a recorded "
                    "call; use a Tensor and `t += ...` under rg.no_grad()"
                )
        return ""

    def results(self, result: Any) -> list[tuple[str, Any]]:
        """Return copies of all that a run leaves behind, each with what it is."""
        found = [("a result", v._array) for v in tree.leaves(result) if isinstance(v, Tensor)]
        found += [("an array it writes", a) for a in self.written]
        return copy.deepcopy(found + [("a gradient", leaf.grad) for leaf in self.leaves])


def find_differing_call(first: Program, second: Program) -> tuple[str, list[Var]]:
    """Compare two recordings of a function.

    Returns:
        Where they differ, or ""; and the arrays of the first that were other objects of the same
        values in the second, so that they are constants.
    """
    ours: dict[Var, int] = {}
    theirs: dict[Var, int] = {}
    constants: list[Var] = []
    flow = Flow(first.calls)
    written = flow.writes(first.calls)
    for mine, other in zip(first.calls, second.calls, strict=False):
        pairs = zip(mine.vars(), other.vars(), strict=False)
        fresh = [(v, w) for v, w in pairs if v not in ours]
        if _likeness(mine, ours) != _likeness(other, theirs):
            names = [spelled(call.fn) for call in (other, mine)]
            what = "the second run called {} where the first had {}, or with other arguments"
            return _at(other, what.format(*names)), constants
        for v, w in fresh:
            same = v.array is w.array or v.tensor is w.tensor is not None
            if same or v.kind not in ("captured", "const"):
                continue
            memory = flow.memory(v)
            if memory in written:
                return (
                    f"it writes into an array of shape {v.shape}, made without recorded "
                    f"calls: take a copy first, t = t.copy(){written[memory].line}"
                ), constants
            if not is_close(v.array, w.array, exact=True):
                what = f"an array of shape {w.shape}, made without recorded calls, differs"
                problem = _at(other, f"{what} between two runs; pass it as an argument")
                return problem, constants
            if v.kind == "captured":
                constants.append(v)
    less, more = sorted((first.calls, second.calls), key=len)
    for call in more[len(less) :]:
        return _at(call, f"one run called {spelled(call.fn)}, the other did not"), constants
    return "", constants


def _likeness(call: Call, known: dict[Var, int]) -> Any:
    """Return what two recordings of one call have in common, Vars numbered as they are met."""

    def look(value: Any) -> Any:
        if isinstance(value, Var):
            outside = value.kind in ("captured", "const")
            kind = "outside" if outside else "" if value.kind == "made" else value.kind
            return known.setdefault(value, len(known)), kind
        return value.formula if isinstance(value, Live) else value

    args = repr(call.change(look))
    # an autograd.Function is another object in each run, bound to what that run keeps
    fn = "draw" if call.kind == "draw" else getattr(call.fn, "_bound", call.fn)
    return call.kind, fn, args, [look(v) for v in call.outs]


def _at(call: Call, what: str) -> str:
    return f"{what}. A branch or a number outside decides it: pass it as an argument.{call.line}"


def is_close(x: Array, y: Array, exact: bool = False) -> bool:
    """Tell whether two arrays are equal, or with `exact` false as close as rounding lets them."""
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if exact or x.dtype.kind != "f":
        return bool(np.array_equal(x, y, equal_nan=x.dtype.kind == "f"))
    scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
    # relative to the largest element; where that is about 0, noise of 1e-10 (or 1e-6) is let pass
    bound = {8: 1e-7, 4: 1e-3}.get(x.dtype.itemsize, 0.05) * (scale + 1e-3)
    return np.allclose(x, y, 0, bound, equal_nan=True)


def find_differing_result(replayed: list[tuple[str, Any]], after: list[tuple[str, Any]]) -> str:
    """Return what a replay left behind otherwise than the function, or ""."""
    for (what, mine), (_, right) in zip(replayed, after, strict=True):
        if (mine is None) != (right is None):
            return "a gradient is there in one of the two only"
        if mine is not None and not is_close(mine, right):
            worst = np.abs(mine - right).max() if mine.shape == right.shape else "shape"
            return f"{what} of shape {right.shape} differs by {worst}"
    return ""


def find_first_difference(ready: ReadyProgram, arguments: Any, kept: Program) -> str:
    """Run a program statement by statement; return the first that gives something else, or "".

    Args:
        ready: the program.
        arguments: the arguments of the call.
        kept: a recording of the same call that has kept what each call gave.
    """
    code = ready.code
    values = [*ready.arrays(arguments), *ready.numbers()]
    names = [*code.inputs, *code.lives]
    space = {**ready.namespace, **dict(zip(names, values, strict=True))}
    written = {v for call in kept.calls if call.kind == "write" for v in call.outs}
    for call, steps in itertools.groupby(code.body, lambda step: step.call):
        for step in steps:
            text = PYTHON.statement(step.statement)
            exec(text, space)
        twin = None if call.number is None else kept.calls[call.number]
        if twin is None or step.fills is None or len(call.outs) != 1 or twin.outs[0] in written:
            continue
        if not is_close(np.asarray(space[code.names[step.fills]]), twin.outs[0].array):
            return f"; first in `{text}`, from{call.line}"
    return ""
