"""Arrays that are joined, most of which are computed where they belong, as C functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from retrograd.compiler.c.forms import Join
from retrograd.compiler.c.loops import Function
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import Places
from retrograd.compiler.c.types import type_name
from retrograd.compiler.ir import Var


def write_join(
    name: str, form: Join, places: Places, placed: Mapping[Var, Any], wish: Callable[[Var], str]
) -> list[Function]:
    """Return the functions that copy what does not lie in the joined array already.

    Args:
        name: of the function.
        form: the joining.
        places: where its arrays lie.
        placed: the arrays that are parts of joined ones, and where.
        wish: returns what to call an array.
    """
    joined = form.call.outs[0]
    target = places.find(joined)
    assert target is not None
    whole = placed.get(joined) == (joined, 0)
    axis = form.call.kwargs.get("axis", 0)
    found: list[Function] = []
    start = 0
    for part in form.call.args:
        there = whole and placed.get(part) == (joined, start)
        place = places.find(part)
        assert place is not None
        # along the first axis, or with all elements in order, parts follow each other
        if axis is None or joined.ndim < 2:
            strides = _in_order(part.shape)
            strides = tuple(s * (target.strides[0] if joined.ndim else 1) for s in strides)
            offset = target.offset + start * (target.strides[0] if joined.ndim else 1)
        else:
            strides = target.strides
            row = joined.size // joined.shape[0]
            offset = target.offset + start // row * target.strides[0]
        if not there:
            found.append(
                _copy(f"{name}_{len(found) + 1}", part, place, place.root, joined,
                      strides, offset, wish)
            )  # fmt: skip
        start += part.size
    return found


def _in_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _copy(
    name: str, part: Var, place: Any, root: Var, joined: Var, strides: tuple[int, ...],
    offset: int, wish: Callable[[Var], str],
) -> Function:  # fmt: skip
    names = CNames()
    x, out = names.fresh(wish(root)), names.fresh(wish(joined))

    def at(steps: tuple[int, ...], first: int) -> str:
        terms = [f"i{d} * {s}" for d, s in enumerate(steps) if part.shape[d] != 1]
        return " + ".join([*terms, str(first)])

    line = f"{out}[{at(strides, offset)}] = {x}[{at(place.strides, place.offset)}];"
    lines = [f"    {'    ' * part.ndim}{line}"]
    for d in range(part.ndim - 1, -1, -1):
        indent = "    " * (d + 1)
        lines.insert(0, f"{indent}for (i{d} = 0; i{d} < {part.shape[d]}; i{d}++)")
    counters = ", ".join(f"i{d}" for d in range(part.ndim))
    head = f"const {type_name(part.dtype)} *restrict {x}, {type_name(joined.dtype)} *restrict {out}"
    declared = [f"    ptrdiff_t {counters};"] if counters else []
    text = "\n".join([f"static void {name}({head}) {{", *declared, *lines, "}"])
    return Function(name, text, [(root, False), (joined, True)], cost=part.size)
