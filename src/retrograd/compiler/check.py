"""The first replays of a program are compared with the function it was recorded from."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.program import Program
from retrograd.compiler.tape import Live, Node, Tape, Var, memory, substitute
from retrograd.core import Array, Tensor
from retrograd.registry import spelled

_WATCHED = 1_000_000  # arrays outside up to this size are watched for writes nobody recorded


class snapshot:
    """The state that a program changes, before a run."""

    def __init__(self, program: Program, arguments: Any) -> None:
        self.program = program
        self.written = [a.copy() for a in program.written]
        self.counts = [bucket.count for _, bucket in program.buckets]
        leaves = [program.leaf(leaf, arguments) for leaf, _ in program.grads]
        self.grads = [(leaf, leaf.grad) for leaf in leaves]
        self.rngs = [f for f in program.writer.functions.values()
                     if isinstance(f, np.random.Generator)]  # fmt: skip
        self.states = [rng.bit_generator.state for rng in self.rngs]
        mine = {id(a) for a in program.written}
        self.watched = [
            (v, v.array.copy())
            for v in program.captured
            if v.tensor is None and id(v.array) not in mine and v.array.size <= _WATCHED
            and not any(np.shares_memory(v.array, a) for a in program.written)
        ]  # fmt: skip

    def mutated(self) -> str:
        """Return a complaint about an array outside that the function wrote to."""
        for v, old in self.watched:
            if not _close(v.array, old, exact=True):
                return (
                    f"it writes into an array outside of it, of shape {old.shape}, without a "
                    "recorded call; use a Tensor and `t += ...` under rg.no_grad()"
                )
        return ""

    def results(self, tape: Tape, result: Any) -> dict[str, Any]:
        """Return copies of what the function has left behind."""
        leaves = [v._data.copy() for v in tree.leaves(result) if isinstance(v, Tensor)]
        return {
            "outs": leaves,
            "written": [a.copy() for a in self.program.written],
            "grads": [None if leaf.grad is None else leaf.grad.copy() for leaf, _ in self.grads],
        }

    def restore(self) -> None:
        """Put everything back as it was before the run."""
        for array, old in zip(self.program.written, self.written, strict=True):
            array[...] = old
        for (_, bucket), count in zip(self.program.buckets, self.counts, strict=True):
            bucket.count = count
        for rng, state in zip(self.rngs, self.states, strict=True):
            rng.bit_generator.state = state
        for leaf, grad in self.grads:
            leaf._grad = grad


def differing_call(first: Tape, second: Tape) -> str:
    """Return where two recordings of a function differ, or nothing.

    An array from outside that was another object of the same values is a constant.
    """
    ours: dict[Var, int] = {}
    theirs: dict[Var, int] = {}

    def look(value: Any, known: dict[Var, int]) -> Any:
        if isinstance(value, Var):
            if value not in known:
                known[value] = len(known)
            outside = value.node is None and value.kind in ("captured", "const")
            return known[value], "outside" if outside else value.kind * (value.node is None)
        if isinstance(value, Live):
            return value.text
        return value

    def spelling(node: Node, known: dict[Var, int]) -> Any:
        args = substitute((node.args, node.kwargs), lambda v: look(v, known))
        outs = tuple(look(v, known) for v in node.outs)
        # a Function is bound to what each run of it leaves for its backward
        fn = "draw" if node.kind == "draw" else getattr(node.fn, "_bound", node.fn)
        return node.kind, fn, repr(args), outs

    written = {memory(n.outs[0]): n for n in first.nodes if n.kind == "write"}
    for mine, other in zip(first.nodes, second.nodes, strict=False):
        fresh = [v for v in mine.vars() if v not in ours]
        fresh_other = [v for v in other.vars() if v not in theirs]
        if spelling(mine, ours) != spelling(other, theirs):
            return _at(other, f"the second run called {_name(other)} where the first had "
                       f"{_name(mine)}, or with other arguments")  # fmt: skip
        for v, w in zip(fresh, fresh_other, strict=True):
            made_here = v.kind in ("captured", "const") and v.array is not w.array
            made_here = made_here and (v.tensor is None or v.tensor is not w.tensor)
            if made_here and memory(v) in written:
                file, number, text = written[memory(v)].line
                return (
                    f"it writes into an array of shape {v.array.shape} that was made without "
                    "recorded calls, so that the next run would find what this one wrote: take a "
                    f"copy first, t = t.copy()\n  {file}:{number}: {text}"
                )
            if made_here and not _close(v.array, w.array, exact=True):
                what = f"an array of shape {w.array.shape}, made without recorded calls, differs"
                return _at(other, f"{what} between two runs; pass it as an argument")
            if made_here and v.kind == "captured":
                first.constants.append(v)
    if len(first.nodes) != len(second.nodes):
        longer = max((first, second), key=lambda t: len(t.nodes)).nodes
        node = longer[min(len(first.nodes), len(second.nodes))]
        return _at(node, f"one run called {_name(node)}, the other did not")
    return ""


def _name(node: Node) -> str:
    return "a random draw" if node.kind == "draw" else spelled(node.fn)


def _at(node: Node, what: str) -> str:
    file, number, text = node.line
    return (
        f"{what}. A branch, a counter or a number outside decides it: pass such values as "
        f"arguments.\n  {file}:{number}: {text}"
    )


def _close(x: Array, y: Array, exact: bool = False) -> bool:
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if exact or x.dtype.kind != "f":
        return bool(np.array_equal(x, y, equal_nan=x.dtype.kind == "f"))
    finite = np.isfinite(y)
    if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return False
    scale = np.abs(y[finite]).max(initial=0.0)
    # 1e-3 more, since what should be 0 is rounding noise of a size that the result does not tell
    bound = {8: 1e-7, 4: 1e-3}.get(x.dtype.itemsize, 0.05) * (scale + 1e-3)
    return bool((np.abs(x[finite] - y[finite]) <= bound).all())


def differing_results(
    program: Program, after: dict[str, Any], replayed: Any, before: snapshot
) -> str:
    """Return what a program computed otherwise than the function, or nothing."""
    outs = [v._data for v in tree.leaves(replayed) if isinstance(v, Tensor)]
    pairs = [("a result", a, b) for a, b in zip(outs, after["outs"], strict=True)]
    pairs += [("an array it writes", a, b)
              for a, b in zip(program.written, after["written"], strict=True)]  # fmt: skip
    for (leaf, _), grad in zip(before.grads, after["grads"], strict=True):
        if (leaf.grad is None) != (grad is None):
            return "a gradient is there in one of the two only"
        if grad is not None:
            pairs.append(("a gradient", leaf.grad, grad))
    for what, mine, right in pairs:
        if not _close(mine, right):
            worst = np.abs(mine - right).max() if mine.shape == right.shape else "shape"
            return f"{what} of shape {right.shape} differs by {worst}"
    return ""


def first_difference(program: Program, arrays: Any, tape: Tape) -> str:
    """Run a program line by line; return the first call that differs from a kept recording."""
    right: dict[Node, Node] = dict(zip(program.tape.nodes, tape.nodes, strict=True))
    space = dict(program.namespace)
    values = [a._data if isinstance(a, Tensor) else a for a in arrays]
    values += program.numbers()
    values += [program.leaf(v.tensor, arrays).grad for v in program.starts]
    space.update(zip(program.parameters(), values, strict=True))
    written = {v for node in tape.nodes if node.kind == "write" for v in node.outs}
    body = program.writer.body
    for i, s in enumerate(body):
        exec(s.text, space)
        last = i + 1 == len(body) or body[i + 1].node is not s.node
        if s.node is None or s.target is None or not last or len(s.node.outs) != 1:
            continue
        twin = right.get(s.node.origin)
        expected = twin.outs[0] if twin is not None else None
        if (
            expected is not None
            and expected not in written
            and not _close(np.asarray(space[program.writer.text(s.target)]), expected.array)
        ):
            file, number, text = s.node.line
            return f"; first in `{s.text}`, from\n  {file}:{number}: {text}"
    return ""
