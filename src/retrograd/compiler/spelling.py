"""How a program does each call: as statements that fill the array of its output."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from retrograd.compiler.ir import Call, Var
from retrograd.compiler.scalars import OPERATORS, SMALL_SUM
from retrograd.compiler.statements import (
    Assign,
    Attribute,
    Copy,
    Do,
    Expression,
    Fill,
    Index,
    Invoke,
    Literal,
    Name,
    Negative,
    NumPy,
    Operation,
    Statement,
    Tuple,
    method,
    numpy,
)
from retrograd.engine import astype, spelled, written
from retrograd.engine.tensor import is_basic_index
from retrograd.engine.writes import last_at
from retrograd.rules.joining import concat
from retrograd.rules.polynomials import polynomial_roots
from retrograd.rules.products import contract
from retrograd.rules.sorting import common_parts, unique_parts

if TYPE_CHECKING:
    from retrograd.compiler.assembly import Assembly

Spelling: TypeAlias = "Callable[[Assembly, Call, Name], list[Statement]]"

_REDUCTIONS = {
    np.sum: "add", np.max: "maximum", np.min: "minimum", np.prod: "multiply",
    np.all: "logical_and", np.any: "logical_or",
}  # fmt: skip


def spell(w: Assembly, call: Call, out: Name) -> list[Statement]:
    """Return the statements of a call with one output.

    Args:
        w: gives names, constants and views.
        call: what is to be done.
        out: the name of the array, or number, that the statements fill.
    """
    if call.acts:
        return [Do(w.invoke(call), out)]
    if call.fn in SPELLINGS:
        return SPELLINGS[call.fn](w, call, out)
    if call.outs[0] in w.numbers:
        return [Assign((out,), _operation(call, [*map(w.expression, call.args)]))]
    if isinstance(call.fn, np.ufunc) and call.fn.nout == 1:
        return [Do(Invoke(w.ufunc(call.fn), w.operands(call)), out)]
    value = view_of(w, call)
    if call.fn is np.nonzero:
        value = Index(
            value, Literal(0)
        )  # the mask has one axis, so there is one array of positions
    return [fill(call, call.outs[0], out, value)]


def fill(call: Call, var: Var, out: Name, value: Expression) -> Statement:
    """Return the copy of a result into its array."""
    if is_sized_by_values(call) and var.ndim:
        # an assignment would broadcast a result of another size
        return Do(Invoke(NumPy("concatenate"), (Tuple((value,)),)), out)
    if call.fn in _TURNS_COMPLEX:
        return Copy(out, value)  # which raises for complex numbers where real ones were recorded
    return Fill(out, value)


# of real numbers, where values want it
_TURNS_COMPLEX = {
    getattr(np.emath, name)
    for name in ("sqrt", "log", "log2", "log10", "power", "arccos", "arcsin", "arctanh")
} | {polynomial_roots}


def is_sized_by_values(call: Call) -> bool:
    """Tell whether values may decide the size of the result, also for all NumPy does not know."""
    if call.rule is not None and call.rule.multi and len(call.outs) == 1:
        return call.fn is np.nonzero  # a rule for several arrays may have a list of one
    if call.fn is operator.getitem:
        return is_sized_by_mask(call)
    return is_sized_by_mask(call) or not spelled(call.fn).startswith("np.")


def is_sized_by_mask(call: Call) -> bool:
    """Tell whether values among the arguments decide the size of the result, as masks do."""
    if call.fn is operator.getitem:
        index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
        return any(isinstance(i, Var) and i.dtype.kind == "b" for i in index)
    if call.fn is np.repeat:
        return any(isinstance(n, Var) for n in (*call.args[1:], *call.kwargs.values()))
    return call.fn in _SIZED


_SIZED = (np.nonzero, np.flatnonzero, np.argwhere, np.bincount, unique_parts, common_parts)


def view_of(w: Assembly, call: Call) -> Expression:
    """Return a call as an expression, a view where NumPy gives one."""
    options = [*call.args[1:], *call.kwargs.values()]
    shape = call.outs[0].shape
    x = w.expression(call.args[0]) if call.args else Literal(None)
    if call.fn is operator.getitem:
        return view_of_item(w, call)
    if call.fn is np.transpose:
        axes = options[0] if options else None
        if axes is None or [*axes] == [*range(len(axes))][::-1]:
            return Attribute(x, "T")
        return method(x, "transpose", tuple(axes))
    if call.fn is np.swapaxes:
        return method(x, "swapaxes", options[0], options[1])
    if call.fn in (np.reshape, np.ravel, np.squeeze, np.expand_dims):
        return method(x, "reshape", -1 if len(shape) == 1 and shape[0] > 0 else shape)
    return w.invoke(call)


def _operation(call: Call, args: list[Expression]) -> Expression:
    symbol = OPERATORS[call.fn]
    return Negative(args[0]) if len(args) == 1 else Operation(symbol, args[0], args[1])


def _dot(w: Assembly, call: Call, left: Expression, right: Expression, out: Name) -> Statement:
    product = method(left, "dot", right)
    return Assign((out,), product) if call.outs[0] in w.numbers else Do(product, out)


def _matmul(w: Assembly, call: Call, out: Name) -> list[Statement]:
    """Write `x.dot(y)`, which saves 0.5 us, of vectors if possible."""
    x, y = call.args[:2]
    o = call.outs[0]
    a, b = (v if isinstance(v, Var) else np.asarray(v) for v in (x, y))
    left, right = w.expression(x), w.expression(y)
    same = a.dtype == b.dtype == o.dtype and o.dtype.kind == "f"
    if same and b.ndim == 2 and _is_stack(w, x) and o.is_c_contiguous and o.size:
        # one product in place of a stack
        n, (k, m) = a.size // b.shape[0], b.shape
        return [Do(method(w.view_as(x, (n, k)), "dot", right), w.view_as(o, (n, m)))]
    if not same or a.ndim > 2 or b.ndim > 2 or not o.is_c_contiguous:
        return [Do(numpy("matmul", left, right), out)]
    if a.ndim == b.ndim == 2:
        row, column = a.shape[:1], b.shape[1:]
        if row == (1,) and w.is_static(x):
            row, left = (), w.view_as(x, -1)
        if column == (1,) and w.is_static(y):
            column, right = (), w.view_as(y, -1)
        out = w.view_as(o, row + column)
    return [_dot(w, call, left, right, out)]


def _is_stack(w: Assembly, x: Any) -> bool:
    """Tell whether an argument is a stack of matrices that lie one behind the other in all runs."""
    return isinstance(x, Var) and x.ndim > 2 and x.size > 0 and x.is_c_contiguous and w.is_static(x)


def _einsum(w: Assembly, call: Call, out: Name) -> list[Statement]:
    operands = tuple(map(w.expression, call.args))
    optimize = call.kwargs.get("optimize")
    options = (("optimize", Literal(optimize)),) if optimize else ()
    subscripts = Literal(call.kwargs["subscripts"])
    return [Do(Invoke(NumPy("einsum"), (subscripts, *operands), options), out)]


def _reduction(w: Assembly, call: Call, out: Name) -> list[Statement]:
    x, *rest = call.args
    options = dict(call.kwargs)
    axis = rest[0] if rest else options.pop("axis", None)
    keep = options.pop("keepdims", False)
    ufunc = _REDUCTIONS.get(call.fn, "add")  # a mean is a sum, divided afterwards
    if ufunc == "add" and not options and (product := _as_product(w, call, x, axis)):
        return product
    named: dict[str, Any] = {"axis": axis}
    if keep:
        named["keepdims"] = True
    named |= {k: w.expression(v) for k, v in options.items()}
    reduced = numpy(f"{ufunc}.reduce", w.expression(x), **named)
    return [Assign((out,), reduced) if call.outs[0] in w.numbers else Do(reduced, out)]


def _as_product(w: Assembly, call: Call, x: Any, axis: Any) -> list[Statement]:
    """Write a sum as a product with ones if that is faster."""
    o = call.outs[0]
    if not isinstance(x, Var) or x.dtype != o.dtype or x.dtype not in (np.float32, np.float64):
        return []
    if axis is None or (x.ndim == 1 and axis != ()):
        if not (1 < x.size <= SMALL_SUM and w.is_static(x) and x.is_dense):
            return []
        ones, out = Name(w.ones(x.size, x.dtype)), w.view_as(o, ())
        return [_dot(w, call, ones, w.flat(x), out)]
    if x.ndim != 2 or isinstance(axis, tuple) or x.shape[axis] > SMALL_SUM:
        return []
    if not x.size or not o.is_c_contiguous:
        return []
    out = Name(w.name(o)) if o.ndim == 1 else w.view_as(o, -1)
    ones, given = Name(w.ones(x.shape[axis], x.dtype)), w.expression(x)
    left, right = (ones, given) if axis in (0, -2) else (given, ones)
    return [_dot(w, call, left, right, out)]


def _mean(w: Assembly, call: Call, out: Name) -> list[Statement]:
    x, o = call.args[0], call.outs[0]
    # NumPy adds up halves as float32
    if set(call.kwargs) - {"axis", "keepdims"} or x.dtype != o.dtype or x.dtype.itemsize < 4:
        return [Fill(out, w.invoke(call))]
    count = x.size // max(o.size, 1)
    number = Name(w.constant(float(count), o.dtype))
    return [*_reduction(w, call, out), Do(numpy("divide", out, number), out)]


def _concatenate(w: Assembly, call: Call, out: Name) -> list[Statement]:
    flat = call.outs[0]
    if w.placed.get(flat) != (flat, 0):
        parts = Tuple(tuple(map(w.expression, call.args)))
        return [Do(numpy("concatenate", parts, axis=call.kwargs.get("axis", 0)), out)]
    found: list[Statement] = []
    start = 0
    for part in call.args:
        if w.placed.get(part) != (flat, start):
            found.append(Copy(w.part(part, flat, start), w.expression(part)))
        start += part.size
    return found


def _copy(w: Assembly, call: Call, out: Name) -> list[Statement]:
    value = w.expression(call.args[0])
    if call.fn in (np.reshape, np.ravel):
        value = method(value, "reshape", call.outs[0].shape)
    return [Copy(out, value, casts=call.fn is astype)]


def _where(w: Assembly, call: Call, out: Name) -> list[Statement]:
    given = call.args[0]
    condition, x, y = map(w.expression, call.args)
    if not isinstance(given, Var) or given.dtype.kind != "b":
        condition = numpy("not_equal", condition, 0)
    return [Copy(out, y), Copy(out, x, condition)]


def _written(w: Assembly, call: Call, out: Name) -> list[Statement]:
    """Write a write as one, `x[index] = value`, into a copy where what was there is needed."""
    x, value, index = call.args
    if not call.outs[0].ndim:
        return [Fill(out, w.invoke(call))]
    write = Assign((Index(out, w.expression(index)),), w.expression(value))
    copies = [] if w.lies_over(call.outs[0]) is x else [Copy(out, w.expression(x))]
    return [*copies, write]


def _last_at(w: Assembly, call: Call, out: Name) -> list[Statement]:
    if is_basic_index(call.args[1]):  # it names no element twice
        return [Fill(out, view_of_item(w, call))]
    return [fill(call, call.outs[0], out, w.invoke(call))]


def view_of_item(w: Assembly, call: Call) -> Expression:
    """Return the elements that a call takes as an expression."""
    return Index(w.expression(call.args[0]), w.expression(call.args[1]))


def _with_output(w: Assembly, call: Call, out: Name) -> list[Statement]:
    return [Do(w.invoke(call), out)]


SPELLINGS: dict[Any, Spelling] = {
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys((np.copy, np.reshape, np.ravel, np.broadcast_to, astype), _copy),
    **dict.fromkeys((np.clip, np.argmax, np.argmin), _with_output),
    written: _written, last_at: _last_at,
    np.matmul: _matmul, contract: _einsum, np.mean: _mean, concat: _concatenate, np.where: _where,
}  # fmt: skip
