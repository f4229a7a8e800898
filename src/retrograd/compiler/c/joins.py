"""Copies of whole arrays as C functions: what is joined, and what is put among zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from retrograd.compiler.c.code import Function
from retrograd.compiler.c.forms import Join, Put
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import Place, Places, in_order
from retrograd.compiler.c.types import type_name
from retrograd.compiler.ir import Var

Wish = Callable[[Var], str]


def write_join(
    name: str, form: Join, places: Places, placed: Mapping[Var, Any], wish: Wish
) -> list[Function]:
    """Return the functions that copy what does not lie in the joined array already.

    Args:
        name: of the functions.
        form: the joining.
        places: where its arrays lie.
        placed: the arrays that are parts of joined ones, and where.
        wish: returns what to call an array.
    """
    joined = form.call.outs[0]
    target = places.find(joined)
    assert target is not None
    whole = placed.get(joined) == (joined, 0)
    axis = form.axis
    found: list[Function] = []
    start = along = 0  # elements, and places along the axis, that come before
    for part in form.parts:
        if not (whole and placed.get(part) == (joined, start)):
            if axis is None:
                # the joined array is in order: see `CAssembly._form_of`
                to = Place(target.root, target.offset + start, in_order(part.shape))
            else:
                offset = target.offset + along * target.strides[axis]
                to = Place(target.root, offset, target.strides)
            found.append(_copy(name, part, places, to, "", wish))
        start += part.size
        along += part.shape[axis] if axis is not None else 0
    return found


def write_put(name: str, form: Put, places: Places, wish: Wish) -> Function:
    """Return the function that puts an array among zeros.

    Args:
        name: of the function.
        form: the call.
        places: where its arrays lie.
        wish: returns what to call an array.
    """
    out, part = form.call.outs[0], form.part
    target = places.find(out)
    assert target is not None
    shown = np.lib.stride_tricks.as_strided(
        np.empty(out.size, out.dtype), out.shape, [s * out.dtype.itemsize for s in target.strides]
    )
    parts = form.index if isinstance(form.index, tuple) else (form.index,)
    # with an ellipsis one element, too, is a view
    inside = shown[parts if Ellipsis in parts else (*parts, ...)]
    start = inside.__array_interface__["data"][0] - shown.__array_interface__["data"][0]
    strides = tuple(s // out.dtype.itemsize for s in inside.strides)
    to = Place(target.root, target.offset + start // out.dtype.itemsize, strides)
    clear = f"for (i = 0; i < {out.size}; i++) OUT[i] = 0;"
    return _copy(name, part, places, to, clear, wish)


def _copy(
    name: str, part: Var, places: Places, to: Place, clear: str, wish: Wish
) -> Function:  # fmt: skip
    """Return a function that copies an array to a place, after a line with `OUT` for the target."""
    place = places.find(part)
    assert place is not None
    names = CNames()
    x, out = names.fresh(wish(place.root)), names.fresh(wish(to.root))
    axes = sorted(range(part.ndim), key=lambda d: -abs(to.strides[d]))

    def at(steps: tuple[int, ...], first: int) -> str:
        terms = [f"i{d} * {s}" for d, s in enumerate(steps) if part.shape[d] != 1 and s]
        return " + ".join([*terms, str(first)])

    # what is cleared is the whole array, else the function is given the place itself
    lines = [f"{out}[{at(to.strides, to.offset * bool(clear))}] = {x}[{at(place.strides, 0)}];"]
    looped = [d for d in axes if part.shape[d] != 1]
    for d in reversed(looped):
        lines = [f"for (i{d} = 0; i{d} < {part.shape[d]}; i{d}++)", *("    " + t for t in lines)]
    counters = [f"i{d}" for d in looped]
    if clear:
        counters.insert(0, "i")
        lines.insert(0, clear.replace("OUT", out))
    if counters:
        lines.insert(0, f"ptrdiff_t {', '.join(counters)};")
    kind = type_name(part.dtype)
    head = f"const {kind} *restrict {x}, {type_name(to.root.dtype)} *restrict {out}"
    body = "\n".join("    " + line for line in lines)
    text = f"static void {name}({head}) {{\n{body}\n}}"
    return Function(
        name,
        text,
        [(place.root, place.offset), (to.root, 0 if clear else to.offset)],
        cost=part.size,
    )
