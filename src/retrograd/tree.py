"""Trees of values: nested dicts, lists, tuples and namedtuples with leaves in them.

Everything else is a leaf, but None, which is a tree without leaves. Leaves have the order of the
keys of a dict; two trees are matched by key, whatever their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from retrograd.later import public_names

__all__ = ["Structure", "flatten", "leaves", "map"]

__dir__ = public_names(__name__)


class Structure:
    """A tree without its leaves: what `flatten` returns beside them.

    Structures are equal if their trees are of the same kinds, with the same keys in one order.

    Args:
        kind: the type of the node, such as `dict`; None for a leaf.
        parts: the structures of what is in the node, by key, name or position.
        factory: what a `defaultdict` makes of a key that is missing; None for all others.

    Attributes:
        size: the number of leaves.

    >>> leaves, structure = rg.tree.flatten({"w": 1.0, "layers": [2.0, (3.0,)]})
    >>> leaves
    [1.0, 2.0, 3.0]
    >>> structure
    {'w': *, 'layers': [*, (*,)]}
    >>> structure.unflatten([10, 20, 30])
    {'w': 10, 'layers': [20, (30,)]}
    """

    __slots__ = ("factory", "kind", "parts", "size")

    def __init__(self, kind: Any, parts: dict[Any, Structure], factory: Any = None) -> None:
        self.kind, self.parts, self.factory = kind, parts, factory
        self.size: int = 1 if kind is None else sum(part.size for part in parts.values())

    def unflatten(self, leaves: Sequence[Any]) -> Any:
        """Return the tree with these leaves.

        Args:
            leaves: `size` values, in the order of `flatten`.

        Returns:
            A tree of new dicts, lists and tuples.

        Raises:
            ValueError: if there are more leaves or fewer.
            TypeError: if there is a kind of dict that does not come into being empty.
        """
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
            made = self._empty_dict()
            for key, value in zip(self.parts, values, strict=True):
                made[key] = value
            return made
        return self.kind(*values) if hasattr(self.kind, "_fields") else self.kind(values)

    def _empty_dict(self) -> Any:
        """Return a dict of this kind without keys, since what its constructor takes may differ."""
        if issubclass(self.kind, defaultdict):
            return self.kind(self.factory)
        try:
            made = self.kind()
        except TypeError as error:
            raise TypeError(
                f"a {self.kind.__name__} cannot be made again from its keys and values "
                f"({error}): write dict(tree) for a plain one"
            ) from error
        if len(made):
            raise TypeError(
                f"a {self.kind.__name__} cannot be made again from its keys and values, since a "
                "new one is not empty: write dict(tree) for a plain one"
            )
        return made

    def match(self, tree: Any, name: str = "the tree") -> list[Any]:
        """Return what a tree has in the places of the leaves.

        Args:
            tree: a tree of this structure; it may have subtrees where this one has leaves.
            name: what it is called in the message.

        Returns:
            A list of `size` values, in the order of `flatten`.

        Raises:
            ValueError: if it has another structure.

        >>> _, structure = rg.tree.flatten({"a": 0, "b": 0})
        >>> structure.match({"b": [2, 3], "a": 1})
        [1, [2, 3]]
        """
        if self.kind is None:
            return [tree]
        inside = _open(tree) if type(tree) is self.kind else None
        if inside is None or inside.keys() != self.parts.keys():
            raise ValueError(f"{name} does not have the structure {self!r}: {tree!r}")
        pairs = self.parts.items()
        return [leaf for key, part in pairs for leaf in part.match(inside[key], name)]

    def paths(self) -> list[tuple[Any, ...]]:
        """Return the keys, names and positions that lead to each leaf.

        Returns:
            A list of `size` tuples, in the order of `flatten`.

        >>> rg.tree.flatten({"w": 1.0, "layers": [2.0, 3.0]})[1].paths()
        [('w',), ('layers', 0), ('layers', 1)]
        """
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

    Args:
        tree: any value.

    Returns:
        A list of the leaves, and the `Structure` that makes the tree of them again.

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
    parts = {key: _flatten(part, found) for key, part in inside.items()}
    return Structure(type(node), parts, getattr(node, "default_factory", None))


def flatten_further(
    tree: Any, opened: Callable[[Any], tuple[type[Structure], dict[str, Any]] | None]
) -> tuple[list[Any], Structure]:
    """Return what `flatten` does of a tree in which more than dicts, lists and tuples are nodes.

    Args:
        tree: any value.
        opened: a function of what would be a leaf; it returns None for one that is, else the
            kind of Structure that makes such a node again, and what is in it by name.
    """
    found: list[Any] = []

    def visit(node: Any) -> Structure:
        inside, kind = _open(node), Structure
        if inside is None:
            node_and_parts = opened(node)
            if node_and_parts is None:
                found.append(node)
                return LEAF
            kind, inside = node_and_parts
        parts = {key: visit(part) for key, part in inside.items()}
        return kind(type(node), parts, getattr(node, "default_factory", None))

    return found, visit(tree)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of a tree in order.

    Args:
        tree: any value.

    Returns:
        A list of the leaves.

    >>> rg.tree.leaves({"b": (1, 2), "a": 3})
    [1, 2, 3]
    """
    return flatten(tree)[0]


def map(fn: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Return the tree of what a function makes of each leaf.

    Args:
        fn: a function of a leaf of `tree`, and of what each of the others has in its place.
        tree: any value.
        *others: trees of the same structure; they may have subtrees where `tree` has leaves.

    Returns:
        A tree of the structure of `tree`.

    Raises:
        ValueError: if one of the others has another structure.
        TypeError: if there is a kind of dict that does not come into being empty.

    >>> rg.tree.map(lambda p, g: p - 0.5 * g, {"w": 1.0, "b": [2.0]}, {"w": 2.0, "b": [4.0]})
    {'w': 0.0, 'b': [0.0]}
    """
    first, structure = flatten(tree)
    rest = [structure.match(other, "a further tree") for other in others]
    return structure.unflatten([fn(*row) for row in zip(first, *rest, strict=True)])
