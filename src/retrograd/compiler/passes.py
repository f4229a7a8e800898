"""Passes over the list of calls: each takes it and returns a shorter one that computes the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.compiler.batching import batch
from retrograd.compiler.tape import Live, Node, Var, memory, parts, writes
from retrograd.core import astype


def optimise(recorded: list[Node], results: Iterable[Var]) -> tuple[list[Node], dict[Var, Var]]:
    """Run the passes until nothing changes; also returns what each result has become."""
    nodes = []
    for node in recorded:
        nodes.append(replace(node, origin=node))
        if node.kind != "write":
            for v in node.outs:
                v.node, v.kind = nodes[-1], "made"
    became = {v: v for v in results}
    for last in (False, True):
        before = -1
        while len(nodes) != before:
            before = len(nodes)
            nodes, replaced = shorten(nodes)
            became = {v: replaced.get(now, now) for v, now in became.items()}
            nodes = prune(nodes, became.values())
        if not last:
            nodes = batch(nodes, became.values())
    return nodes, became


def prune(nodes: list[Node], results: Iterable[Var]) -> list[Node]:
    """Drop calls that nothing uses; writes to memory outside and random draws stay."""
    needed = set(results)
    # what is written in place is used through every view of it
    used = {memory(v) for v in needed}
    used |= {memory(v) for node in nodes for v in node.vars() if v.kind != "made"}
    kept = []
    for node in reversed(nodes):
        if (
            node.kind == "draw"
            or (node.kind == "write" and memory(node.outs[0]) in used)
            or (node.kind == "call" and not needed.isdisjoint(node.outs))
        ):
            kept.append(node)
            needed.update(node.vars())
            used.update(map(memory, node.vars()))
    return kept[::-1]


def shorten(nodes: list[Node]) -> tuple[list[Node], dict[Var, Var]]:
    """Compute calls on constants now; leave out a call that gives back its argument; merge equals.

    Memory that is written in place stays apart. Also returns what is taken in place of what.
    """
    written = writes(nodes)
    versions: dict[int, int] = {}
    seen: dict[Any, list[Var]] = {}
    replaced: dict[Var, Var] = {}
    kept = []

    def key(value: Any) -> Any:
        if isinstance(value, Var):
            return id(value), versions.get(memory(value), 0)
        if isinstance(value, (tuple, list)):
            return tuple(key(v) for v in value)
        if isinstance(value, dict):
            return tuple((k, key(v)) for k, v in value.items())
        if isinstance(value, Live):
            return "live", value.text
        return type(value), repr(value)

    for node in nodes:
        node.args, node.kwargs = node.given(
            lambda v: replaced.get(v, v) if isinstance(v, Var) else v
        )
        if node.kind == "call":
            apart = any(memory(v) in written for v in node.outs)
            if not apart and all(v.kind == "const" for v in node.vars()) and not has_live(node):
                _compute(node)
                continue
            same = None if apart else _given_back(node, written)
            if same is None and (node.view_of is not None or not apart):
                same = seen.setdefault((node.fn, key(node.args), key(node.kwargs)), node.outs)
            if same is not None and same is not node.outs:
                for old, new in zip(node.outs, same, strict=True):
                    replaced[old] = new
                    new.wish = new.wish or old.wish
                    new.grad_of = new.grad_of or old.grad_of
                continue
        elif node.kind == "write":
            place = memory(node.outs[0])
            versions[place] = versions.get(place, 0) + 1
        kept.append(node)
    return kept, replaced


def has_live(node: Node) -> bool:
    """Tell whether a number among the arguments is read anew in every run."""
    return any(isinstance(v, Live) for v in parts(node.args, node.kwargs))


def _compute(node: Node) -> None:
    args, kwargs = node.given(lambda v: v.array if isinstance(v, Var) else v)
    out = (node.rule.run if node.rule is not None else node.fn)(*args, **kwargs)
    several = len(node.outs) > 1 or isinstance(out, tuple)
    for v, value in zip(node.outs, out if several else [out], strict=True):
        v.kind, v.array = "const", np.asarray(value)


def _given_back(node: Node, written: dict[int, Node]) -> list[Var] | None:
    """Return the argument that a call gives back: `x * 1`, `x / 1`, a copy, `-(-x)`."""
    x, y = (*node.args, None, None)[:2]
    if node.fn is np.multiply and _is_one(x):
        x, y = y, x
    if node.fn is np.negative and isinstance(x, Var) and x.node and x.node.fn is np.negative:
        x = x.node.args[0]
    elif not (
        node.fn in (np.copy, astype, np.positive)
        or (node.fn in (np.multiply, np.divide) and _is_one(y))
    ):
        return None
    if not isinstance(x, Var) or memory(x) in written:
        return None
    a, b = x.array, node.outs[0].array
    same = (a.shape, a.dtype, a.strides) == (b.shape, b.dtype, b.strides)
    return [x] if same else None


def _is_one(value: Any) -> bool:
    if isinstance(value, Var):
        return value.kind == "const" and value.array.size > 0 and bool((value.array == 1).all())
    return isinstance(value, (int, float)) and value == 1
