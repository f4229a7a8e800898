"""The arrays of an exported file: what lies in one memory is one array of C."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.compiler.c.types import number, type_name
from retrograd.compiler.ir import Var


@dataclass(slots=True, eq=False)
class Memory:
    """An array of C.

    Args:
        owner: NumPy's array whose memory it is.
        begin: the address of its first element.
        size: how many elements it has.
        is_held: whether its elements are there before the first run, which reads them.
        is_fixed: whether, moreover, nothing writes into it.
        name: its name.
        parts: what lies in it, by its name: from which element on, and the shape.
    """

    owner: Any
    begin: int
    size: int
    is_held: bool
    is_fixed: bool
    name: str = ""
    parts: dict[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of which dtype it is."""
        found: np.dtype[Any] = self.owner.dtype
        return found

    @property
    def bytes(self) -> int:
        """How many bytes it takes."""
        return self.size * self.dtype.itemsize

    def declaration(self, name: str = "") -> str:
        """Return how it is declared."""
        return f"{type_name(self.dtype)} {name or self.name}[{self.size}]"

    def constant(self, name: str = "") -> str:
        """Return it as a constant with its elements."""
        flat = _flat(self.owner, self.size)
        values = ", ".join(number(v, self.dtype) for v in flat)
        lines = textwrap.wrap(values, 92, initial_indent="    ", subsequent_indent="    ")
        return "\n".join([f"static const {self.declaration(name)} = {{", *lines, "};", ""])

    def describe(self) -> list[str]:
        """Return what lies where in it, a text for each array that has a name."""
        parts = sorted(self.parts.items(), key=lambda item: (item[1][0], -math.prod(item[1][1])))
        return [
            f"{name} {shape}" + (f" from [{at}] on" if at or len(parts) > 1 else "")
            for name, (at, shape) in parts
        ]


class Memories:
    """Finds the memory of each array of a program.

    Args:
        arrays: NumPy's arrays, by the names that the code gives them.
        names: the name of each array of the program.
        written: the arrays outside that a run writes.
    """

    def __init__(
        self, arrays: Mapping[str, Any], names: Mapping[Var, str], written: Iterable[Any]
    ) -> None:
        self._arrays, self._names = arrays, names
        self._written = [_owner(a) for a in written]
        self._known: dict[int, Memory] = {}

    def find(self, var: Var) -> tuple[Memory, int]:
        """Return the memory that an array lies in, and at which element of it."""
        array = self._arrays[self._names[var]]
        owner = _owner(array)
        memory = self._known.get(id(owner))
        if memory is None:
            low, extent = _range(owner)
            begin = _address(owner) + low * owner.itemsize
            is_held = var.kind in ("const", "captured")
            touching = [a for a in self._written if np.may_share_memory(a, owner)]
            if any(a is not owner for a in touching):
                raise TypeError(
                    "this program writes into memory that an array of another dtype shares, which "
                    "a file in C cannot have: give one of them a copy"
                )
            memory = Memory(owner, begin, extent, is_held, is_held and not touching)
            self._known[id(owner)] = memory
        at = (_address(array) - memory.begin) // owner.itemsize
        if var.kind == "captured":
            memory.parts[self._names[var]] = at, var.shape
        return memory, at

    def name(self, fresh: Callable[[str], str], constant: str) -> list[Memory]:
        """Give each memory its name, and return them all.

        Args:
            fresh: makes a name out of one that is wished.
            constant: what the names of constants begin with.
        """
        own = {id(a): n for n, a in self._arrays.items()}
        for memory in self._known.values():
            first = next(iter(memory.parts), "buffer")
            several = len(memory.parts) > 1
            wish = own.get(id(memory.owner), f"{first}_and_more" if several else first)
            memory.name = fresh(f"{constant}_{wish}" if memory.is_fixed else wish)
        return [*self._known.values()]


def _owner(array: Any) -> Any:
    """Return the array whose memory another shows, the last of those of one dtype."""
    while (
        isinstance(array.base, np.ndarray)
        and array.base.dtype == array.dtype
        and (_address(array) - _address(array.base)) % max(array.itemsize, 1) == 0
    ):
        array = array.base
    return array


def _range(array: Any) -> tuple[int, int]:
    """Return the lowest element, from the first, and how many there are up to the highest."""
    steps = [
        (n - 1) * (s // array.itemsize) for n, s in zip(array.shape, array.strides, strict=True)
    ]
    if not array.size:
        return 0, 1  # C has no arrays without elements
    low = sum(s for s in steps if s < 0)
    return low, sum(s for s in steps if s > 0) - low + 1


def _flat(array: Any, extent: int) -> Any:
    """Return the elements of an array in the order of its memory, with what is between them."""
    if not array.size:
        return np.zeros(1, array.dtype)
    turned = array[tuple(slice(None, None, -1 if s < 0 else 1) for s in array.strides)]
    return np.lib.stride_tricks.as_strided(turned, (extent,), (array.itemsize,))


def _address(array: Any) -> int:
    found: int = array.__array_interface__["data"][0]
    return found
