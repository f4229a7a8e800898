"""Containers: Modules that hold Modules in order or by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from retrograd.engine import current_mode
from retrograd.nn.module import Module


class _Container(Module):
    """What all containers share: how a Module gets in."""

    def _put(self, name: str, module: Module) -> None:
        kind = type(self)
        if not isinstance(module, Module):
            raise TypeError(f"{kind.__name__} takes Modules, {name!r} is {module!r}")
        if hasattr(kind, name) or "." in name:
            raise KeyError(f"{name!r} is a method of {kind.__name__}, or has a dot: rename it")
        setattr(self, name, module)


class _Numbered(_Container):
    """A container whose Modules have an order; it follows what is done to the attributes."""

    _order: tuple[Module, ...] = ()  # the children, as `forward` and `len` need them

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(modules or ())

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self._follow()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._follow()

    def _follow(self) -> None:
        order = tuple(self.children())
        # Compiled programs compare attributes by identity: the same order keeps the same tuple.
        if order != self._order:
            vars(self)["_order"] = order

    def append(self, module: Module) -> Self:
        """Add a Module at the end, named by its number.

        Args:
            module: The Module.

        Returns:
            This container.

        Raises:
            TypeError: if it is no Module.

        >>> len(rg.nn.Sequential(rg.nn.Linear(2, 4)).append(rg.nn.ReLU()))
        2
        """
        self._put(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add Modules at the end, named by their numbers.

        Args:
            modules: The Modules.

        Returns:
            This container.

        Raises:
            TypeError: if one is no Module.

        >>> len(rg.nn.ModuleList().extend([rg.nn.ReLU(), rg.nn.Tanh()]))
        2
        """
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a Module before the one at an index; those behind it move on.

        Args:
            index: Where it is to be, from 0; negative numbers count from the end.
            module: The Module.

        Returns:
            This container.

        Raises:
            TypeError: if it is no Module.

        >>> rg.nn.Sequential(rg.nn.ReLU()).insert(0, rg.nn.Linear(2, 4))[0]
        Linear(2, 4, bias=True)
        """
        names, modules = self._names(), list(self._order)
        self.append(module)  # checks that it is one, and finds a name
        modules.insert(index, module)
        where = modules.index(module)
        names.insert(where, self._names()[-1])
        self._rename(names, modules)
        return self

    def pop(self, index: int | slice = -1) -> Any:
        """Take a Module out; those behind it move up.

        Args:
            index: Which one, from 0; negative numbers count from the end (default: the last).

        Returns:
            The Module.

        Raises:
            IndexError: if there is none.

        >>> net = rg.nn.Sequential(rg.nn.Linear(2, 4), rg.nn.ReLU())
        >>> net.pop()
        ReLU()
        >>> len(net)
        1
        """
        out = self[index]
        del self[index]
        return out

    def clear(self) -> None:
        """Take all Modules out.

        >>> net = rg.nn.ModuleList([rg.nn.ReLU()])
        >>> net.clear()
        >>> len(net)
        0
        """
        self._rename([], [])

    def __delitem__(self, index: int | slice) -> None:
        names, modules = self._names(), list(self._order)
        del names[index], modules[index]
        self._rename(names, modules)

    def _rename(self, names: list[str], modules: list[Module]) -> None:
        """Hold these Modules, in this order; those that are named by numbers get new ones."""
        for name in self._names():
            delattr(self, name)
        for place, (name, module) in enumerate(zip(names, modules, strict=True)):
            self._put(str(place) if name.isdigit() else name, module)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._order)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._part(index)
        return self._order[index]

    def _part(self, index: slice) -> Any:
        return ModuleList(self._order[index])

    def __setitem__(self, index: int, module: Module) -> None:
        self._put(self._names()[index], module)

    def _names(self) -> list[str]:
        return [name for name, _ in self.named_children()]


class Sequential(_Numbered):
    """Modules called one after another, each with what the one before it gives.

    They are named "0", "1", ... in the `state_dict`, or as a dict says. It is indexed, sliced and
    measured like a list; a slice is a Sequential of the same Modules under the same names.

    Args:
        *modules: Modules, in order; or a single dict of names and Modules.

    Shape:
        - input: what the first Module takes.
        - output: what the last Module gives; the input if there is none.

    Raises:
        TypeError: if something is no Module.
        KeyError: if a name of a dict has a dot in it or is that of a method.

    >>> net = rg.nn.Sequential(rg.nn.Linear(2, 4), rg.nn.ReLU())
    >>> net
    Sequential(
      (0): Linear(2, 4, bias=True)
      (1): ReLU()
    )
    >>> net(np.ones((5, 2))).shape
    (5, 4)
    >>> list(rg.nn.Sequential({"hidden": rg.nn.Linear(2, 4)}).state_dict())
    ['hidden.weight', 'hidden.bias']
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self._put(name, module)
        else:
            self.extend(modules)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        heard = current_mode().tell is not None
        for module in self._order:
            # a call would do no more
            input = module.forward(input) if module._direct and not heard else module(input)
        return input

    def _part(self, index: slice) -> Any:
        return Sequential(dict(zip(self._names()[index], self._order[index], strict=True)))


class ModuleList(_Numbered):
    """A list of Modules whose parameters are found, as those in a plain list are not.

    They are named "0", "1", ... in the `state_dict`. It has no `forward`: a Module that holds it
    goes through it.

    Args:
        modules: Modules, in order (default none).

    Raises:
        TypeError: if something is no Module.
        NotImplementedError: if it is called.

    >>> class Deep(rg.nn.Module):
    ...     def __init__(self):
    ...         self.layers = rg.nn.ModuleList(rg.nn.Linear(2, 2) for _ in range(3))
    ...     def forward(self, x):
    ...         for layer in self.layers:
    ...             x = np.tanh(layer(x))
    ...         return x
    >>> Deep()(np.ones((5, 2))).shape
    (5, 2)
    >>> list(Deep().state_dict())[:2]
    ['layers.0.weight', 'layers.0.bias']
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__(modules)


class ModuleDict(_Container):
    """A dict of Modules whose parameters are found, as those in a plain dict are not.

    It has no `forward`: a Module that holds it chooses from it.

    Args:
        modules: Names and Modules (default none).

    Raises:
        TypeError: if something is no Module.
        KeyError: if a name has a dot in it or is that of a method; when indexed, if there is none
            of that name.
        NotImplementedError: if it is called.

    >>> heads = rg.nn.ModuleDict({"mean": rg.nn.Linear(2, 1)})
    >>> heads["spread"] = rg.nn.Linear(2, 1)
    >>> heads["mean"](np.ones((5, 2))).shape
    (5, 1)
    >>> list(heads.state_dict())
    ['mean.weight', 'mean.bias', 'spread.weight', 'spread.bias']
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add Modules under their names, in the place of those that had the names before.

        Args:
            modules: Names and Modules.

        Raises:
            TypeError: if something is no Module.
            KeyError: if a name has a dot in it or is that of a method.

        >>> heads = rg.nn.ModuleDict()
        >>> heads.update({"act": rg.nn.ReLU()})
        >>> heads["act"]
        ReLU()
        """
        for name, module in modules.items():
            self[name] = module

    def __getitem__(self, name: str) -> Module:
        return dict(self.named_children())[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self._put(name, module)

    def __delitem__(self, name: str) -> None:
        self[name]  # a KeyError for a name that is no Module's
        delattr(self, name)

    def pop(self, key: str) -> Module:
        """Take a Module out.

        Args:
            key: Its name.

        Returns:
            The Module.

        Raises:
            KeyError: if there is none of that name.

        >>> heads = rg.nn.ModuleDict({"act": rg.nn.ReLU()})
        >>> heads.pop("act"), len(heads)
        (ReLU(), 0)
        """
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Take all Modules out.

        >>> heads = rg.nn.ModuleDict({"act": rg.nn.ReLU()})
        >>> heads.clear()
        >>> len(heads)
        0
        """
        for name in list(self.keys()):
            del self[name]

    def __contains__(self, name: object) -> bool:
        return name in dict(self.named_children())

    def __len__(self) -> int:
        return len(dict(self.named_children()))

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self) -> Iterator[str]:
        """Yield the names.

        Yields:
            Names, in order of assignment.

        >>> list(rg.nn.ModuleDict({"act": rg.nn.ReLU()}).keys())
        ['act']
        """
        return (name for name, _ in self.named_children())

    def values(self) -> Iterator[Module]:
        """Yield the Modules.

        Yields:
            Modules, in order of assignment.

        >>> list(rg.nn.ModuleDict({"act": rg.nn.ReLU()}).values())
        [ReLU()]
        """
        return self.children()

    def items(self) -> Iterator[tuple[str, Module]]:
        """Yield the names and the Modules.

        Yields:
            Pairs of name and Module, in order of assignment.

        >>> list(rg.nn.ModuleDict({"act": rg.nn.ReLU()}).items())
        [('act', ReLU())]
        """
        return self.named_children()
