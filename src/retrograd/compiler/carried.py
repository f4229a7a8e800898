"""What a function keeps outside by assigning: `self.mean = 0.9 * self.mean + 0.1 * x`.

The place gets another Tensor in every run. A program reads what is there when it begins, as it
reads its arguments, and assigns a new Tensor, or a tree of them, when it ends.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd import tree
from retrograd.compiler.changes import Before
from retrograd.compiler.ir import root
from retrograd.compiler.live import Reading
from retrograd.compiler.outside import RANDOM
from retrograd.compiler.places import MISSING, Place, is_equal, is_slot
from retrograd.compiler.statements import (
    Assign,
    Attribute,
    Bound,
    Expression,
    Index,
    Invoke,
    List,
    Literal,
    Name,
)
from retrograd.compiler.writer import FastWriter, literal
from retrograd.engine import Array, Tensor, wrap

if TYPE_CHECKING:
    from retrograd.compiler.tape import Tape

_HOW = ("attribute", "item", "variable", "cell")


class Carried:
    """A place outside to which a run assigns Tensors.

    Args:
        place: where, and what was there before the run.
        after: what the run has put there: a Tensor, or a tree of Tensors and plain values.

    Attributes:
        structure: the tree of what was there before.
        begins: the leaves of that.
        ends: the leaves of what the run has put there.
        end_structure: the tree of these.
    """

    def __init__(self, place: Place, after: Any) -> None:
        self.place = place
        self.begins, self.structure = tree.flatten(place.value)
        self.ends, self.end_structure = tree.flatten(after)
        self._kinds = [_kind(leaf) for leaf in self.begins]

    @property
    def key(self) -> tuple[int, str, Any]:
        """What tells the place apart."""
        return id(self.place.owner), self.place.how, self.place.key

    def arrays(self) -> list[Array]:
        """Return the arrays that were there before the run."""
        return [_array(leaf) for leaf in self.begins if isinstance(leaf, (Tensor, np.ndarray))]

    def holds(self) -> bool:
        """Tell whether a program may read what is there now: arrays of the same kinds."""
        now = self.place.read()
        if now is MISSING:
            return False
        if self.structure is tree.LEAF:
            return _is_of_kind(now, self._kinds[0])
        leaves, structure = tree.flatten(now)
        return structure == self.structure and all(map(_is_of_kind, leaves, self._kinds))

    def now(self) -> list[Any]:
        """Return the arrays that are there now, also those in a tree."""
        return [_array(v) for v in tree.leaves(self.place.read()) if isinstance(v, Tensor)]

    def set_apart(self, shared: Collection[int]) -> None:
        """Put Tensors of their own where a run begins with some that are found elsewhere too."""
        leaves = [
            wrap(_array(v).copy()) if _is_array(v) and id(_array(v)) in shared else v
            for v in self.begins
        ]
        self.place.put(self.structure.unflatten(leaves))

    def readings(self, taken: Collection[str]) -> list[tuple[Reading, Array]]:
        """Return how a run reads each array that is there when it begins, and that array.

        Args:
            taken: names that others have.
        """
        owner, first = _container(self.place)
        stem = re.sub(r"^(?=\d|$)", "t", re.sub(r"\W+", "_", self.place.name).strip("_"))
        stem = stem.rpartition("self_")[2] or "kept"
        found: list[tuple[Reading, Array]] = []
        names = {*taken}
        for leaf, path in zip(self.begins, self.structure.paths(), strict=True):
            if not _is_array(leaf):
                continue
            name = "_".join([stem, *(str(part) for part in path)])
            while name in names or not name.isidentifier():
                name = f"{re.sub(r'[^0-9a-zA-Z_]', '_', name)}_"
            names.add(name)
            way: tuple[Any, ...] = (first, *((part,) for part in path))
            if isinstance(leaf, Tensor):
                way += ("_array",)
            found.append((Reading(name, "kept", owner, way), _array(leaf)))
        return found

    def assignment(self, writer: FastWriter, names: Sequence[str | None]) -> Assign:
        """Return the statement that puts copies of arrays there.

        Args:
            writer: of the program, which binds the objects of the statement.
            names: the name of each array, None for a plain value.
        """
        owner, first = _container(self.place)
        bound = Bound("keeps", owner)
        target: Expression = Attribute(bound, first) if isinstance(first, str) else Index(
            bound, Literal(first[0])
        )  # fmt: skip
        leaves: list[Expression] = []
        for name, leaf in zip(names, self.ends, strict=True):
            copied = Invoke(Bound("copied", np.array), (Name(name or ""),))
            value: Expression = Invoke(Bound("wrap", wrap), (copied,))
            leaves.append(Bound("plain", leaf) if name is None else value)
        if self.end_structure is tree.LEAF:
            return Assign((target,), leaves[0])
        made = Invoke(Bound("tree", self.end_structure.unflatten), (List(tuple(leaves)),))
        return Assign((target,), made)


def find_obstacle(place: Place | None, after: Any, own: Any, written: Iterable[Array]) -> str:
    """Return why a program cannot assign what a run has put into a place, or "".

    Args:
        place: where, and what was there before; None where that cannot be said.
        after: what is there now.
        own: tells whether the run itself has made a Tensor, or got it as an argument.
        written: the arrays that it writes in place.
    """
    if place is None or not _has_place(place):
        return "no place"
    begins, structure = tree.flatten(place.value)
    ends, end = tree.flatten(after)
    tensors = [leaf for leaf in ends if type(leaf) is Tensor]
    if not tensors:
        return "no Tensor"
    if any(leaf.requires_grad for leaf in tensors):
        return "graph"
    keys = [part for each in (structure, end) for path in each.paths() for part in path]
    same = structure == end
    for i, leaf in enumerate(ends):
        if type(leaf) is Tensor:
            if not own(leaf):
                return "alias"
        elif not (same and is_equal(begins[i], leaf)):
            return "plain value"
    if any(type(key) not in (str, int) for key in keys):
        return "no place"
    for leaf in begins:
        if isinstance(leaf, Tensor) and (leaf.requires_grad or type(leaf) is not Tensor):
            return "graph"
    roots = {id(root(array)) for array in written}
    if any(_is_array(leaf) and id(root(_array(leaf))) in roots for leaf in begins):
        return "written"
    return ""


_CURES = {
    "graph": "it would keep a graph that no program can keep. Store the value alone: {name} = "
             "value.detach()",
    "alias": "it gets a Tensor that is found elsewhere too. Store a copy: {name} = t.copy()",
    "random": "numbers drawn from it would be the same in every run. Write rg.random.normal(rng, "
              "shape) or rg.random.uniform(rng, shape), or pass them as arguments",
    "array": "a program does not write into arrays. Make it a Tensor, {name} = rg.Tensor({name}), "
             "and write into that under rg.no_grad()",
    "next": "a program would not go on in it. Pass what comes next as an argument",
    "written": "its Tensor is written in place in the same run, too. Do one of the two",
}  # fmt: skip
_PLAIN = (
    "a compiled function runs its Python once only. Return the value and change things after the "
    "step"
)


def find_kept(before: Before, tape: Tape, fn: str) -> tuple[list[Carried], str]:
    """Return the places to which a run has assigned Tensors, and why a program could not do it.

    Args:
        before: what the function found outside before the run.
        tape: what was heard of the run, which is told of the places.
        fn: the name of the function.

    Returns:
        The places, and what is to be raised for the first change that no program does, or "".
    """
    written = [event.what[2] for event in tape.log if event.kind == "write"]
    carried, problem = [], ""
    drawn = [event.what[0] for event in tape.log if event.kind == "draw"]
    changes = [*before.find_changes(written, drawn)]
    moved = {
        id(_array(leaf))
        for change in changes
        if change.place is not None
        for leaf in tree.leaves(change.place.value)
        if _is_array(leaf)
    }

    def is_own(t: Tensor) -> bool:
        return id(t._array) in moved or tape.has_made(t)

    for name, place, now in changes:
        now = tree.map(_without_used_graph, now)
        why = find_obstacle(place, now, is_own, written)
        if not why and place is not None:
            carried.append(Carried(place, now))
            place.put(now)
            continue
        if place is not None and _has_place(place) and _has_tensor(now):
            tape.undo_refused.append(functools.partial(place.put, place.value))
        if not problem:
            at = f"{name}[{literal(place.key)}]" if place and place.how == "item" else name
            cure = _CURES.get(why if place is not None else _kind_of(now), _PLAIN)
            problem = f"{fn} changes {name!r} outside: {cure.format(name=at)}"
    tape.carry(carried)
    return carried, problem


def _kind_of(source: Any) -> str:
    """Return which cure is that of something that has changed inside."""
    if isinstance(source, RANDOM):
        return "random"
    if isinstance(source, np.ndarray):
        return "array"
    return "next" if isinstance(source, Iterator) else ""


def find_shared(carried: Sequence[Carried], before: Before) -> set[int]:
    """Return the ids of arrays that are found where a run begins, and elsewhere too.

    Args:
        carried: the places to which the run has assigned.
        before: what the function found outside before the run.
    """
    if not carried:
        return set()
    mine = {c.key for c in carried}
    inside = {id(part) for c in carried for part in _containers(c.place.value)}
    own = [id(array) for c in carried for array in c.arrays()]
    found = [((id(p.owner), p.how, p.key), p.value) for p in before.outside.places]
    for _, module in before.outside.modules.values():
        found += [((id(module), "attribute", n), value) for n, value in vars(module).items()]
    others = set()
    for key, value in found:
        leaves = tree.leaves(value) if isinstance(value, tuple) else [value]
        if key not in mine and key[0] not in inside:
            others |= {id(_array(leaf)) for leaf in leaves if _is_array(leaf)}
    return {i for i in own if own.count(i) > 1 or i in others}


def _without_used_graph(leaf: Any) -> Any:
    """Return the value of a Tensor whose graph `backward` has used up, all else as it is."""
    is_used = type(leaf) is Tensor and leaf.rule is not None and leaf.inputs is None
    return leaf.detach() if is_used else leaf


def _has_place(place: Place) -> bool:
    """Tell whether something was there, and other values can be put there."""
    known = place.how in _HOW and type(place.key) in (str, int, type(None))
    is_own = place.how != "attribute" or place.key in _attributes(place.owner)
    is_own = is_own or is_slot(place.owner, place.key)
    is_own = is_own and (place.how != "item" or isinstance(place.owner, (dict, list)))
    return known and is_own and place.value is not MISSING


def _has_tensor(value: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree.leaves(value))


def _containers(value: Any) -> Iterator[Any]:
    """Yield the dicts and lists that a tree consists of."""
    if isinstance(value, (dict, list, tuple)):
        if not isinstance(value, tuple):
            yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part)


def _attributes(owner: Any) -> dict[str, Any]:
    if isinstance(owner, type):
        return {}
    found: dict[str, Any] = getattr(owner, "__dict__", {})
    return found


def _container(place: Place) -> tuple[Any, Any]:
    """Return what a program reads a place from, and the first step: see `Reading`."""
    if place.how == "cell":
        return place.owner, "cell_contents"
    if place.how == "attribute" and is_slot(place.owner, place.key):
        return place.owner, place.key
    # not by setattr: a Module would take it for a change that everybody has to hear of
    return (_attributes(place.owner) if place.how == "attribute" else place.owner), (place.key,)


def _is_array(leaf: Any) -> bool:
    return type(leaf) in (Tensor, np.ndarray)


def _array(leaf: Any) -> Array:
    found: Array = leaf._array if isinstance(leaf, Tensor) else leaf
    return found


def _kind(leaf: Any) -> tuple[Any, ...]:
    if _is_array(leaf):
        return type(leaf), _array(leaf).shape, _array(leaf).dtype
    return None, leaf, None


def _is_of_kind(leaf: Any, kind: tuple[Any, ...]) -> bool:
    cls, shape, dtype = kind
    if cls is None:
        return is_equal(leaf, shape)
    if leaf.__class__ is not cls:
        return False
    if cls is Tensor:
        if leaf.requires_grad:
            return False
        leaf = leaf._array
    return bool(leaf.shape == shape and leaf.dtype == dtype)
