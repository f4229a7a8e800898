"""Passes over the list of calls: each takes it and returns a shorter one that computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.compiler.tape import Live, Node, Var, memory, substitute
from retrograd.core import astype

Replaced = dict[Var, Var]


def prune(nodes: list[Node], results: list[Var]) -> list[Node]:
    """Drop calls that nothing uses; writes to memory outside and random draws stay."""
    needed = set(results)
    outside = {memory(v) for node in nodes for v in node.vars() if v.kind != "made"}
    # what is written in place is used through every view of it
    used = {memory(v) for v in results}
    kept = []
    for node in reversed(nodes):
        touched = {memory(v) for v in node.outs}
        if node.kind == "write":
            stays = bool(touched & (outside | used))
        else:
            stays = node.kind == "draw" or any(v in needed for v in node.outs)
        if stays:
            kept.append(node)
            for v in node.vars():
                needed.add(v)
                used.add(memory(v))
    return kept[::-1]


def fold(nodes: list[Node]) -> list[Node]:
    """Compute calls on constants now."""
    kept = []
    written = {memory(v) for node in nodes if node.kind == "write" for v in node.outs}
    for node in nodes:
        fixed = all(v.kind == "const" for v in node.vars()) and not has_live(node)
        if node.kind == "call" and fixed and not written & {memory(v) for v in node.outs}:
            for v, value in zip(node.outs, _values(node), strict=True):
                v.kind, v.array = "const", value
        else:
            kept.append(node)
    return kept


def _values(node: Node) -> list[Any]:
    """Compute the outputs of a call on constants."""
    args = substitute(node.args, lambda v: v.array if _is_var(v) else v)
    kwargs = substitute(node.kwargs, lambda v: v.array if _is_var(v) else v)
    out = (node.rule.run if node.rule is not None else node.fn)(*args, **kwargs)
    return [np.asarray(o) for o in out] if len(node.outs) > 1 else [np.asarray(out)]


def has_live(node: Node) -> bool:
    """Tell whether a number among the arguments is read anew in every run."""
    found = False

    def look(value: Any) -> Any:
        nonlocal found
        found = found or isinstance(value, Live)
        return value

    substitute((node.args, node.kwargs), look)
    return found


def merge(nodes: list[Node]) -> tuple[list[Node], Replaced]:
    """Make equal calls one, unless memory that they read was written in between."""
    writes: dict[int, int] = {}
    seen: dict[Any, Node] = {}
    replaced: Replaced = {}
    written = {memory(v) for node in nodes if node.kind == "write" for v in node.outs}
    kept = []

    def key(value: Any) -> Any:
        if isinstance(value, Var):
            return id(value), writes.get(memory(value), 0)
        if isinstance(value, (tuple, list)):
            return tuple(key(v) for v in value)
        if isinstance(value, dict):
            return tuple((k, key(v)) for k, v in value.items())
        if isinstance(value, slice):
            return "slice", value.start, value.stop, value.step
        if isinstance(value, Live):
            return "live", value.text
        return type(value), repr(value)

    for node in nodes:
        node.args = substitute(node.args, lambda v: replaced.get(v, v) if _is_var(v) else v)
        node.kwargs = substitute(node.kwargs, lambda v: replaced.get(v, v) if _is_var(v) else v)
        if node.kind == "write":
            for v in node.outs:
                writes[memory(v)] = writes.get(memory(v), 0) + 1
        elif node.kind == "call" and (
            node.view_of is not None or not any(memory(v) in written for v in node.outs)
        ):
            same = seen.setdefault((node.fn, key(node.args), key(node.kwargs)), node)
            if same is not node:
                for old, new in zip(node.outs, same.outs, strict=True):
                    replaced[old] = new
                    new.wish = new.wish or old.wish
                    new.grad_of = new.grad_of or old.grad_of
                continue
        kept.append(node)
    return kept, replaced


def simplify(nodes: list[Node]) -> tuple[list[Node], Replaced]:
    """Leave out calls that give back their argument: `x * 1`, `x / 1`, a copy, `-(-x)`."""
    replaced: Replaced = {}
    written = {memory(v) for node in nodes if node.kind == "write" for v in node.outs}
    kept = []
    for node in nodes:
        node.args = substitute(node.args, lambda v: replaced.get(v, v) if _is_var(v) else v)
        node.kwargs = substitute(node.kwargs, lambda v: replaced.get(v, v) if _is_var(v) else v)
        same = _identity(node) if node.kind == "call" else None
        if same is not None and len(node.outs) == 1:
            out = node.outs[0]
            a, b = same.array, out.array
            alike = a.shape == b.shape and a.dtype == b.dtype and a.strides == b.strides
            if alike and not {memory(same), memory(out)} & written:
                replaced[out] = same
                same.wish = same.wish or out.wish
                same.grad_of = same.grad_of or out.grad_of
                continue
        kept.append(node)
    return kept, replaced


def _is_var(value: Any) -> bool:
    return isinstance(value, Var)


def _identity(node: Node) -> Var | None:
    args = node.args
    if node.fn in (np.copy, astype, np.positive):
        return args[0] if isinstance(args[0], Var) else None
    if node.fn is np.multiply:
        for x, y in (args, args[::-1]):
            if isinstance(x, Var) and _is_one(y):
                return x
    if node.fn is np.divide and isinstance(args[0], Var) and _is_one(args[1]):
        return args[0]
    if node.fn is np.negative and isinstance(args[0], Var):
        inner = args[0].node
        if inner is not None and inner.fn is np.negative and isinstance(inner.args[0], Var):
            return inner.args[0]
    return None


def _is_one(value: Any) -> bool:
    if isinstance(value, Var):
        return value.kind == "const" and value.array.size > 0 and bool((value.array == 1).all())
    return isinstance(value, (int, float)) and value == 1
