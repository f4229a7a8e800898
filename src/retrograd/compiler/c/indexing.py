"""Indices with arrays of whole numbers in C: elements that are taken, put, added and written."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.compiler.c.kernels import Body, Kernel, Operand, indent, loop
from retrograd.compiler.c.places import in_order
from retrograd.compiler.c.types import number
from retrograd.compiler.ir import Call, Var
from retrograd.engine.writes import added, written
from retrograd.nn.functional.linear import rows
from retrograd.rules.indexing import put, put_taken


@dataclass(slots=True)
class Plan:
    """Which element of an array each element of `x[index]` is.

    Args:
        shape: of the result.
        steps: for each axis of the array: a whole number; a range that runs along an axis of the
            result, as (axis, start, step); or an array of places, as (array, its first axis in
            the result, how places out of range are taken).
        is_flat: whether the one array of places counts the elements in their order.
    """

    shape: tuple[int, ...]
    steps: list[Any] = field(default_factory=list)
    is_flat: bool = False

    @property
    def blocks(self) -> list[tuple[Any, int, str]]:
        """The arrays of places."""
        return [s for s in self.steps if isinstance(s, tuple) and not isinstance(s[0], int)]


FIXED = 1024  # places: so many stand in a function as numbers


def _as_parts(part: Any) -> list[Any]:
    """Return a part of an index with arrays that never change as such; masks as places."""
    if isinstance(part, list) and part:
        part = np.array(part)
    elif isinstance(part, Var) and part.kind == "const" and part.size <= FIXED:
        part = part.array
    if isinstance(part, np.ndarray) and part.dtype.kind == "b" and part.ndim:
        return [*np.nonzero(part)]
    return [operator.index(part) if isinstance(part, np.integer) else part]


def _is_places(value: Any) -> bool:
    """Tell whether a part of an index is an array of whole numbers."""
    return isinstance(value, (Var, np.ndarray)) and value.dtype.kind in "iu" and value.size > 0


def in_range(places: Any, n: int, mode: str) -> Any:
    """Return places counted from the first of `n`, None where one is out of range."""
    if mode == "wrap":
        return np.asarray(places % n)
    if mode == "clip":
        return np.asarray(np.clip(places, 0, n - 1))
    if mode != "rows":
        places = np.where(places < 0, places + n, places)
    return places if ((places >= 0) & (places < n)).all() else None


def plan_index(index: Any, shape: Sequence[int], mode: str = "raise") -> Plan | None:
    """Return what an index takes from an array of a shape, None where that cannot be planned.

    Args:
        index: whole numbers, slices, None, Ellipsis and arrays of whole numbers.
        shape: of the array.
        mode: what becomes of places out of range: "raise", "wrap", "clip", or "rows", which
            raises for negative ones too.
    """
    given = index if isinstance(index, tuple) else (index,)
    parts = [p for part in given for p in _as_parts(part)]
    taken = sum(p is not None and p is not Ellipsis for p in parts)
    if not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    at = next(i for i, p in enumerate(parts) if p is Ellipsis)
    parts[at : at + 1] = [slice(None)] * (len(shape) - taken)
    arrays = [i for i, p in enumerate(parts) if _is_places(p)]
    if not all(type(p) in (int, slice, type(None)) or i in arrays for i, p in enumerate(parts)):
        return None
    advanced = [i for i, p in enumerate(parts) if i in arrays or type(p) is int] if arrays else []
    block = np.broadcast_shapes(*(parts[i].shape for i in arrays))
    together = advanced == [*range(advanced[0], advanced[-1] + 1)] if advanced else True
    found, axis, start = Plan(()), 0, 0
    out: list[int] = []
    if arrays and not together:
        out += block
    for i, part in enumerate(parts):
        if arrays and together and i == advanced[0]:
            start = len(out)
            out += block
        if part is None:
            out.append(1)
            continue
        n = shape[axis]
        axis += 1
        if type(part) is slice:
            first, end, step = part.indices(n)
            found.steps.append((len(out), first, step))
            out.append(len(range(first, end, step)))
        elif i in arrays:
            if isinstance(part, np.ndarray):
                part = in_range(part, n, mode)
                if part is None:
                    return None
            found.steps.append((part, start + len(block) - part.ndim, mode))
        else:
            place = part + n if part < 0 else part
            if not 0 <= place < n:
                return None
            found.steps.append(place)
    found.shape = tuple(out)
    return found


def _place(array: Operand, first: int, counters: Sequence[str]) -> str:
    used = [
        "0" if n == 1 else counters[first + d] for d, n in enumerate(array.shape)
    ]  # fmt: skip
    return array.at(*used)


def walk(
    body: Body, plan: Plan, source: Operand, counters: Sequence[str], inside: Any,
    checks_alone: bool = False,
) -> list[str]:  # fmt: skip
    """Return the loops over a result and the element of the array in each turn.

    Args:
        body: of the function.
        plan: which element that is.
        source: the array.
        counters: for each axis of the result.
        inside: returns lines for the element as a C expression.
        checks_alone: whether only the places are to be looked at.
    """
    terms: list[tuple[Any, int]] = []
    last = -1  # the innermost axis of the result that an array of places follows
    begin: list[str] = []
    first = 0
    for axis, step in enumerate(plan.steps):
        stride, n = (1, 0) if plan.is_flat else (source.strides[axis], source.shape[axis])
        if isinstance(step, int):
            first += step * stride
        elif not isinstance(step[0], int):
            place = body.names.fresh("place")
            fixed = isinstance(step[0], np.ndarray)
            array = body.table(step[0]) if fixed else body.array(step[0])
            value = _place(array, step[1], counters)
            begin.append(f"{'const ' * fixed}ptrdiff_t {place} = (ptrdiff_t){value};")
            if plan.is_flat:
                n = math.prod(source.shape)
            if not fixed:
                begin += _in_range(place, n, step[2], step[0].dtype.kind == "u", body.code)
            last = max(last, step[1] + len(array.shape) - 1)
            if plan.is_flat:
                sizes = zip(in_order(source.shape), source.shape, source.strides, strict=True)
                terms += [(f"{place} / {step} % {n}", stride) for step, n, stride in sizes]
            else:
                terms.append((place, stride))
        else:
            out_axis, start, by = step
            first += start * stride
            terms.append((counters[out_axis], stride * by))
    lines = [] if checks_alone else [*inside(source.element(terms, first))]
    for d in range(len(plan.shape) - 1, -1, -1):
        if d == last:
            lines = [*begin, *lines]
        if not checks_alone or d <= last:
            lines = loop(counters[d], plan.shape[d], lines)
            # declarations need a block of their own
            if d == last and counters[d] == "0":
                lines = ["{", *indent(lines), "}"]
    return lines if last >= 0 or not begin else ["{", *indent([*begin, *lines]), "}"]


def _in_range(place: str, n: int, mode: str, unsigned: bool, code: int) -> list[str]:
    if mode == "wrap":
        return [f"{place} = ({place} % {n} + {n}) % {n};"]
    if mode == "clip":
        return [f"{place} = ({place} < 0) ? 0 : ({place} > {n - 1}) ? {n - 1} : {place};"]
    turn = [] if mode == "rows" or unsigned else [f"if ({place} < 0) {place} += {n};"]
    return [*turn, f"if ({place} < 0 || {place} >= {n}) return {code};"]


def _checks(plan: Plan) -> bool:
    return any(
        isinstance(array, Var) and mode in ("raise", "rows") for array, _, mode in plan.blocks
    )


def _takes(call: Call, source: Var, plan: Plan | None) -> Kernel | None:
    out = call.outs[0]
    if plan is None or plan.shape != out.shape or source.dtype != out.dtype:
        return None

    def write(body: Body) -> None:
        x, y = body.array(source), body.array(out, fills=True)
        counters = body.counters(plan.shape)
        body.add(*walk(body, plan, x, counters, lambda e: [f"{y.at(*counters)} = {e};"]))

    return Kernel(call, write, _checks(plan))


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
        elif _checks(plan):  # nothing is written where one of the places is none
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

    return Kernel(call, write, _checks(plan))


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


def _axis_plan(indices: Any, axis: Any, shape: tuple[int, ...], mode: str) -> Plan | None:
    """Return what `np.take` takes along an axis."""
    if type(axis) is not int or not shape:
        return None
    if isinstance(indices, (list, tuple)):
        indices = np.array(indices)
    if isinstance(indices, (int, np.integer)):
        indices = np.array(int(indices))
    if not _is_places(indices):
        return None
    index = (*(slice(None),) * (axis % len(shape)), indices)
    return plan_index(index, shape, mode)


def _take(call: Call) -> Kernel | None:
    names = ("a", "indices", "axis", "out", "mode")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    x, axis, mode = given["a"], given.get("axis"), given.get("mode", "raise")
    if not isinstance(x, Var) or given.get("out") is not None:
        return None
    if axis is None:
        return _takes(call, x, _flat_plan(given["indices"], x.shape, mode))
    return _takes(call, x, _axis_plan(given["indices"], axis, x.shape, mode))


def _rows(call: Call) -> Kernel | None:
    index, table = call.args[:2]
    if not isinstance(table, Var):
        return None
    return _takes(call, table, _axis_plan(index, 0, table.shape, "rows"))


def _flat_plan(indices: Any, shape: tuple[int, ...], mode: str) -> Plan | None:
    """Return what a function takes from all elements in their order."""
    plan = _axis_plan(indices, 0, (math.prod(shape),), mode)
    if plan is not None:
        # a whole number of the whole is a place as well
        whole = [np.array(s) if isinstance(s, int) else s for s in plan.steps]
        plan.steps = [s if isinstance(s, tuple) else (s, 0, mode) for s in whole]
        plan.is_flat = True
    return plan


def _along_plan(indices: Any, axis: Any, shape: tuple[int, ...]) -> Plan | None:
    """Return what `np.take_along_axis` takes: along the other axes each element is its own."""
    if type(axis) is not int or not _is_places(indices) or indices.ndim != len(shape):
        return None
    axis %= len(shape)
    out = [n if d != axis else 1 for d, n in enumerate(shape)]
    full = np.broadcast_shapes(tuple(out), indices.shape)
    if any(n != m for d, (n, m) in enumerate(zip(full, shape, strict=True)) if d != axis and m > 1):
        return None
    steps: list[Any] = [
        (indices, 0, "raise") if d == axis else (d, 0, int(n != 1)) for d, n in enumerate(shape)
    ]
    return Plan(full, steps)


def _take_along_axis(call: Call) -> Kernel | None:
    names = ("arr", "indices", "axis")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    x, axis = given["arr"], given.get("axis", -1)
    if not isinstance(x, Var):
        return None
    if axis is None:
        return _takes(call, x, _flat_plan(given["indices"], x.shape, "raise"))
    return _takes(call, x, _along_plan(given["indices"], axis, x.shape))


def _put_taken(call: Call) -> Kernel | None:
    names = ("g", "indices", "axis", "shape", "mode")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    g, indices, axis, mode = given["g"], given["indices"], given["axis"], given.get("mode")
    out = call.outs[0]
    if not isinstance(g, Var):
        return None
    if axis is None:
        return _puts(call, out, g, _flat_plan(indices, out.shape, mode or "raise"), True)
    if mode is None:
        return _puts(call, out, g, _along_plan(indices, axis, out.shape), True)
    return _puts(call, out, g, _axis_plan(indices, axis, out.shape, mode), True)


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
