"""Passes that stack what a net unrolled over time does step by step.

It has sums of products (the gradient of a recurrent weight), which are one product of the stacked
factors, and products of all slices of an array with one matrix, which are one product too.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.compiler.ir import Call, Flow, Var
from retrograd.compiler.names import stem_of
from retrograd.rules.joining import concat

MANY = 4  # products: fewer stay as they are


def sums_at_once(calls: Sequence[Call], results: Iterable[Var]) -> list[Call]:
    """Return the calls with sums of many products, or of many sums over an axis, as one."""
    sums = _Sums(calls, set(results))
    adding = [call for call in calls if _is_sum(call)]
    consumed = {v for call in adding for v in call.args if sums.part(v)}
    instead = {call: sums.together(call) for call in adding if call.outs[0] not in consumed}
    return [c for call in calls for c in instead.get(call) or [call]]


class _Replacement:
    """Calls that stand for another one."""

    def __init__(self, like: Call) -> None:
        self.like = like
        self.calls: list[Call] = []

    def call(self, fn: Any, *args: Any, **kwargs: Any) -> Var:
        """Add a call; return what it makes, with the layout that NumPy gives it."""
        array = fn(*(a.example() if isinstance(a, Var) else a for a in args), **kwargs)
        view_of = None if array.base is None else 0
        made = Call("call", fn, args, kwargs, (), self.like.section, self.like.line)
        made = replace(made, view_of=view_of, outs=(Var("made", array, None, stem_of(made)),))
        self.calls.append(made)
        return made.outs[0]

    def rows(self, base: Var) -> Var:
        """Add a view with one axis for all but the last one."""
        return self.call(np.reshape, base, (-1, base.shape[-1]))

    def end_in(self, out: Var) -> list[Call]:
        """Return the calls, the last of which makes `out`."""
        return [*self.calls[:-1], replace(self.calls[-1], outs=(out,))]


class _Sums:
    """Finds sums and what they are sums of."""

    def __init__(self, calls: Sequence[Call], results: set[Var]) -> None:
        self.flow = Flow(calls)
        self.results = results
        self.uses = Counter(v for call in calls for v in call.vars())
        self.written = self.flow.writes(calls)
        self.place = {v: i for i, call in enumerate(calls) for v in call.outs}

    def inner(self, v: Any) -> Call | None:
        """Return what makes a Var that is used once."""
        return self.flow.maker(v) if self.uses[v] == 1 and v not in self.results else None

    def part(self, v: Any) -> Call | None:
        """Return the sum that is a term of another sum alone."""
        call = self.inner(v) if isinstance(v, Var) else None
        return call if call is not None and _is_sum(call) else None

    def together(self, call: Call) -> list[Call]:
        """Return calls that compute a sum at once, if any."""
        leaves: list[Any] = []
        stack = [call]
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
        stand, out = _Replacement(call), call.outs[0]
        totals = [self.sum_of(kind, stand) for kind in kinds if kind]
        total = totals[0]
        for v in [*totals[1:], *rest]:
            total = stand.call(np.add, total, v)
        return stand.end_in(out) if total.shape == out.shape else []

    def term(self, v: Any) -> tuple[Var, ...]:
        """Return the factors `(a, b)` of `a.T @ b`, or `(x,)` for a sum over the first axis."""
        call = self.inner(v)
        if call is None:
            return ()
        swapped = _is_transpose(call)
        if swapped or call.fn is np.reshape:  # the inner call kept the axis, which is dropped here
            call = self.inner(call.args[0])
            if call is None or call.fn is not (np.matmul if swapped else np.sum):
                return ()
        found: tuple[Var, ...] = ()
        if call.fn is np.matmul:
            left, right = call.args
            turning = self.flow.maker(left)
            if turning is not None and _is_transpose(turning) and isinstance(right, Var):
                a = turning.args[0]
                found = (right, a) if swapped else (a, right)
        elif call.fn is np.sum and call.kwargs.get("axis") in (0, (0,)):
            x = call.args[0]
            if v.shape == x.shape[1:]:
                found = (x,)
        plain = all(x.ndim == 2 and self.flow.memory(x) not in self.written for x in found)
        return found if plain and _one_dtype(v, *found) else ()

    def sum_of(self, terms: list[tuple[Var, ...]], stand: _Replacement) -> Var:
        """Add the calls for a sum of terms of one kind."""
        # in the order of time, which backward goes through in reverse
        place = self.place
        terms = sorted(terms, key=lambda term: -max(place.get(v, -1) for v in term))
        first, *other = (self.stack(list(factors), stand) for factors in zip(*terms, strict=True))
        if not other:
            return stand.call(np.sum, first, axis=0)
        return stand.call(np.matmul, stand.call(np.transpose, first), *other)

    def stack(self, parts: list[Var], stand: _Replacement) -> Var:
        """Put arrays below each other; slices of one are not copied."""
        slices = [_slice_of(part, self.flow) for part in parts]
        base = slices[0] and slices[0][0]
        if base and slices == [(base, i) for i in range(base.shape[0])]:
            return stand.rows(base)
        return stand.call(concat, *parts, axis=0)


def _slice_of(v: Any, flow: Flow) -> tuple[Var, int] | None:
    """Return `(x, i)` where a Var is `x[i]` of three axes."""
    call = flow.maker(v)
    if call is None or call.fn is not operator.getitem:
        return None
    base, index = call.args
    (i,) = index if isinstance(index, tuple) and len(index) == 1 else (index,)
    dense = base.ndim == 3 and base.is_c_contiguous
    return (base, i) if dense and isinstance(i, int) else None


def _is_sum(call: Call) -> bool:
    if call.kind != "call" or call.fn is not np.add:
        return False
    out = call.outs[0]
    same = all(isinstance(v, Var) and v.shape == out.shape for v in call.args)
    return same and _one_dtype(out, *call.args) and out.dtype.kind == "f" and out.ndim > 0


def _one_dtype(first: Var, *others: Var) -> bool:
    return all(v.dtype == first.dtype for v in others)


def _is_transpose(call: Call) -> bool:
    axes = (call.args[1:] or [call.kwargs.get("axes")])[0]
    return call.outs[0].ndim == 2 and (
        call.fn is np.swapaxes or (call.fn is np.transpose and axes in (None, (1, 0)))
    )


def products_at_once(calls: Sequence[Call]) -> list[Call]:
    """Return the calls with products of all slices of an array with one matrix as one."""
    flow = Flow(calls)
    looked_at = {c.args[c.view_of] for c in calls if c.view_of is not None}
    groups: dict[tuple[Var, Var], dict[int, Call]] = {}
    for call in calls:
        if call.fn is not np.matmul or not all(isinstance(v, Var) for v in call.args):
            continue
        part, matrix = call.args
        if (cut := _slice_of(part, flow)) and matrix.ndim == 2:
            groups.setdefault((cut[0], matrix), {})[cut[1]] = call
    found = [*calls]
    for (base, matrix), products in groups.items():
        outs = [call.outs[0] for call in products.values()]
        if (
            len(products) < MANY
            or sorted(products) != list(range(base.shape[0]))
            or not all(v.is_c_contiguous and v not in looked_at for v in outs)
        ):
            continue
        flow = Flow(found)
        place = {call: i for i, call in enumerate(found)}
        at = [place[call] for call in products.values()]
        changed = {flow.memory(matrix), flow.memory(base)}
        maker = flow.makers.get(matrix)
        if any(
            c.kind == "write" and flow.memory(c.outs[0]) in changed for c in found[: max(at)]
        ) or (maker is not None and place[maker] > min(at)):
            continue
        first = found[min(at)]
        stand = _Replacement(first)
        large = stand.call(np.matmul, stand.rows(base), matrix)
        rows = base.shape[1]
        instead = {}
        for i, call in products.items():
            view = _Replacement(call)
            view.call(operator.getitem, large, slice(i * rows, (i + 1) * rows))
            instead[call] = view.end_in(call.outs[0])
        instead[first] = stand.calls + instead[first]
        found = [c for call in found for c in instead.get(call, [call])]
    return found
