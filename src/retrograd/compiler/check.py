"""The first replays of a program are compared with the function."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.program import Program
from retrograd.compiler.tape import Live, Node, Tape, Var, memory, writes
from retrograd.core import Array, Tensor
from retrograd.registry import spelled

_WATCHED = 1_000_000  # arrays outside up to this size are watched for writes nobody recorded


class Snapshot:
    """The state that a program changes, before a run."""

    def __init__(self, program: Program, arguments: Any) -> None:
        self.written = [(a, a.copy()) for a in program.written]
        self.leaves = [program.leaf(leaf, arguments) for leaf, _ in program.grads]
        self.values = [(bucket, "count", bucket.count) for _, bucket in program.buckets]
        self.values += [(leaf, "_grad", leaf.grad) for leaf in self.leaves]
        for fn in program.writer.functions.values():
            if isinstance(fn, np.random.Generator):
                self.values.append((fn.bit_generator, "state", fn.bit_generator.state))
        self.watched = [
            (v.array, v.array.copy())
            for v in program.captured
            if v.tensor is None and v.array.size <= _WATCHED
            and not any(np.shares_memory(v.array, a) or v.array is a for a in program.written)
        ]  # fmt: skip

    def mutated(self) -> str:
        for array, old in self.watched:
            if not _close(array, old, exact=True):
                return (
                    f"it writes into an array outside, of shape {old.shape}, without a recorded "
                    "call; use a Tensor and `t += ...` under rg.no_grad()"
                )
        return ""

    def results(self, result: Any) -> dict[str, list[Any]]:
        found = {
            "a result": [v._data for v in tree.leaves(result) if isinstance(v, Tensor)],
            "an array it writes": [a for a, _ in self.written],
            "a gradient": [leaf.grad for leaf in self.leaves],
        }
        return copy.deepcopy(found)

    def restore(self) -> None:
        for array, old in self.written:
            array[...] = old
        for owner, name, value in self.values:
            setattr(owner, name, value)


def differing_call(first: Tape, second: Tape) -> str:
    """Return where two recordings differ, or nothing.

    An array from outside that was another object of the same values is a constant.
    """
    ours: dict[Var, int] = {}
    theirs: dict[Var, int] = {}
    written = writes(first.nodes)
    for mine, other in zip(first.nodes, second.nodes, strict=False):
        pairs = zip(mine.vars(), other.vars(), strict=False)
        fresh = [(v, w) for v, w in pairs if v not in ours]
        if _spelling(mine, ours) != _spelling(other, theirs):
            return _at(other, f"the second run called {_name(other)} where the first had "
                       f"{_name(mine)}, or with other arguments")  # fmt: skip
        for v, w in fresh:
            same = v.array is w.array or (v.tensor is not None and v.tensor is w.tensor)
            if same or v.kind not in ("captured", "const"):
                continue
            if memory(v) in written:
                return (
                    f"it writes into an array of shape {v.array.shape}, made without recorded "
                    "calls, where the next run would find it: take a copy first, t = t.copy()"
                    f"{written[memory(v)].line}"
                )
            if not _close(v.array, w.array, exact=True):
                what = f"an array of shape {w.array.shape}, made without recorded calls, differs"
                return _at(other, f"{what} between two runs; pass it as an argument")
            if v.kind == "captured":
                first.constants.append(v)
    less, more = sorted((first.nodes, second.nodes), key=len)
    for node in more[len(less) :]:
        return _at(node, f"one run called {_name(node)}, the other did not")
    return ""


def _spelling(node: Node, known: dict[Var, int]) -> Any:
    def look(value: Any) -> Any:
        if isinstance(value, Var):
            outside = value.node is None and value.kind in ("captured", "const")
            kind = "outside" if outside else value.kind * (value.node is None)
            return known.setdefault(value, len(known)), kind
        return value.text if isinstance(value, Live) else value

    args = repr(node.given(look))
    # a Function is bound to what each run of it leaves for its backward
    fn = "draw" if node.kind == "draw" else getattr(node.fn, "_bound", node.fn)
    return node.kind, fn, args, [look(v) for v in node.outs]


def _name(node: Node) -> str:
    return "a random draw" if node.kind == "draw" else spelled(node.fn)


def _at(node: Node, what: str) -> str:
    return f"{what}. A branch or a number outside decides it: pass it as an argument.{node.line}"


def _close(x: Array, y: Array, exact: bool = False) -> bool:
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if exact or x.dtype.kind != "f":
        return bool(np.array_equal(x, y, equal_nan=x.dtype.kind == "f"))
    scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
    # 1e-3 more, for noise where 0 is right
    bound = {8: 1e-7, 4: 1e-3}.get(x.dtype.itemsize, 0.05) * (scale + 1e-3)
    return np.allclose(x, y, 0, bound, equal_nan=True)


def differing_results(replayed: dict[str, list[Any]], after: dict[str, list[Any]]) -> str:
    """Return what a program left otherwise than the function, or nothing."""
    for what, results in replayed.items():
        for mine, right in zip(results, after[what], strict=True):
            if (mine is None) != (right is None):
                return "a gradient is there in one of the two only"
            if mine is not None and not _close(mine, right):
                worst = np.abs(mine - right).max() if mine.shape == right.shape else "shape"
                return f"{what} of shape {right.shape} differs by {worst}"
    return ""


def first_difference(program: Program, arguments: Any, tape: Tape) -> str:
    """Run a program by lines; return the first call that differs from a kept recording."""
    right: dict[Any, Node] = dict(zip(program.tape.nodes, tape.nodes, strict=True))
    values = [*program.arrays(arguments), *program.numbers()]
    names = [*program.inputs, *program.lives]
    space = {**program.namespace, **dict(zip(names, values, strict=True))}
    written = {v for node in tape.nodes if node.kind == "write" for v in node.outs}
    for node, statements in itertools.groupby(program.writer.body, lambda s: s.node):
        for s in statements:
            exec(s.text, space)
        twin = right.get(node.origin)
        if twin is None or s.target is None or len(node.outs) != 1 or twin.outs[0] in written:
            continue
        if not _close(np.asarray(space[program.writer.text(s.target)]), twin.outs[0].array):
            return f"; first in `{s.text}`, from{node.line}"
    return ""
