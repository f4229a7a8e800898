"""Whether two recordings are the same: their calls, the arrays they found, what they leave.

A recording is compared by its `Likeness`, which is small enough to be kept as long as a program.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from retrograd.compiler.ir import Call, Flow, Program, Var, root
from retrograd.compiler.live import Live
from retrograd.compiler.places import is_alike
from retrograd.engine import Array, spelled
from retrograd.lines import Line

BECAUSE = "A branch or a number outside decides it: pass it as an argument."


class _Seen(NamedTuple):
    """What stands for an array in the text of a call."""

    number: int
    kind: str

    def __repr__(self) -> str:
        return f"<{self.kind}array {self.number}>"


class Mark(NamedTuple):
    """What is kept of a call: enough to compare it, and to tell of it.

    Args:
        kind: "call", "write" or "draw".
        fn: what is called; of a draw the generator.
        text: its arguments, arrays numbered in the order they are met.
        outs: the numbers of what it makes, or writes.
        line: the user's line that called it.
        first, last: how many arrays from outside were met before it, and with it.
    """

    kind: str
    fn: Any
    text: str
    outs: tuple[int, ...]
    line: Line
    first: int
    last: int

    @property
    def name(self) -> str:
        """What is called, as the user would write it."""
        return "draw" if self.kind == "draw" else spelled(self.fn)

    def __str__(self) -> str:
        return f"{self.name}({re.sub(r'<[a-z ]*array [0-9]+>', 'array', self.text)})"


class Likeness:
    """What a recording is compared by.

    Args:
        program: as it was recorded.

    Attributes:
        marks: what is kept of each call.
        outside: the arrays that were not made by calls, in the order they are met.
        written: the memory that is written, by what is the same for all that share it; with the
            line of the last call that writes there.
        memory: where each array from outside lies.
        initial: what was in arrays before they were written, which no call had made.
        updated: the ids of what optimizers keep: parameters and state.
        left: what the run gives back and leaves behind, arrays by their numbers.
    """

    def __init__(self, program: Program) -> None:
        numbers: dict[Var, int] = {}
        self.outside: list[Var] = []
        self.marks = [self._mark(call, numbers) for call in program.calls]
        flow = Flow(program.calls)
        self.written = {at: call.line for at, call in flow.writes(program.calls).items()}
        self.memory = [flow.memory(v) for v in self.outside]

        def number(value: Any) -> Any:
            return _Seen(numbers.get(value, -1), value.kind) if isinstance(value, Var) else value

        self.initial = {**program.initial}
        buckets = [bucket for _, bucket in program.updates]
        self.updated = {id(a) for b in buckets for a in (b.data, *b.state.values())}
        positions = program.positions
        self.results = [number(v) for v in program.results]
        self.left = (
            program.structure,
            [(positions.get(id(leaf), id(leaf)), number(g)) for leaf, g in program.grads],
            [[id(each) for each in pair] for pair in program.updates],
            [(reading.name, id(reading.owner), reading.path) for reading in program.lives],
            [(positions.get(i, i), started) for i, started in program.started.items()],
            [(id(module), module._training) for module in program.modules],
            [(number(v), v.shape, v.dtype) for _, v in program.kept],
            [(place.key, [number(v) for v in ends]) for place, ends in program.carried],
        )

    def _mark(self, call: Call, numbers: dict[Var, int]) -> Mark:
        first = len(self.outside)

        def look(value: Any) -> Any:
            if isinstance(value, Var):
                if value not in numbers:
                    numbers[value] = len(numbers)
                    if value.kind != "made":
                        self.outside.append(value)
                outside = value.kind in ("captured", "const")
                kind = "outside " if outside else "" if value.kind == "made" else f"{value.kind} "
                return _Seen(numbers[value], kind)
            return value.formula if isinstance(value, Live) else value

        args, options = call.change(look)
        texts = [repr(a) for a in args] + [f"{name}={v!r}" for name, v in options.items()]
        outs = tuple(look(v).number for v in call.outs)
        # an autograd.Function is another object in each run, bound to what that run keeps
        fn = getattr(call.fn, "_bound", call.fn)
        return Mark(call.kind, fn, ", ".join(texts), outs, call.line, first, len(self.outside))


def find_difference(first: Likeness, second: Likeness) -> tuple[str, list[Var]]:
    """Compare two recordings of a function.

    Returns:
        Where their calls differ, or ""; and the arrays of the first that were other objects of the
        same values in the second, so that they are constants.
    """
    constants: list[Var] = []
    for mine, other in zip(first.marks, second.marks, strict=False):
        if mine.kind == other.kind == "draw" and mine.fn is not other.fn:
            return (
                "two runs drew from different generators of random numbers: make the generator "
                f"once, outside, or pass it as an argument{other.line}"
            ), constants
        if mine[:4] != other[:4]:
            return _at(other, f"the second run called {_contrast(other, mine)}"), constants
        for at in range(mine.first, mine.last):
            v, w = first.outside[at], second.outside[at]
            if v.kind not in ("captured", "const") or v.tensor is w.tensor is not None:
                continue
            if is_same_memory(v.array, w.array) and root(v.array).flags.writeable:
                continue
            memory = first.memory[at]
            begins = [v.array, w.array]
            if memory in first.written:
                begins = [first.initial.get(v), second.initial.get(w)]
                alone = first.memory.count(memory) == 1
                updated = id(v.array) in first.updated or id(w.array) in second.updated
                if not alone or updated or begins[0] is None or begins[1] is None:
                    return (
                        f"it writes into an array of shape {v.shape}, made without recorded "
                        f"calls: take a copy first, t = t.copy(){first.written[memory]}"
                    ), constants
            if not is_equal_array(*begins):
                what = f"an array of shape {w.shape}, made without recorded calls, differs"
                problem = _at(other, f"{what} between two runs; pass it as an argument")
                return problem, constants
            if v.kind == "captured":
                constants.append(v)
    less, more = sorted((first.marks, second.marks), key=len)
    for mark in more[len(less) :]:
        return _at(mark, f"one run called {mark.name}, the other did not"), constants
    return "", constants


def find_any_difference(
    first: Likeness, second: Likeness, constants: Collection[Var], outside: Collection[int] = ()
) -> tuple[str, list[Var]]:
    """Compare a recording with that of a program, also in what it leaves behind.

    Args:
        first: the recording that the program was made of.
        second: the other one.
        constants: those of its arrays that the program takes as constants.
        outside: the ids of the owners of memory outside, none of which is a constant.

    Returns:
        Where they differ, or ""; and arrays of the first that are found to be constants.
    """
    problem, found = find_difference(first, second)
    if problem:
        return problem, []
    for v, w in zip(first.outside, second.outside, strict=True):
        if v.kind not in ("captured", "const") or v in constants:
            continue
        known = any(id(root(a)) in outside for a in (v.array, w.array))
        if not is_same_memory(v.array, w.array) and (known or v not in found):
            return f"an array outside, of shape {v.shape}, is another one", []
    if not is_alike(first.results, second.results):
        return f"it returns {second.results} where it returned {first.results}", []
    if first.left != second.left:
        return "it leaves other gradients or updates behind", []
    return "", [v for v in found if v not in constants]


def is_same_memory(x: Array, y: Array) -> bool:
    """Tell whether two arrays are one, or views of the same elements of an array outside."""
    if x is y:
        return True
    if x is None or y is None or root(x) is not root(y):
        return False
    here, there = x.__array_interface__, y.__array_interface__
    return bool(here == there and x.size)


def is_equal_array(x: Array, y: Array) -> bool:
    """Tell whether two arrays have the same dtype, shape and elements."""
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    return bool(np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"))


def _contrast(other: Mark, mine: Mark) -> str:
    """Return in words how two calls differ."""
    names = [other.name, mine.name]
    if str(other) == str(mine):
        return f"{names[0]} where the first had {names[1]}, or with other arguments: other arrays"
    if names[0] == names[1]:
        return f"{other} where the first had {mine}, or with other arguments"
    return "{} where the first had {}, or with other arguments".format(*names)


def _at(mark: Mark, what: str) -> str:
    return f"{what}. {BECAUSE}{mark.line}"
