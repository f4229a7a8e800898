"""Many small products made one large one, as a net unrolled over time calls for.

A sum of products over time, such as the gradient of a recurrent weight, is one product of the
stacked factors; products of every slice of an array with one matrix are one product of the array.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from retrograd.compiler.tape import Node, Var, blank, memory
from retrograd.rules.joining import concat

MANY = 4  # fewer products than this stay as they are


def batch(nodes: list[Node], results: Iterable[Var]) -> list[Node]:
    """Return the calls with sums of products, and products of slices, taken together."""
    return _slices_at_once(_sums_at_once(nodes, set(results)))


def _uses(nodes: list[Node]) -> dict[Var, int]:
    uses: dict[Var, int] = {}
    for node in nodes:
        for v in node.vars():
            uses[v] = uses.get(v, 0) + 1
    return uses


def _sums_at_once(nodes: list[Node], results: set[Var]) -> list[Node]:
    uses = _uses(nodes)
    place = {v: i for i, node in enumerate(nodes) if node.kind == "call" for v in node.outs}
    writes = {memory(v) for node in nodes if node.kind == "write" for v in node.outs}

    def maker(v: Any) -> Node | None:
        return nodes[place[v]] if isinstance(v, Var) and v in place else None

    def inner(v: Any) -> bool:
        """Tell whether a Var is a sum that only another sum uses."""
        node = maker(v)
        return node is not None and _is_sum(node) and uses.get(v) == 1 and v not in results

    consumed = {v for node in nodes if _is_sum(node) for v in node.args if inner(v)}
    replaced: dict[int, list[Node]] = {}
    for i, node in enumerate(nodes):
        if not _is_sum(node) or node.outs[0] in consumed:
            continue
        leaves, stack = [], [node]
        while stack:
            for v in stack.pop().args:
                below = maker(v)
                if inner(v) and below is not None:
                    stack.append(below)
                else:
                    leaves.append(v)
        terms: dict[str, list[tuple[Var, Var | None]]] = {"product": [], "sum": []}
        rest = []
        for v in leaves:
            kind, term = _term(v, maker, uses, results, writes)
            if kind:
                terms[kind].append(term)
            else:
                rest.append(v)
        chosen = [(k, t) for k, t in terms.items() if len(t) >= MANY]
        if not chosen or any(len(t) for k, t in terms.items() if (k, t) not in chosen):
            continue
        made: list[Node] = []
        parts = [_together(kind, t, node, place, maker, made) for kind, t in chosen]
        total = parts[0]
        for v in [*parts[1:], *rest]:
            a = total.array
            total = _call(made, node, np.add, (total, v), blank(a.shape, a.dtype))
        if total.array.shape != node.outs[0].array.shape:
            continue
        made[-1].outs = node.outs
        node.outs[0].node = made[-1]
        replaced[i] = made
    return [n for i, node in enumerate(nodes) for n in replaced.get(i, [node])]


def _is_sum(node: Node) -> bool:
    return (
        node.kind == "call"
        and node.fn is np.add
        and all(isinstance(v, Var) and v.array.shape == node.outs[0].array.shape for v in node.args)
        and _one_dtype(*node.args, node.outs[0])
        and node.outs[0].array.dtype.kind == "f"
        and node.outs[0].array.ndim > 0
    )


def _term(v: Any, maker: Any, uses: Any, results: Any, writes: Any) -> tuple[str, Any]:
    """Return the factors `(a, b)` of `a.T @ b`, or what is summed over the first axis."""
    node = maker(v)
    if node is None or uses.get(v) != 1 or v in results:
        return "", None
    swapped = _is_transpose(node)
    if swapped:  # (a.T @ b).T is b.T @ a
        below = maker(node.args[0])
        if below is None or below.fn is not np.matmul or uses.get(node.args[0]) != 1:
            return "", None
        node = below
    if node.fn is np.matmul:
        left, right = node.args
        turned = maker(left)
        if turned is not None and _is_transpose(turned) and isinstance(right, Var):
            a = turned.args[0]
            plain = a.array.ndim == right.array.ndim == 2 and _one_dtype(a, right, v)
            if plain and not _written((a, right), writes):
                return "product", (right, a) if swapped else (a, right)
        return "", None
    if node.fn is np.reshape:  # of a sum that kept its axis
        below = maker(node.args[0])
        if below is None or uses.get(node.args[0]) != 1 or v.array.ndim != 1:
            return "", None
        node = below
    if node.fn is np.sum and node.kwargs.get("axis") in (0, (0,)):
        x = node.args[0]
        rows = isinstance(x, Var) and x.array.ndim == 2 and v.array.shape == x.array.shape[1:]
        if rows and _one_dtype(x, v) and not _written((x,), writes):
            return "sum", (x, None)
    return "", None


def _one_dtype(*vs: Var) -> bool:
    return all(v.array.dtype == vs[0].array.dtype for v in vs)


def _written(vs: Iterable[Var], writes: set[int]) -> bool:
    return any(memory(v) in writes for v in vs)


def _is_transpose(node: Node) -> bool:
    if node.outs[0].array.ndim != 2:
        return False
    return node.fn is np.swapaxes or (
        node.fn is np.transpose
        and (node.args[1:] or [node.kwargs.get("axes")])[0] in (None, (1, 0))
    )


def _together(
    kind: str, terms: list[Any], like: Node, place: dict[Var, int], maker: Any, made: list[Node]
) -> Var:
    """Append the calls that compute a sum of terms at once; returns its result."""
    # what was computed last comes first: for a net unrolled over time that is the order of time
    terms = sorted(terms, key=lambda t: -max(place.get(v, -1) for v in t if v is not None))
    first = _stack([t[0] for t in terms], like, maker, made)
    if kind == "sum":
        row = blank(first.array.shape[1:], first.array.dtype)
        return _call(made, like, np.sum, (first,), row, axis=0)
    second = _stack([t[1] for t in terms], like, maker, made)
    turned = _view(made, like, np.transpose, (first,), first.array.T)
    product = blank((first.array.shape[1], second.array.shape[1]), like.outs[0].array.dtype)
    return _call(made, like, np.matmul, (turned, second), product)


def _stack(parts: list[Var], like: Node, maker: Any, made: list[Node]) -> Var:
    """Append the call that puts arrays below each other, which is a view of slices in order."""
    base = _slices(parts, maker)
    if base is not None:
        shape = (-1, parts[0].array.shape[-1])
        return _view(made, like, np.reshape, (base, shape), base.array.reshape(shape))
    rows = sum(p.array.shape[0] for p in parts)
    joined = blank((rows, parts[0].array.shape[1]), parts[0].array.dtype)
    return _call(made, like, concat, tuple(parts), joined, axis=0)


def _slices(parts: list[Var], maker: Any) -> Var | None:
    """Return the array that the parts are all the slices of, in order."""
    base = None
    for i, part in enumerate(parts):
        node = maker(part)
        if node is None or node.fn is not operator.getitem or node.args[1] not in (i, (i,)):
            return None
        if base is not None and node.args[0] is not base:
            return None
        base = node.args[0]
    if base is None or base.array.shape[0] != len(parts) or base.array.ndim != 3:
        return None
    return base if base.array.flags.c_contiguous else None


def _call(
    made: list[Node], like: Node, fn: Any, args: tuple[Any, ...], array: Any, **kwargs: Any
) -> Var:
    node = Node("call", fn, args, kwargs, like.section)
    node.line = like.line
    out = Var(array, "made", node)
    node.outs = [out]
    made.append(node)
    return out


def _view(made: list[Node], like: Node, fn: Any, args: tuple[Any, ...], array: Any) -> Var:
    out = _call(made, like, fn, args, array)
    made[-1].view_of = 0
    return out


def _slices_at_once(nodes: list[Node]) -> list[Node]:
    """Make the products of all slices of an array with one matrix a product of the array."""
    uses_by: dict[Var, list[Node]] = {}
    place: dict[Var, Node] = {}
    for node in nodes:
        for v in node.vars():
            uses_by.setdefault(v, []).append(node)
        if node.kind == "call":
            place.update(dict.fromkeys(node.outs, node))
    groups: dict[tuple[Var, Var], dict[int, Node]] = {}
    for node in nodes:
        if node.fn is not np.matmul or not all(isinstance(v, Var) for v in node.args):
            continue
        part, matrix = node.args
        cut = place.get(part)
        if cut is None or cut.fn is not operator.getitem or not isinstance(cut.args[1], int):
            continue
        if part.array.ndim == matrix.array.ndim == 2 and part.array.flags.c_contiguous:
            groups.setdefault((cut.args[0], matrix), {})[cut.args[1]] = node
    for (base, matrix), products in groups.items():
        outs = [node.outs[0] for node in products.values()]
        seen_otherwise = any(user.view_of is not None for v in outs for user in uses_by.get(v, []))
        plain = all(v.array.flags.c_contiguous for v in outs)
        whole = sorted(products) == list(range(base.array.shape[0])) and base.array.ndim == 3
        if len(products) < MANY or not whole or seen_otherwise or not plain:
            continue
        update = next((i for i, n in enumerate(nodes) if n.kind == "write"
                       and _written(n.outs, {memory(matrix), memory(base)})), None)  # fmt: skip
        first = min(nodes.index(node) for node in products.values())
        last = max(nodes.index(node) for node in products.values())
        if (update is not None and update < last) or (
            place.get(matrix) is not None and nodes.index(place[matrix]) > first
        ):
            continue
        made: list[Node] = []
        like = nodes[first]
        shape = (-1, base.array.shape[-1])
        flat = _view(made, like, np.reshape, (base, shape), base.array.reshape(shape))
        product = blank((flat.array.shape[0], matrix.array.shape[1]), like.outs[0].array.dtype)
        large = _call(made, like, np.matmul, (flat, matrix), product)
        rows = base.array.shape[1]
        swap: dict[int, list[Node]] = {id(like): made}
        for i, node in products.items():
            out = node.outs[0]
            out.array = large.array[i * rows : (i + 1) * rows]
            view = Node("call", operator.getitem,
                        (large, slice(i * rows, (i + 1) * rows)), {}, node.section)  # fmt: skip
            view.line, view.outs, view.view_of, out.node = node.line, [out], 0, view
            swap[id(node)] = [*swap.get(id(node), []), view]
        nodes = [n for node in nodes for n in swap.get(id(node), [node])]
    return nodes
