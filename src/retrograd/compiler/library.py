"""Functions of libraries that a function names: somebody may put others in their place."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from retrograd.compiler.places import PLAIN, is_users
from retrograd.engine import Tensor


class Entry(NamedTuple):
    """What stands in a module of a library, or in a class of one.

    Args:
        name: how a reader would write it.
        owner: the module or the class.
        key: its name there.
        value: what is there.
    """

    name: str
    owner: Any
    key: str
    value: Any

    def has_changed(self) -> bool:
        """Tell whether something else is there."""
        return vars(self.owner).get(self.key, self) is not self.value


class Library:
    """The modules of libraries that a function finds, and what it may call there."""

    def __init__(self) -> None:
        self._modules: dict[int, tuple[str, types.ModuleType]] = {}
        self._functions: dict[tuple[int, str], Entry] = {}

    def add(self, name: str, module: types.ModuleType) -> None:
        """Take note of a module.

        Args:
            name: how a reader would write it.
            module: the module.
        """
        self._modules[id(module)] = name, module

    def look_for(self, names: Collection[str]) -> list[tuple[str, types.ModuleType]]:
        """Take note of what some names may mean in the modules.

        Args:
            names: of attributes that code reads or calls.

        Returns:
            The modules among that, each with how a reader would write it.
        """
        inside = []
        for name, module in self._modules.values():
            for key in sorted(names & vars(module).keys()):
                entry = Entry(f"{name}.{key}", module, key, vars(module)[key])
                if isinstance(entry.value, types.ModuleType):
                    if id(entry.value) not in self._modules:
                        inside.append((entry.name, entry.value))
                elif callable(entry.value) or isinstance(entry.value, PLAIN):
                    self._functions.setdefault((id(module), key), entry)
        return inside

    def functions(self) -> list[Entry]:
        """Return what the names mean in the modules, each once."""
        return [*self._functions.values()]


def methods_of(values: Iterable[Any]) -> Iterator[Entry]:
    """Yield the methods of the classes of some objects, and of Tensors, which are a library's.

    Args:
        values: the objects.
    """
    kinds = {kind: None for value in values for kind in type(value).__mro__}
    for kind in (*kinds, Tensor):
        if kind is not object and not is_users(kind.__module__):
            for key, value in vars(kind).items():
                if isinstance(value, (types.FunctionType, property)):
                    yield Entry(f"{kind.__name__}.{key}", kind, key, value)
