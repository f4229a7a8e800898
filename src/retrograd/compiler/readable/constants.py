"""Constants of a readable program, written out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from retrograd.compiler.ir import Var
from retrograd.compiler.readable.items import Item
from retrograd.compiler.readable.phrases import Ref, is_of_one_value, map_expression
from retrograd.compiler.readable.sizes import full
from retrograd.compiler.readable.turns import Loop
from retrograd.compiler.statements import (
    Expression,
    Index,
    Invoke,
    Literal,
    NumPy,
    Tuple,
    numpy,
)
from retrograd.engine import Array

SMALL = 12  # elements: constants of up to so many stand in the text
Formulas: TypeAlias = Mapping[Var, tuple[Expression, bool]]


def write_constants(
    nodes: Sequence[Item | Loop], formulas: Formulas, wishes: dict[Var, str]
) -> list[Item | Loop]:
    """Return the nodes with constants written out: where they are used, or before.

    Args:
        nodes: statements and loops.
        formulas: how constants are computed that follow the size of a batch.
        wishes: takes names of those that get a line of their own.
    """
    uses: Counter[Var] = Counter()
    inside: set[Var] = set()
    first: dict[Var, int] = {}
    for i, node in enumerate(nodes):
        for value in _values(node):
            for part in value.parts():
                if isinstance(part, Ref) and part.var.kind == "const":
                    uses[part.var] += 1
                    first.setdefault(part.var, i)
                    if isinstance(node, Loop):
                        inside.add(part.var)
    written: dict[Var, Expression] = {}
    before: dict[int, list[Item]] = {}
    for var, count in uses.items():
        constant = _constant(var, formulas)
        if constant is None:
            continue
        if count == 1 and var not in inside:
            written[var] = constant
        else:
            line = _items(nodes[first[var]])[0]
            wishes.setdefault(var, _stem(constant))
            before.setdefault(first[var], []).append(Item((var,), constant, line.call))

    def put_in(e: Expression) -> Expression | None:
        return written.get(e.var) if isinstance(e, Ref) else None

    found: list[Item | Loop] = []
    for i, node in enumerate(nodes):
        found += before.get(i, [])
        for item in _items(node):
            item.value = map_expression(put_in, item.value)
        if isinstance(node, Loop):
            node.before = [(v, map_expression(put_in, e)) for v, e in node.before]
        found.append(node)
    return found


def _constant(var: Var, formulas: Formulas) -> Expression | None:
    """Return how a constant is written out, None if it is passed instead."""
    if var in formulas:
        return formulas[var][0]
    a = var.array
    if not var.ndim:
        return numpy("array", a.item(), dtype=a.dtype) if a.dtype.kind in "fiub" else None
    if a.dtype.kind in "fiub" and is_of_one_value(var):
        return full(var.shape, a.reshape(-1)[0].item(), a.dtype)
    if a.dtype.kind in "iu" and var.ndim == 1 and np.array_equal(a, np.arange(a.size)):
        options = {} if a.dtype == np.arange(1).dtype else {"dtype": a.dtype}
        return numpy("arange", a.size, **options)
    if a.dtype.kind in "fiub" and (found := _repeated(a)):
        return found
    if a.size <= SMALL and a.dtype.kind in "fiub":
        return numpy("array", a.tolist(), dtype=a.dtype)
    return None


def number_of(e: Expression) -> Expression:
    """Return the number of which an array is made: 1 for `np.ones(shape)`."""
    assert isinstance(e, Invoke)
    assert isinstance(e.function, NumPy)
    known: dict[str, Expression] = {"zeros": Literal(0.0), "ones": Literal(1.0)}
    return known.get(e.function.name) or e.args[1]


def _stem(value: Expression) -> str:
    function = value.function if isinstance(value, Invoke) else None
    name = function.name if isinstance(function, NumPy) else "constant"
    return name if name in ("zeros", "ones") else "constant"


def _repeated(a: Array) -> Expression | None:
    """Return a column of a few values, each many times, as a repetition."""
    if a.size < SMALL or max(a.shape) != a.size:
        return None
    flat = a.reshape(-1)
    starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]])
    each = int(np.gcd.reduce(np.diff(np.r_[starts, a.size])))
    values = flat[::each]
    if len(values) > 8 or each == 1:
        return None
    some: Any = values.tolist()
    if a.dtype != np.array(some).dtype:
        some = numpy("array", some, dtype=a.dtype)
    whole: Expression = numpy("repeat", some, each)
    if a.ndim > 1:
        index = tuple(Literal(slice(None)) if n == a.size else Literal(None) for n in a.shape)
        whole = Index(whole, Tuple(index))
    return whole


def _items(node: Item | Loop) -> list[Item]:
    return node.body if isinstance(node, Loop) else [node]


def _values(node: Item | Loop) -> list[Expression]:
    values = [item.value for item in _items(node)]
    return values + (node.expressions() if isinstance(node, Loop) else [])
