"""Dataclasses of arrays among the arguments: each call may come with another one."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.places import PLAIN
from retrograd.engine import Tensor

_COMMON = {np.ndarray, Tensor, int, float, bool, str}
_Opened = tuple[type[tree.Structure], dict[str, Any]]


class Record(tree.Structure):
    """A dataclass without its arrays: a node of a tree, as a dict is one.

    >>> @dataclasses.dataclass
    ... class Batch:
    ...     x: Any
    ...     size: int
    >>> leaves, structure = flatten(Batch(np.ones(2), 2), ())
    >>> leaves
    [array([1., 1.]), 2]
    >>> structure.unflatten([5.0, 1])
    Batch(x=5.0, size=1)
    """

    __slots__ = ()

    def _node(self, values: Sequence[Any]) -> Any:
        made = object.__new__(self.kind)  # its own ways of being made may do more
        for name, value in zip(self.parts, values, strict=True):
            object.__setattr__(made, name, value)
        return made


def flatten(value: Any, closed: Collection[type]) -> tuple[list[Any], tree.Structure]:
    """Return the leaves of a tree in which dataclasses of arrays are nodes, and its structure.

    Args:
        value: the tree.
        closed: dataclasses that are leaves all the same.
    """
    found, structure = tree.flatten(value)
    if not _has_dataclass(found):
        return found, structure
    return tree.flatten_further(value, lambda node: _open(node, closed))


def _has_dataclass(leaves: Sequence[Any]) -> bool:
    for leaf in leaves:
        kind = leaf.__class__
        if kind not in _COMMON and hasattr(kind, "__dataclass_fields__"):
            return True
    return False


def flatten_results(value: Any) -> tuple[list[Any], tree.Structure]:
    """Return the leaves of what a function returned, and its structure.

    Args:
        value: the tree. Dataclasses in it that have Tensors or arrays are nodes.
    """
    found, structure = tree.flatten(value)
    if not _has_dataclass(found):
        return found, structure

    def opened(node: Any) -> _Opened | None:
        if not hasattr(type(node), "__dataclass_fields__") or isinstance(node, type):
            return None
        inside = _attributes(node)
        leaves, _ = tree.flatten_further(inside, opened)
        has_arrays = any(isinstance(leaf, (np.ndarray, np.generic, Tensor)) for leaf in leaves)
        return (Record, inside) if has_arrays and inside.keys() == _fields(node) else None

    return tree.flatten_further(value, opened)


def flatten_as(value: Any, structure: tree.Structure) -> tuple[list[Any], tree.Structure]:
    """Return the leaves of a tree in which those dataclasses are nodes that are so in another one.

    Args:
        value: the tree.
        structure: the other one.
    """
    kinds = {*kinds_of(structure)}

    def opened(node: Any) -> _Opened | None:
        return (Record, _attributes(node)) if type(node) in kinds else None

    return tree.flatten_further(value, opened) if kinds else tree.flatten(value)


def kinds_of(structure: tree.Structure) -> Iterator[type]:
    """Yield the dataclasses that are nodes of a tree."""
    if isinstance(structure, Record):
        yield structure.kind
    for part in structure.parts.values():
        yield from kinds_of(part)


def _open(node: Any, closed: Collection[type]) -> _Opened | None:
    """Return what is in a dataclass if that is arrays and plain values alone."""
    kind = type(node)
    if not hasattr(kind, "__dataclass_fields__") or kind in closed:
        return None
    inside = _attributes(node)
    if inside.keys() != _fields(node):
        return None  # it cannot be made again of its fields
    leaves, _ = tree.flatten_further(inside, lambda part: _open(part, closed))
    if not all(_is_array(leaf) or isinstance(leaf, PLAIN) for leaf in leaves):
        return None
    return (Record, inside) if any(map(_is_array, leaves)) else None


def _is_array(leaf: Any) -> bool:
    if isinstance(leaf, Tensor):
        return not leaf.requires_grad
    return isinstance(leaf, (np.ndarray, np.generic))


def _fields(node: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(node)}


def _attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a dataclass, its fields first."""
    names = [field.name for field in dataclasses.fields(node)]
    found = {name: getattr(node, name) for name in names if hasattr(node, name)}
    return {**found, **getattr(node, "__dict__", {})}
