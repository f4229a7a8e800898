"""What a value is called: by the user, by the place where the user has it, or by what made it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType, FunctionType, ModuleType
from typing import Any, TypeAlias, TypeVar

import numpy as np

from retrograd.engine import Tensor
from retrograd.later import public_names
from retrograd.nn.module import Module
from retrograd.seeing.graph import Graph, Node

__all__ = ["Names", "label", "name", "user_frames"]
__dir__ = public_names(__name__)

T = TypeVar("T", bound=Tensor)
# the way to a Module: a variable, then names of attributes
Path: TypeAlias = tuple[str, ...]

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# how many entries of a list or a dict of the user's are looked at
_MOST = 1000
# what to call the outputs of functions whose own names say nothing to a reader
_PLAIN = {"getitem": "part", "pick": "output", "contract": "einsum", "concat": "joined"}


def name(t: T, called: str) -> T:
    """Give a Tensor a name, which is shown wherever a graph is looked at.

    It is `t.name = called` within an expression.

    Args:
        t: the Tensor, which may come in the middle of a formula.
        called: what to call it.

    Returns:
        The Tensor itself.

    Raises:
        TypeError: if `t` is no Tensor or `called` no string.

    >>> x = rg.Tensor(3.0, requires_grad=True)
    >>> y = np.exp(rg.name(x * 2, "exponent"))
    >>> y.inputs[0].name
    'exponent'
    """
    if not isinstance(t, Tensor):
        raise TypeError(f"rg.name names a Tensor, not {type(t).__name__}")
    t.name = called
    return t


def user_frames(frame: FrameType | None = None) -> Iterator[FrameType]:
    """Yield the frames outside of this library, from the innermost to the user's script.

    What is further out runs the script, such as a notebook does, and is none of the user's.

    Args:
        frame: where to begin (default: the caller's).

    Returns:
        An iterator over frames.

    >>> next(rg.seeing.user_frames()).f_code.co_name
    '<module>'
    """
    frame = frame or sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_HERE) and code.co_name not in _COMPREHENSIONS:
            yield frame
            if code.co_name == "<module>":
                return
        frame = frame.f_back


class Names:
    """What the user calls values: Tensors and arrays.

    A name that was given (`t.name`) comes first, then the place in a Module that a variable holds,
    then a variable, then the place in a list, a dict or an object that a variable holds. Variables
    are those of the user's functions that are running and of the modules they are in; inner ones
    come first. What is in two Modules is called by its place in the larger one, since a variable
    such as that of a loop may hold a part of a net.

    Args:
        frames: where to look (default: the frames of the caller that are outside the library).

    >>> w = rg.Tensor([1.0, 2.0], requires_grad=True)
    >>> rg.seeing.Names().of(w)
    'w'
    """

    def __init__(self, frames: Iterable[FrameType] | None = None) -> None:
        # by id, each with the value itself so that the id stays its own
        self._known: dict[int, tuple[str, Any]] = {}
        self._modules: dict[int, tuple[Path, Module]] = {}
        self._owners: dict[int, Path] = {}
        self._types: dict[Path, str] = {}
        scopes = [*_scopes(user_frames() if frames is None else frames)]
        variables = [pair for scope in scopes for pair in scope.items()]
        self._note_modules((n, v) for n, v in variables if isinstance(v, Module))
        for variable, value in variables:
            self._note(variable, value)
        parts = [part for pair in variables for part in _parts(*pair)]
        self._note_modules((n, v) for n, v in parts if isinstance(v, Module))
        for place, part in parts:
            self._note(place, part)

    def _note_modules(self, modules: Iterable[tuple[str, Module]]) -> None:
        found = []
        for variable, module in modules:
            inside = [((variable, *at.split(".")) if at else (variable,), inner)
                      for at, inner in module.named_modules()]  # fmt: skip
            size = sum(isinstance(v, Tensor) for _, m in inside for v in vars(m).values())
            found += [(-size, len(path), i, path, m) for i, (path, m) in enumerate(inside)]
        for *_, path, module in sorted(found, key=lambda each: each[:3]):
            if id(module) not in self._modules:
                self._modules[id(module)] = path, module
                self._types[path] = type(module).__name__
            for attribute, value in vars(module).items():
                if not attribute.startswith("_") and self._note(
                    ".".join((*path, attribute)), value
                ):
                    self._owners[id(value)] = path

    def _note(self, place: str, value: Any) -> bool:
        """Note what a value is called, if it is the first name of one; tell whether it is."""
        if not isinstance(value, (Tensor, np.ndarray)) or id(value) in self._known:
            return False
        self._known[id(value)] = place, value
        return True

    def of(self, value: Any) -> str:
        """Return the name of a value, "" for one that has none.

        Args:
            value: a Tensor or an array.

        Returns:
            The name, such as "net.0.weight" or "loss".

        >>> t = rg.name(rg.Tensor(1.0), "target")
        >>> rg.seeing.Names().of(t)
        'target'
        """
        if isinstance(value, Tensor) and value.name is not None:
            return value.name
        return self._known.get(id(value), ("",))[0]

    def of_module(self, module: Module) -> str:
        """Return the name of a Module, "" for one that has none.

        Args:
            module: the Module.

        Returns:
            The name, such as "net.0".

        >>> net = rg.nn.Sequential(rg.nn.Linear(2, 1))
        >>> rg.seeing.Names().of_module(net[0])
        'net.0'
        """
        return ".".join(self._modules.get(id(module), ((),))[0])

    def owner(self, value: Any) -> Path | None:
        """Return the way to the Module that has a Tensor as an attribute, None where none has it.

        Args:
            value: the Tensor, or an array.

        Returns:
            The names on the way, from the user's variable inwards.

        >>> net = rg.nn.Sequential(rg.nn.Linear(2, 1))
        >>> rg.seeing.Names().owner(net[0].weight)
        ('net', '0')
        """
        return self._owners.get(id(value))

    def type_at(self, path: Path) -> str:
        """Return the name of the class of a Module, "" where there is none.

        Args:
            path: the way to it, as `owner` returns it.

        Returns:
            The name of the class, such as "Linear".

        >>> net = rg.nn.Sequential(rg.nn.Linear(2, 1))
        >>> rg.seeing.Names().type_at(("net", "0"))
        'Linear'
        """
        return self._types.get(path, "")


def label(graph: Graph, names: Names) -> dict[Node, str]:
    """Return for each node of a graph a name that no other has.

    What the user has no name for is called by the function that made it, with a number: "tanh1".

    Args:
        graph: the graph.
        names: what the user calls things.

    Returns:
        A dict with the name of each node.

    >>> x = rg.Tensor(0.5, requires_grad=True)
    >>> graph = rg.seeing.Graph(np.tanh(np.tanh(x)))
    >>> [*rg.seeing.label(graph, rg.seeing.Names()).values()]
    ['x', 'tanh1', 'tanh2']
    """
    found = {node: names.of(node.tensor) for node in graph.nodes}
    taken = set(found.values())
    counts: dict[str, int] = {}

    def number(stem: str) -> str:
        while True:
            counts[stem] = counts.get(stem, 0) + 1
            if (wish := f"{stem}{counts[stem]}") not in taken:
                return wish

    given = set()
    for node, called in found.items():
        if not called:
            called = number(stem_of(node))
        elif called in given:  # two Tensors were given one name
            called = number(f"{called}_")
        found[node] = called
        given.add(called)
        taken.add(called)
    return found


def stem_of(node: Node) -> str:
    """Return what the value of a node is called before its number."""
    if node.is_leaf:
        return "leaf" if node.tensor.requires_grad else "constant"
    last = node.function.rpartition(".")[2]
    return _PLAIN.get(last, last)


def _scopes(frames: Iterable[FrameType]) -> Iterator[Mapping[str, Any]]:
    """Yield the variables of frames, then those of the modules they are in."""
    found = list(frames)
    modules = {id(frame.f_globals): frame.f_globals for frame in found}
    for frame in found:
        if frame.f_locals is not frame.f_globals:
            yield _public(frame.f_locals)
    for variables in modules.values():
        yield _public(variables)


def _public(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return variables without those that no user reads, such as the last results of a notebook."""
    return {
        n: v
        for n, v in [*variables.items()]
        if n.isidentifier() and not n.startswith("_") and n not in _HISTORY
    }


_HISTORY = {"In", "Out"}
# their variables are of no more than passing interest
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


def _parts(variable: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is directly inside a list, a dict or an object, with how to write it."""
    if isinstance(value, (list, tuple)) and len(value) <= _MOST:
        yield from ((f"{variable}[{i}]", part) for i, part in enumerate([*value]))
    elif isinstance(value, dict) and len(value) <= _MOST:
        yield from ((f"{variable}[{key!r}]", part) for key, part in [*value.items()])
    elif not isinstance(value, (type, ModuleType, FunctionType, Module, Tensor, np.ndarray)):
        yield from (
            (f"{variable}.{attribute}", part)
            for attribute, part in [*getattr(value, "__dict__", {}).items()]
            if not attribute.startswith("_")
        )
