"""Trees of values: nested dicts, lists, tuples and namedtuples with leaves in them.

None is a tree without leaves. A dict keeps its order of keys; trees are matched by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Structure:
    """A tree without its leaves: what `flatten` returns beside them.

    >>> leaves, structure = rg.tree.flatten({"w": 1.0, "layers": [2.0, (3.0,)]})
    >>> leaves
    [1.0, 2.0, 3.0]
    >>> structure
    {'w': *, 'layers': [*, (*,)]}
    >>> structure.unflatten([10, 20, 30])
    {'w': 10, 'layers': [20, (30,)]}
    """

    __slots__ = ("kind", "parts", "size")

    def __init__(self, kind: Any, parts: dict[Any, Structure]) -> None:
        self.kind, self.parts = kind, parts  # the type of the node; None for a leaf
        self.size: int = 1 if kind is None else sum(part.size for part in parts.values())

    def unflatten(self, leaves: Sequence[Any]) -> Any:
        """Return the tree with these leaves; ValueError unless there are `size` of them."""
        if len(leaves) != self.size:
            raise ValueError(f"a tree with {self.size} leaves cannot be made of {len(leaves)}")
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.kind is None:
            return next(leaves)
        return self._node([part._build(leaves) for part in self.parts.values()])

    def _node(self, values: Sequence[Any]) -> Any:
        if self.kind is type(None):
            return None
        if issubclass(self.kind, dict):
            return self.kind(zip(self.parts, values, strict=True))
        return self.kind(*values) if hasattr(self.kind, "_fields") else self.kind(values)

    def match(self, tree: Any, name: str = "the tree") -> list[Any]:
        """Return what `tree` has in place of the leaves; ValueError if it differs."""
        if self.kind is None:
            return [tree]
        inside = _open(tree) if type(tree) is self.kind else None
        if inside is None or inside.keys() != self.parts.keys():
            raise ValueError(f"{name} does not have the structure {self!r}: {tree!r}")
        pairs = self.parts.items()
        return [leaf for key, part in pairs for leaf in part.match(inside[key], name)]

    def paths(self) -> list[tuple[Any, ...]]:
        """Return the keys and positions that lead to each leaf."""
        if self.kind is None:
            return [()]
        return [(key, *rest) for key, part in self.parts.items() for rest in part.paths()]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.kind, *self.parts.items()

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        if issubclass(self.kind, dict):
            return repr(self.parts)
        return repr(self._node([*self.parts.values()]))


LEAF = Structure(None, {})


def _open(tree: Any) -> dict[Any, Any] | None:
    """Return what is in a node, by key, name or position; None for a leaf."""
    if isinstance(tree, dict):
        return tree
    if type(tree) is tuple or type(tree) is list:
        return dict(enumerate(tree))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return dict(zip(tree._fields, tree, strict=True))
    return {} if tree is None else None


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """Return the leaves of a tree in order, and its structure.

    >>> rg.tree.flatten([1, {"a": 2}, None])
    ([1, 2], [*, {'a': *}, None])
    """
    found: list[Any] = []
    return found, _flatten(tree, found)


def _flatten(node: Any, found: list[Any]) -> Structure:
    inside = _open(node)
    if inside is None:
        found.append(node)
        return LEAF
    return Structure(type(node), {key: _flatten(part, found) for key, part in inside.items()})


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of a tree in order.

    >>> rg.tree.leaves({"b": (1, 2), "a": 3})
    [1, 2, 3]
    """
    return flatten(tree)[0]


def map(fn: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Return the tree of `fn(leaf, *leaves of the others)`, which have the same structure.

    >>> rg.tree.map(lambda p, g: p - 0.5 * g, {"w": 1.0, "b": [2.0]}, {"w": 2.0, "b": [4.0]})
    {'w': 0.0, 'b': [0.0]}
    """
    first, structure = flatten(tree)
    rest = [structure.match(other, "a further tree") for other in others]
    return structure.unflatten([fn(*row) for row in zip(first, *rest, strict=True)])
