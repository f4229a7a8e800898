"""Class numbers as C functions that find which of them are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.compiler.c.code import Function
from retrograd.compiler.c.forms import Hits
from retrograd.compiler.c.kernels import Kernel
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import Places
from retrograd.compiler.c.types import number, type_name
from retrograd.compiler.ir import Var


def write_check(
    name: str, form: Hits, code: int, places: Places, wish: Callable[[Var], str]
) -> Function:
    """Return where scores are of the target class, as a function.

    Args:
        name: of the function.
        form: the call.
        code: what it returns where a class number is none.
        places: where its arrays lie.
        wish: returns what to call an array.
    """
    out = form.call.outs[0]
    place, target = places.find(out), places.find(form.target)
    assert place is not None
    assert target is not None
    names = CNames()
    hits, y = names.fresh(wish(out)), names.fresh(wish(target.root))
    kind = type_name(form.target.dtype)
    ignored = number(form.ignored, np.dtype(np.int64))
    row, column = place.strides
    below = "" if form.target.dtype.kind == "u" else "c < 0 || "
    inside = 0 <= form.ignored < form.classes
    text = f"""\
static int {name}(const {kind} *restrict {y}, uint8_t *restrict {hits}) {{
    ptrdiff_t i, j;
    for (i = 0; i < {out.shape[0]}; i++) {{
        const {kind} c = {y}[i * {target.strides[0]} + {target.offset}];
        if (({below}c >= {form.classes}) && (int64_t)c != {ignored}) return {code};
        for (j = 0; j < {form.classes}; j++)
            {hits}[i * {row} + j * {column}] = ({kind})j == c{f" && j != {ignored}" * inside};
    }}
    return 0;
}}"""
    arrays = [(target.root, 0), (out, 0)]
    return Function(name, text, arrays, cost=out.size, returns=True)


def find_wrong(form: Hits | Kernel, places: Places, arrays: dict[Var, Any]) -> None:
    """Raise what the call raises.

    Args:
        form: the call.
        places: where its arrays lie.
        arrays: those of a run that has failed.
    """
    call = form.call

    def look(value: Any) -> Any:
        if not isinstance(value, Var):
            return value
        place = places.find(value)
        assert place is not None
        if place.root not in arrays:  # it stands in the function itself
            return value.array
        root = arrays[place.root]
        size = root.itemsize
        memory = root.reshape(-1) if root.flags.c_contiguous else root.T.reshape(-1)
        return np.lib.stride_tricks.as_strided(
            memory[place.offset :], value.shape, [s * size for s in place.strides]
        )

    args, kwargs = call.change(look)
    if call.kind == "write":
        target, value, index = args
        target.copy()[index] = value
        return
    found = (call.rule.run if call.rule else call.fn)(*args, **kwargs)
    for part, out in zip(found if len(call.outs) > 1 else (found,), call.outs, strict=True):
        # values have decided on another size than before
        np.concatenate((part,), out=np.empty(out.shape, out.dtype))
