"""Passes over calls: each returns fewer that compute the same."""

import operator
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.compiler.tape import Live, Node, Var, maker, memory, writes
from retrograd.engine import astype
from retrograd.rules.joining import concat

MANY = 4  # fewer products stay as they are


def optimise(recorded: list[Node], results: Iterable[Var]) -> tuple[list[Node], dict[Var, Var]]:
    """Run all passes; also return what became of each result."""
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
            nodes = _slices_at_once(_Sums(nodes, set(became.values())).at_once())
    return nodes, became


def prune(nodes: list[Node], results: Iterable[Var]) -> list[Node]:
    """Drop calls that nothing uses, but no random draws."""
    needed = set(results)
    used = {memory(v) for v in needed}  # through any view
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
    """Compute constants, merge equal calls, leave out what gives back an argument.

    Memory that is written stays apart. Also return what became of what.
    """
    written = writes(nodes)
    versions: Counter[int] = Counter()
    seen: dict[Any, list[Var]] = {}
    replaced: dict[Var, Var] = {}
    kept = []

    def now(value: Any) -> Any:
        return replaced.get(value, value) if isinstance(value, Var) else value

    def key(value: Any) -> Any:
        if isinstance(value, Var):
            return id(value), versions[memory(value)]
        return type(value), value.text if isinstance(value, Live) else value

    for node in nodes:
        node.args, node.kwargs = node.given(now)
        if node.kind == "call":
            apart = any(memory(v) in written for v in node.outs)
            constant = all(v.kind == "const" for v in node.vars()) and not node.vars(Live)
            if constant and not apart:
                _compute(node)
                continue
            same = None if apart else _given_back(node, written)
            if same is None and (node.view_of is not None or not apart):
                same = seen.setdefault((node.fn, repr(node.given(key))), node.outs)
            if same is not None and same is not node.outs:
                for old, new in zip(node.outs, same, strict=True):
                    replaced[old] = new
                    new.wish = new.wish or old.wish
                    new.grad_of = new.grad_of or old.grad_of
                continue
        elif node.kind == "write":
            versions[memory(node.outs[0])] += 1
        kept.append(node)
    return kept, replaced


def _compute(node: Node) -> None:
    args, kwargs = node.given(lambda v: v.array if isinstance(v, Var) else v)
    out = (node.rule.run if node.rule else node.fn)(*args, **kwargs)
    several = len(node.outs) > 1 or isinstance(out, tuple)
    for v, value in zip(node.outs, out if several else [out], strict=True):
        v.kind, v.array = "const", np.asarray(value)


def _given_back(node: Node, written: dict[int, Node]) -> list[Var] | None:
    """Return the argument that a call gives back."""
    x, y = (*node.args, None, None)[:2]
    if node.fn is np.multiply and _is_one(x):
        x, y = y, x
    if node.fn is np.negative and (inner := maker(x)) and inner.fn is np.negative:
        x = inner.args[0]
    elif node.fn in (np.multiply, np.divide):
        x = x if _is_one(y) else None
    elif node.fn not in (np.copy, astype, np.positive):
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


# A net unrolled over time has sums of products (the gradient of a recurrent weight), which are one
# of the stacked factors, and products of all slices of an array with one matrix.


class _Made:
    """Calls in the place of another."""

    def __init__(self, like: Node) -> None:
        self.like = like
        self.nodes: list[Node] = []

    def call(self, fn: Any, *args: Any, **kwargs: Any) -> Var:
        array = fn(*(np.zeros_like(a.array) if isinstance(a, Var) else a for a in args), **kwargs)
        node = Node("call", fn, args, kwargs, self.like.section, self.like.line)
        node.view_of = None if array.base is None else 0
        node.outs = [Var(array, "made", node)]
        self.nodes.append(node)
        return node.outs[0]

    def rows(self, base: Var) -> Var:
        return self.call(np.reshape, base, (-1, base.array.shape[-1]))

    def end_in(self, out: Var) -> list[Node]:
        self.nodes[-1].outs, out.node = [out], self.nodes[-1]
        return self.nodes


class _Sums:
    """Finds sums and what they are sums of."""

    def __init__(self, nodes: list[Node], results: set[Var]) -> None:
        self.nodes = nodes
        self.results = results
        self.uses = Counter(v for node in nodes for v in node.vars())
        self.written = writes(nodes)

    def inner(self, v: Any) -> Node | None:
        """Return what makes a Var that is used once."""
        return maker(v) if self.uses[v] == 1 and v not in self.results else None

    def part(self, v: Any) -> Node | None:
        node = self.inner(v)
        return node if node is not None and _is_sum(node) else None

    def at_once(self) -> list[Node]:
        sums = [node for node in self.nodes if _is_sum(node)]
        consumed = {v for node in sums for v in node.args if self.part(v)}
        instead = {node: self.together(node) for node in sums if node.outs[0] not in consumed}
        return [n for node in self.nodes for n in instead.get(node) or [node]]

    def together(self, node: Node) -> list[Node]:
        """Return calls that compute a sum at once, if any."""
        leaves: list[Any] = []
        stack = [node]
        while stack:
            for v in stack.pop().args:
                if below := self.part(v):
                    stack.append(below)
                else:
                    leaves.append(v)
        terms = [(v, self.term(v)) for v in leaves]
        rest = [v for v, term in terms if not term]
        kinds = [[term for _, term in terms if len(term) == n] for n in (2, 1)]
        if not any(kinds) or any(0 < len(kind) < MANY for kind in kinds):
            return []
        made = _Made(node)
        totals = [self.sum_of(kind, made) for kind in kinds if kind]
        total = totals[0]
        for v in [*totals[1:], *rest]:
            total = made.call(np.add, total, v)
        return made.end_in(node.outs[0]) if total.array.shape == node.outs[0].array.shape else []

    def term(self, v: Any) -> tuple[Var, ...]:
        """Return the factors `(a, b)` of `a.T @ b`, or `(x,)` for a sum over the first axis."""
        node = self.inner(v)
        if node is None:
            return ()
        swapped = _is_transpose(node)
        if swapped or node.fn is np.reshape:  # of a sum that kept its axis
            node = self.inner(node.args[0])
            if node is None or node.fn is not (np.matmul if swapped else np.sum):
                return ()
        found: tuple[Var, ...] = ()
        if node.fn is np.matmul:
            left, right = node.args
            turned = maker(left)
            if turned is not None and _is_transpose(turned) and isinstance(right, Var):
                a = turned.args[0]
                found = (right, a) if swapped else (a, right)
        elif node.fn is np.sum and node.kwargs.get("axis") in (0, (0,)):
            x = node.args[0]
            if v.array.shape == x.array.shape[1:]:
                found = (x,)
        plain = all(x.array.ndim == 2 and memory(x) not in self.written for x in found)
        return found if plain and _one_dtype(v, *found) else ()

    def sum_of(self, terms: list[tuple[Var, ...]], made: _Made) -> Var:
        # backward runs back in time
        place = {v: i for i, node in enumerate(self.nodes) for v in node.outs}
        terms = sorted(terms, key=lambda term: -max(place.get(v, -1) for v in term))
        first, *other = (self.stack(list(factors), made) for factors in zip(*terms, strict=True))
        if not other:
            return made.call(np.sum, first, axis=0)
        return made.call(np.matmul, made.call(np.transpose, first), *other)

    def stack(self, parts: list[Var], made: _Made) -> Var:
        """Put arrays below each other; slices of one are not copied."""
        slices = [_slice_of(part) for part in parts]
        base = slices[0] and slices[0][0]
        if base and slices == [(base, i) for i in range(len(base.array))]:
            return made.rows(base)
        return made.call(concat, *parts, axis=0)


def _slice_of(v: Any) -> tuple[Var, int] | None:
    """Return `(x, i)` where a Var is `x[i]` of three axes."""
    node = maker(v)
    if node is None or node.fn is not operator.getitem:
        return None
    base, index = node.args
    (i,) = index if isinstance(index, tuple) and len(index) == 1 else (index,)
    dense = base.array.ndim == 3 and base.array.flags.c_contiguous
    return (base, i) if dense and isinstance(i, int) else None


def _is_sum(node: Node) -> bool:
    if node.kind != "call" or node.fn is not np.add:
        return False
    out = node.outs[0]
    same = all(isinstance(v, Var) and v.array.shape == out.array.shape for v in node.args)
    return (
        same and _one_dtype(out, *node.args) and out.array.dtype.kind == "f" and out.array.ndim > 0
    )


def _one_dtype(first: Var, *others: Var) -> bool:
    return all(v.array.dtype == first.array.dtype for v in others)


def _is_transpose(node: Node) -> bool:
    axes = (node.args[1:] or [node.kwargs.get("axes")])[0]
    return node.outs[0].array.ndim == 2 and (
        node.fn is np.swapaxes or (node.fn is np.transpose and axes in (None, (1, 0)))
    )


def _slices_at_once(nodes: list[Node]) -> list[Node]:
    """Make products of all slices of an array with one matrix one."""
    looked_at = {n.args[n.view_of] for n in nodes if n.view_of is not None}
    groups: dict[tuple[Var, Var], dict[int, Node]] = {}
    for node in nodes:
        if node.fn is not np.matmul or not all(isinstance(v, Var) for v in node.args):
            continue
        part, matrix = node.args
        if (cut := _slice_of(part)) and matrix.array.ndim == 2:
            groups.setdefault((cut[0], matrix), {})[cut[1]] = node
    for (base, matrix), products in groups.items():
        outs = [node.outs[0] for node in products.values()]
        if (
            len(products) < MANY
            or sorted(products) != list(range(len(base.array)))
            or not all(v.array.flags.c_contiguous and v not in looked_at for v in outs)
        ):
            continue
        at = [nodes.index(node) for node in products.values()]
        changed = {memory(matrix), memory(base)}
        if any(n.kind == "write" and memory(n.outs[0]) in changed for n in nodes[: max(at)]) or (
            matrix.node in nodes and nodes.index(matrix.node) > min(at)
        ):
            continue
        first = nodes[min(at)]
        made = _Made(first)
        large = made.call(np.matmul, made.rows(base), matrix)
        rows = base.array.shape[1]
        instead = {}
        for i, node in products.items():
            view = _Made(node)
            view.call(operator.getitem, large, slice(i * rows, (i + 1) * rows))
            instead[node] = view.end_in(node.outs[0])
        instead[first] = made.nodes + instead[first]
        nodes = [n for node in nodes for n in instead.get(node, [node])]
    return nodes
