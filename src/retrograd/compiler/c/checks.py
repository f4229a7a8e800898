"""What NumPy's call raises where C has found that an argument is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.compiler.c.kernels import Kernel
from retrograd.compiler.c.places import Places
from retrograd.compiler.ir import Var


def find_wrong(form: Kernel, places: Places, arrays: dict[Var, Any]) -> None:
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
