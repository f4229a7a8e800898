"""How a program reads: names of arrays, and calls with `out=`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.tape import Live, Node, Var
from retrograd.engine import astype, spelled
from retrograd.rules.joining import concat
from retrograd.rules.products import contract

if TYPE_CHECKING:
    from retrograd.compiler.writer import Writer


def wish(var: Var) -> str:
    """Return a reader's name for a Var."""
    prefix, met = "", set()
    while not var.wish and var.grad_of and var not in met:
        met.add(var)  # merged calls may be the gradients of each other
        prefix, var = "d_" + prefix, var.grad_of
    if var.wish:
        name = var.wish
    elif var.node is None:
        name = {"const": "constant", "grad": "start"}.get(var.kind, "array")
    else:
        name = "drawn" if var.node.kind == "draw" else getattr(var.node.fn, "__name__", "t")
        name = {"getitem": "part", "concat": "joined", "contract": "einsum"}.get(name, name)
    return prefix + name


# Python is faster on numbers from products
_OPERATORS = {
    np.add: "{} + {}", np.subtract: "{} - {}", np.multiply: "{} * {}", np.divide: "{} / {}",
    np.negative: "-{}",
}  # fmt: skip
_SMALL_SUM = 4096  # so far products with ones are exact enough
_REDUCTIONS = {
    np.sum: "add", np.max: "maximum", np.min: "minimum", np.prod: "multiply",
    np.all: "logical_and", np.any: "logical_or",
}  # fmt: skip


def spell(w: Writer, node: Node, out: str) -> list[str]:
    """Return a call as statements."""
    if node.fn in SPELLINGS:
        return SPELLINGS[node.fn](w, node, out)
    if node.outs[0] in w.numbers:
        return [f"{out} = {_OPERATORS[node.fn].format(*map(w.text, node.args))}"]
    if isinstance(node.fn, np.ufunc) and node.fn.nout == 1:
        return [f"{spelled(node.fn)}({', '.join(w.operands(node))}, out={out})"]
    first = "[0]" if node.fn is np.nonzero else ""  # of one axis
    return [fill(node, node.outs[0], out, view_text(w, node) + first)]


def fill(node: Node, var: Var, out: str, text: str) -> str:
    """Return the copy of a result into its array."""
    if sized_by_values(node) and var.array.ndim:
        return f"np.concatenate(({text},), out={out})"  # an assignment would broadcast
    return f"{out}[...] = {text}"


def sized_by_values(node: Node) -> bool:
    """Tell whether values may decide the size."""
    if node.fn is operator.getitem:
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        return any(isinstance(i, Var) and i.array.dtype.kind == "b" for i in index)
    if node.rule is not None and node.rule.multi and len(node.outs) == 1:
        return node.fn is np.nonzero  # others may give an array
    sized = (np.nonzero, np.flatnonzero, np.argwhere, np.repeat, np.bincount)
    return node.fn in sized or not spelled(node.fn).startswith("np.")


def literal(value: Any) -> str:
    """Return the source of a static argument."""
    if isinstance(value, float) and not math.isfinite(value):
        return not_finite(str(value))
    if isinstance(value, np.dtype):
        value = value.type
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    if isinstance(value, np.generic):
        return f"np.{type(value).__name__}({value.item()!r})"
    return repr(value)


def not_finite(text: str) -> str:
    """Return numbers as source."""
    return re.sub("inf|nan", r"np.\g<0>", text)


def _index(w: Writer, index: Any) -> str:
    def part(i: Any) -> str:
        if isinstance(i, slice):
            ends = ["" if v is None else str(v) for v in (i.start, i.stop)]
            return ":".join(ends) + (f":{i.step}" if i.step not in (None, 1) else "")
        return "..." if i is Ellipsis else w.text(i)

    if isinstance(index, tuple):
        return ", ".join(map(part, index)) + "," * (len(index) == 1) or "()"
    return part(index)


def _matmul(w: Writer, node: Node, out: str) -> list[str]:
    """Write `x.dot(y)`, which saves 0.5 us, of vectors if possible."""
    x, y = node.args[:2]
    o = node.outs[0]
    a, b = (v.array if isinstance(v, Var) else np.asarray(v) for v in (x, y))
    left, right = w.text(x), w.text(y)
    same = a.dtype == b.dtype == o.array.dtype and o.array.dtype.kind == "f"
    if not same or a.ndim > 2 or b.ndim > 2 or not o.array.flags.c_contiguous:
        return [f"np.matmul({left}, {right}, out={out})"]
    if a.ndim == b.ndim == 2:
        row, column = a.shape[:1], b.shape[1:]
        if row == (1,) and w.is_static(x):
            row, left = (), w.view(x, ".reshape(-1)")
        if column == (1,) and w.is_static(y):
            column, right = (), w.view(y, ".reshape(-1)")
        out = w.view(o, f".reshape({row + column})")
    return w.dot(node, left, right, out)


def _einsum(w: Writer, node: Node, out: str) -> list[str]:
    operands = ", ".join(w.text(a) for a in node.args)
    optimize = node.kwargs.get("optimize")
    more = f", optimize={optimize!r}" if optimize else ""
    return [f"np.einsum({node.kwargs['subscripts']!r}, {operands}, out={out}{more})"]


def numbers(nodes: list[Node], grads: Iterable[Var]) -> set[Var]:
    """Return the Vars that may be Python numbers."""
    arrays = set(grads)
    while True:
        found: set[Var] = set()
        for node in nodes:
            if node.outs[0] not in arrays and _gives_number(node, found):
                found.add(node.outs[0])
            if node.fn in (np.matmul, np.sum) or node.outs[0] not in found:
                arrays.update(node.vars())
        if arrays.isdisjoint(found):
            return found


def _gives_number(node: Node, known: set[Var]) -> bool:
    out = node.outs[0].array
    args = [v for v in node.args if isinstance(v, Var)]
    if node.kind != "call" or len(node.outs) > 1 or out.ndim or out.dtype.kind != "f" or not args:
        return False
    if node.fn in _OPERATORS:
        return all(v in known for v in args) and not any(isinstance(a, Live) for a in node.args)
    if any(v.array.dtype != out.dtype for v in args):
        return False
    if node.fn is np.matmul:
        return len(args) == 2 and all(v.array.ndim == 1 for v in args)
    x = args[0]
    short = 1 < x.array.size <= _SMALL_SUM and x.kind == "made" and x.array.flags.forc
    return short and node.fn is np.sum and not node.kwargs.get("keepdims")


def _reduction(w: Writer, node: Node, out: str) -> list[str]:
    x, *rest = node.args
    options = dict(node.kwargs)
    axis = rest[0] if rest else options.pop("axis", None)
    keep = ", keepdims=True" if options.pop("keepdims", False) else ""
    extra = "".join(f", {k}={w.text(v)}" for k, v in options.items())
    ufunc = _REDUCTIONS.get(node.fn, "add")  # a mean is a sum first
    if ufunc == "add" and not extra and (product := _as_product(w, node, x, axis)):
        return product
    call = f"np.{ufunc}.reduce({w.text(x)}, axis={axis!r}{keep}{extra}"
    return [f"{out} = {call})" if node.outs[0] in w.numbers else f"{call}, out={out})"]


def _as_product(w: Writer, node: Node, x: Any, axis: Any) -> list[str]:
    """Write a sum as a product with ones if that is faster."""
    o = node.outs[0]
    if not isinstance(x, Var) or x.array.dtype != o.array.dtype or x.array.dtype.kind != "f":
        return []
    a = x.array
    if axis is None or (a.ndim == 1 and axis != ()):
        if not (1 < a.size <= _SMALL_SUM and w.is_static(x) and a.flags.forc):
            return []
        ones, out = w.ones(a.size, a.dtype), w.view(o, ".reshape(())")
        return w.dot(node, ones, w.flat(x), out)
    if a.ndim != 2 or isinstance(axis, tuple) or a.shape[axis] > _SMALL_SUM:
        return []
    if not a.size or not o.array.flags.c_contiguous:
        return []
    out = w.text(o) if o.array.ndim == 1 else w.view(o, ".reshape(-1)")
    ones, text = w.ones(a.shape[axis], a.dtype), w.text(x)
    return w.dot(node, *((ones, text) if axis in (0, -2) else (text, ones)), out)


def _mean(w: Writer, node: Node, out: str) -> list[str]:
    x, o = node.args[0], node.outs[0]
    if set(node.kwargs) - {"axis", "keepdims"} or x.array.dtype != o.array.dtype:
        return [f"{out}[...] = {w.call(node)}"]
    count = x.array.size // max(o.array.size, 1)
    number = w.constant(float(count), o.array.dtype)
    return [*_reduction(w, node, out), f"np.divide({out}, {number}, out={out})"]


def _concatenate(w: Writer, node: Node, out: str) -> list[str]:
    flat = node.outs[0]
    if w.placed.get(flat) != (flat, 0):
        parts = ", ".join(w.text(a) for a in node.args)
        return [f"np.concatenate(({parts},), axis={node.kwargs.get('axis', 0)}, out={out})"]
    lines, start = [], 0
    for part in node.args:
        if w.placed.get(part) != (flat, start):
            lines.append(f"np.copyto({w.place_text(part, flat, start)}, {w.text(part)})")
        start += part.array.size
    return lines


def _copy(w: Writer, node: Node, out: str) -> list[str]:
    shape = f".reshape({node.outs[0].array.shape})" if node.fn in (np.reshape, np.ravel) else ""
    casting = ', casting="unsafe"' if node.fn is astype else ""
    return [f"np.copyto({out}, {w.text(node.args[0])}{shape}{casting})"]


def _where(w: Writer, node: Node, out: str) -> list[str]:
    given = node.args[0]
    condition, x, y = map(w.text, node.args)
    if not isinstance(given, Var) or given.array.dtype.kind != "b":
        condition = f"np.not_equal({condition}, 0)"
    return [f"np.copyto({out}, {y})", f"np.copyto({out}, {x}, where={condition})"]


def view_text(w: Writer, node: Node) -> str:
    """Return a call as an expression."""
    name, shape = w.text(node.args[0]), node.outs[0].array.shape
    options = [*node.args[1:], *node.kwargs.values()]
    if node.fn is operator.getitem:
        return f"{name}[{_index(w, options[0])}]"
    if node.fn is np.transpose:
        axes = options[0] if options else None
        if axes is None or [*axes] == [*range(len(axes))][::-1]:
            return f"{name}.T"
        return f"{name}.transpose({tuple(axes)})"
    if node.fn is np.swapaxes:
        return f"{name}.swapaxes({options[0]}, {options[1]})"
    if node.fn in (np.reshape, np.ravel, np.squeeze, np.expand_dims):
        return f"{name}.reshape({-1 if len(shape) == 1 and shape[0] > 0 else shape})"
    return w.call(node)


SPELLINGS: dict[Any, Callable[[Writer, Node, str], list[str]]] = {
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys((np.copy, np.reshape, np.ravel, np.broadcast_to, astype), _copy),
    **dict.fromkeys(
        (np.clip, np.argmax, np.argmin), lambda w, node, out: [w.call(node, f"out={out}")]
    ),
    np.matmul: _matmul, contract: _einsum, np.mean: _mean, concat: _concatenate, np.where: _where,
}  # fmt: skip
