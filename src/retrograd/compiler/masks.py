"""Masks outside: how many elements they select decides the sizes of a program's buffers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from retrograd.compiler.guards import Guard
from retrograd.compiler.ir import Call
from retrograd.compiler.spelling import is_sized_by_mask
from retrograd.compiler.statements import Bound, Invoke, Literal, Operation


class Masks:
    """The masks outside by which a program selects elements.

    Args:
        calls: those of the program as it was recorded.
    """

    def __init__(self, calls: Iterable[Call]) -> None:
        found = (v for call in calls if is_sized_by_mask(call) for v in call.vars())
        masks = {
            id(v.array): v.array for v in found if v.kind == "captured" and v.dtype.kind == "b"
        }
        self._counts = [(mask, int(np.count_nonzero(mask))) for mask in masks.values()]

    def hold(self) -> bool:
        """Tell whether each selects as many elements as when it was recorded."""
        return all(np.count_nonzero(mask) == count for mask, count in self._counts)

    def guards(self) -> list[Guard]:
        """Return the conditions that each does."""
        found = []
        for mask, count in self._counts:
            now = Invoke(Bound("count", np.count_nonzero), (Bound("mask", mask),))
            same = Operation("==", now, Literal(count))
            found.append(Guard(f"a mask outside selects {count} elements", same))
        return found
