"""A new program is compared with the function it was recorded from, at values near those given."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from retrograd.compiler.ir import Program, Var
from retrograd.compiler.likeness import Likeness, find_difference
from retrograd.compiler.places import is_alike
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.records import flatten_results
from retrograd.compiler.writer import PYTHON
from retrograd.engine import Array, Tensor

WATCHED = 1_000_000  # larger arrays outside are not watched
EPSILON = {2: 1e-3, 4: 1.2e-7, 8: 2.2e-16, 16: 2.2e-16}  # of floats, by their bytes


class Doubt(NamedTuple):
    """A reason why a program may not be the function.

    Args:
        error: what to raise.
        is_certain: whether it is one at whatever values it was found, since nothing at these can
            explain it.
    """

    error: Exception
    is_certain: bool


class Watch:
    """What a run of the function may change: looked at before and after it.

    Args:
        ready: the program whose replay will be compared.
        arguments: the arguments of the call.
    """

    def __init__(self, ready: ReadyProgram, arguments: Any) -> None:
        self.written = ready.written
        self.carried = [place for place, _ in ready.program.carried]
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

    def results(self, result: Any) -> Left:
        """Return copies of all that a run leaves behind, each with what it is."""
        leaves, _ = flatten_results(result)
        found = [("a result", v._array) for v in leaves if isinstance(v, Tensor)]
        found += [("an array it writes", a) for a in self.written]
        found += [(f"what it assigns to {c.place.name}", a) for c in self.carried for a in c.now()]
        return copy.deepcopy(found + [("a gradient", leaf.grad) for leaf in self.leaves])


def precision(program: Program) -> int:
    """Return the bytes of the shortest floats that a program computes with; 8 if there are none."""
    found = [*program.args, *(v for call in program.calls for v in (*call.vars(), *call.outs))]
    return min((_bytes(v.dtype) for v in found if v.dtype.kind in "fc"), default=8)


def _bytes(dtype: Any) -> int:
    """Return the bytes of a float, or of each part of a complex number."""
    return int(np.finfo(dtype).bits) // 8


def find_differing_call(first: Program, second: Program) -> tuple[str, list[Var]]:
    """Compare two recordings of a function: see `likeness.find_difference`."""
    return find_difference(Likeness(first), Likeness(second))


def find_differing_leaf(first: Program, second: Program) -> str:
    """Return what two runs returned otherwise besides Tensors, or ""."""
    if first.structure != second.structure:
        return f"it returns {second.structure!r} where it returned {first.structure!r}"
    for x, y in zip(first.results, second.results, strict=True):
        if not isinstance(x, Var) and not is_alike(x, y):
            return (
                f"it returns {y!r} where it returned {x!r}, and a program gives the same in all "
                "runs. Return Tensors, in dicts, lists, tuples or dataclasses"
            )
    return ""


def differ_in_size(first: Program, second: Program) -> bool:
    """Tell whether arrays have other shapes in another recording, as values may decide."""
    pairs = zip(first.calls, second.calls, strict=False)
    shapes = (([v.shape for v in x.outs], [v.shape for v in y.outs]) for x, y in pairs)
    return any(x != y for x, y in shapes)


def is_close(x: Array, y: Array, exact: bool = False, itemsize: int = 8) -> bool:
    """Tell whether two arrays are equal, or with `exact` false as close as rounding lets them.

    Args:
        x: an array.
        y: another, which is to have the same shape and dtype.
        exact: whether they are to be equal.
        itemsize: the bytes of the shortest floats on the way to them, if shorter than their own.
    """
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    is_inexact = x.dtype.kind in "fc"
    if exact or not is_inexact:
        return bool(np.array_equal(x, y, equal_nan=is_inexact))
    scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
    # relative to the largest element; where that is about 0, noise of 1e-10 (or 1e-6) is let pass
    relative = {8: 1e-7, 4: 1e-3}.get(min(_bytes(x.dtype), itemsize), 0.05)
    return np.allclose(x, y, 0, relative * (float(scale) + 1e-3), equal_nan=True)


Left = list[tuple[str, Any]]  # what a run leaves behind, each with what it is


def find_differing_result(
    replayed: Left, after: Left, itemsize: int = 8, noise: Sequence[float] = ()
) -> str:
    """Return what a replay left behind otherwise than the function, or "".

    Args:
        replayed: what the replay left behind.
        after: what the function did.
        itemsize: see `is_close`.
        noise: how far each of these may be off besides.
    """
    for i, ((what, mine), (_, right)) in enumerate(zip(replayed, after, strict=True)):
        if (mine is None) != (right is None):
            return "a gradient is there in one of the two only"
        if mine is None or is_close(mine, right, itemsize=itemsize):
            continue
        off = distance(mine, right)
        if not (noise and off <= noise[i]):
            shown = "shape" if mine.shape != right.shape else off
            return f"{what} of shape {right.shape} differs by {shown}"
    return ""


def distance(x: Array, y: Array) -> float:
    """Return the largest difference of two arrays; infinity where they cannot be compared."""
    if x is None or y is None:
        return 0.0 if x is y else np.inf
    if x.shape != y.shape:
        return np.inf
    with np.errstate(all="ignore"):
        off = np.abs(np.subtract(x, y, dtype=np.result_type(x, y, np.float64)))
    same = (x == y) | ((x != x) & (y != y))
    return float(np.where(same, 0.0, np.nan_to_num(off, nan=np.inf)).max(initial=0.0))


def is_finite(left: Left) -> bool:
    """Tell whether all floats are finite."""
    return all(a is None or a.dtype.kind not in "fc" or bool(np.isfinite(a).all()) for _, a in left)


def tells_nothing(left: Left) -> bool:
    """Tell whether an array of floats has no finite element to compare."""
    floats = [a for _, a in left if a is not None and a.dtype.kind in "fc" and a.size]
    return any(not np.isfinite(a).any() for a in floats)


def find_first_difference(
    ready: ReadyProgram, arguments: Any, kept: Program, itemsize: int = 8
) -> str:
    """Run a program statement by statement; return the first that gives something else, or "".

    Args:
        ready: the program.
        arguments: the arguments of the call.
        kept: a recording of the same call that has kept what each call gave.
        itemsize: see `is_close`.
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
        found = np.asarray(space[code.names[step.fills]])
        if not is_close(found, twin.outs[0].array, itemsize=itemsize):
            return f"; first in `{text}`, from{call.line}"
    return ""
