"""The first replays of a program are compared with the function it was recorded from."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.program import Program
from retrograd.compiler.tape import Live, Node, Tape, Var, memory, place, writes
from retrograd.core import Array, Tensor
from retrograd.registry import spelled

_WATCHED = 1_000_000  # arrays outside up to this size are watched for writes nobody recorded


class Snapshot:
    """The state that a program changes, before a run."""

    def __init__(self, program: Program, arguments: Any) -> None:
        self.program = program
        self.written = [(a, a.copy()) for a in program.written]
        self.counts = [bucket.count for _, bucket in program.buckets]
        leaves = [program.leaf(leaf, arguments) for leaf, _ in program.grads]
        self.grads = [(leaf, leaf.grad) for leaf in leaves]
        generators = [fn.bit_generator for fn in program.writer.functions.values()
                      if isinstance(fn, np.random.Generator)]  # fmt: skip
        self.states = [(generator, generator.state) for generator in generators]
        self.watched = [
            (v.array, v.array.copy())
            for v in program.captured
            if v.tensor is None and v.array.size <= _WATCHED
            and not any(np.shares_memory(v.array, a) or v.array is a for a in program.written)
        ]  # fmt: skip

    def mutated(self) -> str:
        """Return a complaint about an array outside that the function wrote to."""
        for array, old in self.watched:
            if not _close(array, old, exact=True):
                return (
                    f"it writes into an array outside of it, of shape {old.shape}, without a "
                    "recorded call; use a Tensor and `t += ...` under rg.no_grad()"
                )
        return ""

    def results(self, result: Any) -> dict[str, list[Any]]:
        grads = [leaf.grad for leaf, _ in self.grads]
        return {
            "a result": [v._data.copy() for v in tree.leaves(result) if isinstance(v, Tensor)],
            "an array it writes": [a.copy() for a in self.program.written],
            "a gradient": [None if grad is None else grad.copy() for grad in grads],
        }

    def restore(self) -> None:
        for array, old in self.written:
            array[...] = old
        for (_, bucket), count in zip(self.program.buckets, self.counts, strict=True):
            bucket.count = count
        for generator, state in self.states:
            generator.state = state
        for leaf, grad in self.grads:
            leaf._grad = grad


def differing_call(first: Tape, second: Tape) -> str:
    """Return where two recordings of a function differ, or nothing.

    An array from outside that was another object of the same values is a constant.
    """
    ours: dict[Var, int] = {}
    theirs: dict[Var, int] = {}
    written = writes(first.nodes)
    for mine, other in zip(first.nodes, second.nodes, strict=False):
        fresh = [v for v in mine.vars() if v not in ours]
        fresh_other = [v for v in other.vars() if v not in theirs]
        if _spelling(mine, ours) != _spelling(other, theirs):
            return _at(other, f"the second run called {_name(other)} where the first had "
                       f"{_name(mine)}, or with other arguments")  # fmt: skip
        for v, w in zip(fresh, fresh_other, strict=True):
            same = v.array is w.array or (v.tensor is not None and v.tensor is w.tensor)
            if same or v.kind not in ("captured", "const"):
                continue
            if memory(v) in written:
                return (
                    f"it writes into an array of shape {v.array.shape} that was made without "
                    "recorded calls, so that the next run would find what this one wrote: take a "
                    f"copy first, t = t.copy(){place(written[memory(v)].line)}"
                )
            if not _close(v.array, w.array, exact=True):
                what = f"an array of shape {w.array.shape}, made without recorded calls, differs"
                return _at(other, f"{what} between two runs; pass it as an argument")
            if v.kind == "captured":
                first.constants.append(v)
    if len(first.nodes) != len(second.nodes):
        longer = max(first.nodes, second.nodes, key=len)
        node = longer[min(len(first.nodes), len(second.nodes))]
        return _at(node, f"one run called {_name(node)}, the other did not")
    return ""


def _spelling(node: Node, known: dict[Var, int]) -> Any:
    """Return a call with its Vars numbered as they come up."""

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
    return (
        f"{what}. A branch, a counter or a number outside decides it: pass such values as "
        f"arguments.{place(node.line)}"
    )


def _close(x: Array, y: Array, exact: bool = False) -> bool:
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if exact or x.dtype.kind != "f":
        return bool(np.array_equal(x, y, equal_nan=x.dtype.kind == "f"))
    scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
    # 1e-3 more, since what should be 0 is rounding noise of a size that the result does not tell
    bound = {8: 1e-7, 4: 1e-3}.get(x.dtype.itemsize, 0.05) * (scale + 1e-3)
    return np.allclose(x, y, 0, bound, equal_nan=True)


def differing_results(replayed: dict[str, list[Any]], after: dict[str, list[Any]]) -> str:
    """Return what a program left behind otherwise than the function, or nothing."""
    for what, results in replayed.items():
        for mine, right in zip(results, after[what], strict=True):
            if (mine is None) != (right is None):
                return "a gradient is there in one of the two only"
            if mine is not None and not _close(mine, right):
                worst = np.abs(mine - right).max() if mine.shape == right.shape else "shape"
                return f"{what} of shape {right.shape} differs by {worst}"
    return ""


def first_difference(program: Program, arrays: Any, tape: Tape) -> str:
    """Run a program line by line; return the first call that differs from a kept recording."""
    right: dict[Any, Node] = dict(zip(program.tape.nodes, tape.nodes, strict=True))
    values = [a._data if isinstance(a, Tensor) else a for a in arrays]
    values += program.numbers()
    values += [program.leaf(v.tensor, arrays).grad for v in program.starts]
    space = {**program.namespace, **dict(zip(program.parameters(), values, strict=True))}
    written = {v for node in tape.nodes if node.kind == "write" for v in node.outs}
    body = program.writer.body
    for s, after in zip(body, [*body[1:], None], strict=False):
        exec(s.text, space)
        last = after is None or after.node is not s.node
        if s.target is None or not last or len(s.node.outs) != 1:
            continue
        twin = right.get(s.node.origin)
        if twin is None or twin.outs[0] in written:
            continue
        if not _close(np.asarray(space[program.writer.text(s.target)]), twin.outs[0].array):
            return f"; first in `{s.text}`, from{place(s.node.line)}"
    return ""
