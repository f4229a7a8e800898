"""Indices with arrays of whole numbers in C: elements that are taken, put, added and written."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from retrograd.compiler.c.kernels import Body, Kernel, Operand, indent, loop
from retrograd.compiler.c.plans import (
    FIXED,
    Plan,
    checks,
    plan_along,
    plan_axis,
    plan_flat,
    plan_index,
    walk,
)
from retrograd.compiler.c.types import number
from retrograd.compiler.ir import Call, Var
from retrograd.engine.writes import added, written
from retrograd.nn.functional.linear import rows
from retrograd.rules.indexing import put, put_taken


def _takes(call: Call, source: Var, plan: Plan | None) -> Kernel | None:
    out = call.outs[0]
    if plan is None or plan.shape != out.shape or source.dtype != out.dtype:
        return None

    def write(body: Body) -> None:
        x, y = body.array(source), body.array(out, fills=True)
        counters = body.counters(plan.shape)
        body.add(*walk(body, plan, x, counters, lambda e: [f"{y.at(*counters)} = {e};"]))

    return Kernel(call, write, checks(plan))


def _clear(array: Operand, body: Body, value: str = "0") -> list[str]:
    """Return the filling of an array that has no gaps."""
    counter = body.counter()
    return loop(counter, math.prod(array.shape), [f"{array.name}[{counter}] = {value};"])


def _puts(
    call: Call, target: Var, value: Any, plan: Plan | None, adds: bool, base: Any = 0
) -> Kernel | None:
    """Return the form of a call that puts values where an index says.

    Args:
        call: the call.
        target: what it fills or changes.
        value: an array or a number.
        plan: where.
        adds: whether it adds to what is there.
        base: what the array is first: 0, another array, or None for what is there.
    """
    if plan is None or (target.dtype.kind == "b" and adds):
        return None
    if isinstance(value, Var):
        try:
            fits = np.broadcast_shapes(value.shape, plan.shape) == plan.shape
        except ValueError:
            return None
        floats = value.dtype.kind == "f"
        if not fits or (floats and target.dtype.kind != "f"):
            return None
    elif not isinstance(value, (bool, int, float, np.generic)) or (
        target.dtype.kind in "iu" and not isinstance(value, (bool, int, np.integer))
    ):
        return None
    if isinstance(base, Var) and (base.shape != target.shape or base.dtype != target.dtype):
        return None

    def write(body: Body) -> None:
        out = body.array(target, fills=True)
        counters = body.counters(plan.shape)
        if isinstance(base, Var):
            old = body.array(base)
            axes = body.counters(out.shape)
            copy = [f"{out.at(*axes)} = {old.at(*axes)};"]
            for d in range(len(axes) - 1, -1, -1):
                copy = loop(axes[d], out.shape[d], copy)
            body.add(*copy)
        elif base == 0:
            body.add(*_clear(out, body))
        elif checks(plan):  # nothing is written where one of the places is none
            body.add(*walk(body, plan, out, counters, None, checks_alone=True))
        if isinstance(value, Var):
            x = body.array(value)
            ahead = len(plan.shape) - value.ndim
            steps = [
                (counters[ahead + d], s if n != 1 else 0)
                for d, (n, s) in enumerate(zip(x.shape, x.strides, strict=True))
            ]
            text = x.element(steps)
            if value.dtype != target.dtype:
                text = f"({out.kind}){text}" if out.kind != "uint8_t" else text
                text = f"({text} != 0)" if target.dtype.kind == "b" else text
        else:
            text = number(value, target.dtype)

        def inside(element: str) -> list[str]:
            if not adds:
                return [f"{element} = {text};"]
            if target.dtype.kind == "i":
                unsigned = f"u{out.kind}"
                return [f"{element} = ({out.kind})(({unsigned}){element} + ({unsigned}){text});"]
            return [f"{element} += {text};"]

        body.add(*walk(body, plan, out, counters, inside))

    return Kernel(call, write, checks(plan))


def _is_mask(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) != 1 or not isinstance(parts[0], Var) or parts[0].dtype.kind != "b":
        return False
    return parts[0].kind != "const" or parts[0].size > FIXED


def _mask_of(index: Any) -> Var:
    found: Var = index[0] if isinstance(index, tuple) else index
    return found


def _masked(call: Call, source: Var, target: Var, mask: Var, taking: bool) -> Kernel | None:
    """Return the form of elements that are taken, or put among zeros, where a mask is true.

    As many must be so in each run; another number of them is an error.
    """
    narrow = target if taking else source  # which has an axis for what the mask picks
    wide = source if taking else target
    if wide.shape[: mask.ndim] != mask.shape or source.dtype != target.dtype or not mask.ndim:
        return None
    n, rest = narrow.shape[0], wide.shape[mask.ndim :]
    if narrow.shape[1:] != rest:
        return None

    def write(body: Body) -> None:
        hits = body.array(mask)
        x, y = body.array(source), body.array(target, fills=True)
        count = body.counter("count")
        axes, others = body.counters(mask.shape), body.counters(rest)
        few, many = (y, x) if taking else (x, y)
        here, there = few.at(count, *others), many.at(*axes, *others)
        copy = f"{here} = {there};" if taking else f"{there} = {here};"
        for d in range(len(rest) - 1, -1, -1):
            copy = "\n".join(loop(others[d], rest[d], copy.split("\n")))
        lines = [
            f"if ({hits.at(*axes)}) {{",
            f"    if ({count} == {n}) return {body.code};",
            *indent(copy.split("\n")),
            f"    {count}++;",
            "}",
        ]
        for d in range(mask.ndim - 1, -1, -1):
            lines = loop(axes[d], mask.shape[d], lines)
        if not taking:
            body.add(*_clear(y, body))
        body.add(f"{count} = 0;", *lines, f"if ({count} != {n}) return {body.code};")

    return Kernel(call, write, True)


# The functions


def _getitem(call: Call) -> Kernel | None:
    x, index = call.args
    if not isinstance(x, Var):
        return None
    if _is_mask(index):
        return _masked(call, x, call.outs[0], _mask_of(index), True)
    return _takes(call, x, plan_index(index, x.shape))


def _put(call: Call) -> Kernel | None:
    g, index, *_ = call.args
    out = call.outs[0]
    if not isinstance(g, Var):
        return None
    if _is_mask(index):
        return _masked(call, g, out, _mask_of(index), False)
    plan = plan_index(index, out.shape)
    return _puts(call, out, g, plan, bool(plan and plan.blocks))


def _take(call: Call) -> Kernel | None:
    names = ("a", "indices", "axis", "out", "mode")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    x, axis, mode = given["a"], given.get("axis"), given.get("mode", "raise")
    if not isinstance(x, Var) or given.get("out") is not None:
        return None
    if axis is None:
        return _takes(call, x, plan_flat(given["indices"], x.shape, mode))
    return _takes(call, x, plan_axis(given["indices"], axis, x.shape, mode))


def _rows(call: Call) -> Kernel | None:
    index, table = call.args[:2]
    if not isinstance(table, Var):
        return None
    return _takes(call, table, plan_axis(index, 0, table.shape, "rows"))


def _take_along_axis(call: Call) -> Kernel | None:
    names = ("arr", "indices", "axis")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    x, axis = given["arr"], given.get("axis", -1)
    if not isinstance(x, Var):
        return None
    if axis is None:
        return _takes(call, x, plan_flat(given["indices"], x.shape, "raise"))
    return _takes(call, x, plan_along(given["indices"], axis, x.shape))


def _put_taken(call: Call) -> Kernel | None:
    names = ("g", "indices", "axis", "shape", "mode")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    g, indices, axis, mode = given["g"], given["indices"], given["axis"], given.get("mode")
    out = call.outs[0]
    if not isinstance(g, Var):
        return None
    if axis is None:
        return _puts(call, out, g, plan_flat(indices, out.shape, mode or "raise"), True)
    if mode is None:
        return _puts(call, out, g, plan_along(indices, axis, out.shape), True)
    return _puts(call, out, g, plan_axis(indices, axis, out.shape, mode), True)


def _written(call: Call) -> Kernel | None:
    x, value, index = call.args
    out = call.outs[0]
    if not isinstance(x, Var) or _is_mask(index) or not out.is_c_contiguous:
        return None
    plan = plan_index(index, out.shape)
    return _puts(call, out, value, plan, call.fn is added, x)


def _setitem(call: Call) -> Kernel | None:
    target, value, index = call.args
    if _is_mask(index):
        return None
    return _puts(call, target, value, plan_index(index, target.shape), False, None)


def find_indexing(call: Call) -> Kernel | None:
    """Return how a call takes or puts elements in C, None where it does something else."""
    if call.kind == "write":
        return _setitem(call) if call.fn is operator.setitem else None
    how = _FORMS.get(call.fn)
    return how(call) if how else None


_FORMS = {
    operator.getitem: _getitem, put: _put, np.take: _take, rows: _rows,
    np.take_along_axis: _take_along_axis, put_taken: _put_taken, written: _written,
    added: _written,
}  # fmt: skip
