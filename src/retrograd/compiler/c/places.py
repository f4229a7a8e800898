"""Where the elements of arrays lie: views are resolved to offsets and strides in what they show."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from retrograd.compiler.assembly import memory_order
from retrograd.compiler.ir import Flow, Var

MOVING = ("arg", "grad", "kept")  # arrays that lie elsewhere in each run


class Place(NamedTuple):
    """Where an array lies, in elements.

    Args:
        root: the array whose memory it is.
        offset: of its first element from the root's first.
        strides: between neighbours, by axis.
    """

    root: Var
    offset: int
    strides: tuple[int, ...]


class Places:
    """Finds out where the arrays of a program lie.

    Args:
        flow: of its calls, views among them.
        placed: the arrays that are parts of joined ones.
    """

    def __init__(self, flow: Flow, placed: Any = ()) -> None:
        self.flow = flow
        self.placed = placed
        self._known: dict[Var, Place | None] = {}

    def find(self, var: Var) -> Place | None:
        """Return where an array lies, None where that cannot be said in elements."""
        if var not in self._known:
            self._known[var] = self._find(var)
        return self._known[var]

    def _find(self, var: Var) -> Place | None:
        maker = self.flow.makers.get(var)
        if maker is None or maker.view_of is None:
            return self._of_root(var)
        source = maker.args[maker.view_of]
        place = self.find(source)
        if place is None or not var.size:
            return None
        # the view of an array that lies alike tells the strides; nothing reads its elements
        size = source.dtype.itemsize
        memory = np.empty(_extent(place.strides, source.shape), source.dtype)
        low = sum((n - 1) * s for n, s in zip(source.shape, place.strides, strict=True) if s < 0)
        strides = [s * size for s in place.strides]
        alike = np.lib.stride_tricks.as_strided(memory[-low:], source.shape, strides)
        args, kwargs = maker.change(lambda v: v)
        args = tuple(alike if i == maker.view_of else a for i, a in enumerate(args))
        run = maker.rule.run if maker.rule else maker.fn
        try:
            shown = run(*args, **kwargs)
        except (TypeError, ValueError):
            return None
        if not isinstance(shown, np.ndarray) or not np.may_share_memory(shown, memory):
            return None
        if shown.shape != var.shape or shown.dtype != source.dtype:
            return None
        start = _address(shown) - _address(alike)
        if start % size or any(s % size for s in shown.strides):
            return None
        found = tuple(s // size for s in shown.strides)
        return Place(place.root, place.offset + start // size, found)

    def _of_root(self, var: Var) -> Place | None:
        if var.kind in ("const", "captured"):
            size = var.dtype.itemsize
            if var.kind == "const" and var.dtype.kind in "fiu" and is_uniform(var):
                return Place(var, 0, in_order(var.shape))  # as the assembly makes it anew
            if any(s % size for s in var.strides):
                return None
            return Place(var, 0, tuple(s // size for s in var.strides))
        if var.kind in MOVING or var in self.placed:
            return Place(var, 0, in_order(var.shape))
        shape, back = memory_order(var)
        strides = in_order(shape)
        if back is None:
            return Place(var, 0, strides)
        return Place(var, 0, tuple(strides[i] for i in back) if back else strides[::-1])


def in_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of an array whose elements lie in order, in elements."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def _extent(strides: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return 1 + sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True))


def _address(array: Any) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


def spread(place: Place, shape: tuple[int, ...], over: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of an array that is broadcast to a shape, without its axes of length 1.

    Args:
        place: of the array.
        shape: of the array.
        over: the shape that it is broadcast to.
    """
    missing = len(over) - len(shape)
    wide = (0,) * missing + tuple(
        0 if n == 1 else s for n, s in zip(shape, place.strides, strict=True)
    )
    return tuple(s for s, n in zip(wide, over, strict=True) if n != 1)


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without its axes of length 1."""
    return tuple(n for n in shape if n != 1)


def is_uniform(var: Var) -> bool:
    """Tell whether all elements of a constant are the same, bit by bit."""
    array = var.array
    return bool(array.size) and array.tobytes() == array.reshape(-1)[:1].tobytes() * array.size
