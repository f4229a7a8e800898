"""Which elements an index with arrays of whole numbers names, and loops over them."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.compiler.c.kernels import Body, Operand, indent, loop
from retrograd.compiler.c.places import in_order
from retrograd.compiler.ir import Var


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


def checks(plan: Plan) -> bool:
    """Tell whether a place may turn out to be out of range."""
    return any(
        isinstance(array, Var) and mode in ("raise", "rows") for array, _, mode in plan.blocks
    )


def plan_axis(indices: Any, axis: Any, shape: tuple[int, ...], mode: str) -> Plan | None:
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


def plan_flat(indices: Any, shape: tuple[int, ...], mode: str) -> Plan | None:
    """Return what a function takes from all elements in their order."""
    plan = plan_axis(indices, 0, (math.prod(shape),), mode)
    if plan is not None:
        # a whole number of the whole is a place as well
        whole = [np.array(s) if isinstance(s, int) else s for s in plan.steps]
        plan.steps = [s if isinstance(s, tuple) else (s, 0, mode) for s in whole]
        plan.is_flat = True
    return plan


def plan_along(indices: Any, axis: Any, shape: tuple[int, ...]) -> Plan | None:
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
