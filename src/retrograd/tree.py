"""Trees of values: nested dicts, lists, tuples and namedtuples with leaves in them.

None is a tree without leaves. A dict keeps its order of keys; trees are matched by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Structure:
    """A tree with its leaves taken out: what `flatten` returns beside them.

    >>> leaves, structure = rg.tree.flatten({"w": 1.0, "layers": [2.0, (3.0,)]})
    >>> leaves
    [1.0, 2.0, 3.0]
    >>> structure
    {'w': *, 'layers': [*, (*,)]}
    >>> structure.unflatten([10, 20, 30])
    {'w': 10, 'layers': [20, (30,)]}
    """

    __slots__ = ("kind", "names", "parts", "size")

    def __init__(self, kind: Any, names: Sequence[Any], parts: Sequence[Structure]) -> None:
        self.kind = kind  # the type of the node; None for a leaf
        self.names, self.parts = tuple(names), tuple(parts)
        self.size: int = 1 if kind is None else sum(part.size for part in parts)

    def unflatten(self, leaves: Sequence[Any]) -> Any:
        """Return the tree with these leaves; ValueError unless there are `size` of them."""
        if len(leaves) != self.size:
            raise ValueError(f"a tree with {self.size} leaves cannot be made of {len(leaves)}")
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.kind is None:
            return next(leaves)
        return self._node([part._build(leaves) for part in self.parts])

    def _node(self, values: Sequence[Any]) -> Any:
        if self.kind is type(None):
            return None
        if issubclass(self.kind, dict):
            return self.kind(zip(self.names, values, strict=True))
        return self.kind(*values) if hasattr(self.kind, "_fields") else self.kind(values)

    def match(self, tree: Any, name: str = "the tree") -> list[Any]:
        """Return what `tree` has where this structure has leaves; ValueError if it differs."""
        if self.kind is None:
            return [tree]
        names, values = _open(tree) if type(tree) is self.kind else ((), None)
        if values is None or set(names) != set(self.names):
            raise ValueError(f"{name} does not have the structure {self!r}: {tree!r}")
        by_name = dict(zip(names, values, strict=True))
        pairs = zip(self.names, self.parts, strict=True)
        return [leaf for key, part in pairs for leaf in part.match(by_name[key], name)]

    def paths(self) -> list[tuple[Any, ...]]:
        """Return for each leaf the keys and positions that lead to it."""
        if self.kind is None:
            return [()]
        pairs = zip(self.names, self.parts, strict=True)
        return [(key, *rest) for key, part in pairs for rest in part.paths()]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.kind, self.names, self.parts

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        if issubclass(self.kind, dict):
            return repr(dict(zip(self.names, self.parts, strict=True)))
        return repr(self._node(self.parts))


LEAF = Structure(None, (), ())


def _open(tree: Any) -> tuple[Sequence[Any], Sequence[Any] | None]:
    """Return the names and values of a node; None for the values of a leaf."""
    if isinstance(tree, dict):
        return tuple(tree), tuple(tree.values())
    if type(tree) is tuple or type(tree) is list:
        return range(len(tree)), tree
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return tree._fields, tree
    return (), () if tree is None else None


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """Return the leaves of a tree in order, and its structure.

    >>> rg.tree.flatten([1, {"a": 2}, None])
    ([1, 2], [*, {'a': *}, None])
    """
    found: list[Any] = []
    return found, _flatten(tree, found)


def _flatten(node: Any, found: list[Any]) -> Structure:
    names, values = _open(node)
    if values is None:
        found.append(node)
        return LEAF
    return Structure(type(node), names, [_flatten(value, found) for value in values])


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
