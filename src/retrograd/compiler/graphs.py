"""How gradients flow through a function, found in a recording of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from retrograd import tree
from retrograd.compiler.arguments import ARRAYS
from retrograd.compiler.differentiable import Graph
from retrograd.compiler.gradients import leaf_of
from retrograd.compiler.ir import Program
from retrograd.compiler.records import flatten_results
from retrograd.compiler.tape import Tape
from retrograd.engine import PASSED, Tensor, trace_back


def find_graph(
    fn: Callable[..., Any], tape: Tape, result: Any, start: int, recorded: Program,
    structure: tree.Structure, compile: Callable[..., Any],
) -> Graph | None:  # fmt: skip
    """Return how gradients flow to the results of a run, None where nobody can ask for any.

    A run that calls `backward` or changes what is trained is a step, and its results are values.

    Args:
        fn: the function.
        tape: what was heard of the run.
        result: what the function returned.
        start: when the run began, by the clock of recorded calls.
        recorded: the run as a program.
        structure: the tree of the arguments.
        compile: as for `Graph`.
    """
    values, _ = flatten_results(result)
    outs = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not outs or tape.leaves or tape.updates:
        return None
    held = {id(v.tensor): v.tensor for call in recorded.calls for v in call.vars()}
    if any(
        call.kind == "write" and (t := call.outs[0].tensor) is not None and t.requires_grad
        for call in recorded.calls
    ):
        return None
    live, used = list[int](), dict[Tensor, set[int]]()
    for i in outs:
        inner, ends = trace_back([values[i]], start)
        is_whole = all(t.inputs is not None for t in inner)
        if is_whole:  # else it is what is left of a graph that the run itself has used up
            for t in ends:
                used.setdefault(t, set()).add(len(live))
            live.append(i)
    found: list[tuple[Tensor | int, set[int]]] = []
    for t, behind in used.items():
        if id(t) in tape.positions:
            found.append((tape.positions[id(t)], behind))
        elif id(t) in held or not t.is_leaf:  # others were made inside
            found.append((t, behind))
    if not found:
        return None
    passed = {i: values[i].rule for i in live if _is_passed(values[i], start)}
    count = sum(isinstance(v, Tensor) for v in values)
    return Graph(fn, live, passed, count, found, structure, compile)


def _is_passed(t: Tensor, start: int) -> bool:
    """Tell whether a result was made, by a call with a formula for two, of what the run made."""
    if t.rule not in PASSED or len(t.inputs) != 1 or t.kwargs or t._retains:
        return False
    inner = t.inputs[0]
    return isinstance(inner, Tensor) and inner.rule is not None and inner._order >= start


def flow_alike(first: Graph | None, second: Graph | None) -> bool:
    """Tell whether gradients flow from the same results to the same Tensors and arguments."""
    if first is None or second is None:
        return first is second
    pairs = zip(first.used, second.used, strict=False)
    return (
        first.outs == second.outs
        and first.passed == second.passed
        and len(first.used) == len(second.used)
        and all(x is y or (isinstance(x, int) and x == y) for x, y in pairs)
    )


def stand_ins(leaves: Sequence[Any]) -> list[Any]:
    """Return the leaves of arguments with leaves in the place of Tensors that have a graph."""
    return [leaf_of(v) if isinstance(v, Tensor) and not v.is_leaf else v for v in leaves]


def refuse_lost_gradients(tape: Tape, leaves: Sequence[Any]) -> None:
    """Raise TypeError if a run sends gradients to arguments that have a graph, beyond itself."""
    arrays: list[Any] = [v for v in leaves if isinstance(v, ARRAYS)]
    reached = [tape.positions.get(i) for i in tape.leaves]
    if any(at is not None and not arrays[at].is_leaf for at in reached):
        tape.put_back()
        raise TypeError(
            "a compiled function that calls backward got a Tensor with a graph, whose gradient "
            "would be lost: pass t.detach(), or compile what computes it too"
        )
