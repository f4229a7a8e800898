"""Modules that hold other Modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from retrograd.nn.module import Module


class _Container(Module):
    def _put(self, name: str, module: Any) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__} takes Modules, {name!r} is {module!r}")
        setattr(self, name, module)


class _Numbered(_Container):
    _order: tuple[Module, ...] = ()

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def append(self, module: Module) -> Self:
        """Add a Module at the end; returns this one."""
        self._put(str(len(self)), module)
        self._order = (*self._order, module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add Modules at the end; returns this one."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._order)

    def __getitem__(self, index: int | slice) -> Any:
        found = self._order[index]
        if isinstance(found, Module):
            return found
        return Sequential(*found) if isinstance(self, Sequential) else ModuleList(found)

    def __setitem__(self, index: int, module: Module) -> None:
        at = range(len(self))[index]
        self._put(str(at), module)
        self._order = (*self._order[:at], module, *self._order[at + 1 :])


class Sequential(_Numbered):
    """Modules applied one after another, named "0", "1", ... in the state_dict.

    A dict gives them other names.

    >>> import retrograd as rg
    >>> rg.nn.Sequential(rg.nn.Linear(2, 4), rg.nn.ReLU())
    Sequential(
      (0): Linear(2, 4, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self._put(name, module)
            self._order = tuple(modules[0].values())
        else:
            super().__init__(modules)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        for module in self._order:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of Modules, named "0", "1", ... in the state_dict; it has no forward of its own.

    >>> import retrograd as rg
    >>> layers = rg.nn.ModuleList(rg.nn.Linear(2, 2) for _ in range(3))
    >>> len(layers), list(layers.state_dict())[:2]
    (3, ['0.weight', '0.bias'])
    """


class ModuleDict(_Container):
    """Modules by name; it has no forward of its own.

    >>> import retrograd as rg
    >>> heads = rg.nn.ModuleDict({"mean": rg.nn.Linear(2, 1), "spread": rg.nn.Linear(2, 1)})
    >>> heads["mean"]
    Linear(2, 1, bias=True)
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add Modules under their names, over those that had the names before."""
        for name, module in modules.items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if hasattr(type(self), name):
            raise KeyError(f"{name!r} is a method of ModuleDict: take another name")
        self._put(name, module)

    def __getitem__(self, name: str) -> Module:
        return dict(self.items())[name]

    def __delitem__(self, name: str) -> None:
        self[name]  # a KeyError for what is no Module
        delattr(self, name)

    def __len__(self) -> int:
        return len(dict(self.items()))

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items())

    def __contains__(self, name: str) -> bool:
        return name in dict(self.items())

    def keys(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self)

    def values(self) -> Iterator[Module]:
        """Yield the Modules."""
        return self.children()

    def items(self) -> Iterator[tuple[str, Module]]:
        """Yield the names with the Modules."""
        return self.named_children()
