"""What a run of a function has changed outside, found by a look before it and one after it."""

from __future__ import annotations

import copy
import itertools
import operator
import types
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from retrograd.compiler.containers import CONTAINERS, NUMBERS, UNORDERED
from retrograd.compiler.ir import root
from retrograd.compiler.outside import Outside, attributes
from retrograd.compiler.places import COPIED, MISSING, Place, is_alike, is_users
from retrograd.engine import Array
from retrograd.nn.module import Module

BUDGET = 4_000_000  # elements: as many are copied in all; of others a sum is kept
COMPARED = 20_000  # entries: of a longer container nothing inside these is compared
_WHOLE = (*UNORDERED, *NUMBERS, deque)
_INTEGERS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}  # by their bytes


class Change(NamedTuple):
    """Something outside that is no more what it was.

    Args:
        name: what it is, as the user would write it.
        place: where it is, and what was there; None for what has changed inside, such as a set.
        now: what is there now.
    """

    name: str
    place: Place | None
    now: Any


class Before:
    """What a function finds outside before a run, with its contents.

    Args:
        fn: the function, a bound method or a Module.
        given: what it is called with besides arrays, with names.

    Attributes:
        outside: what it finds, as it is now.
    """

    def __init__(self, fn: Callable[..., Any], given: Iterable[tuple[str, Any]] = ()) -> None:
        self.outside = found = Outside(fn, given)
        self._containers = [(name, v, _copy(v)) for name, v in found.containers]
        self._objects = [
            (name, v, attributes(v))
            for name, v in found.objects
            if not isinstance(v, (type, types.ModuleType)) and hasattr(v, "__dict__")
        ]
        # what library code sets in its Modules is known: that of the user's may set more
        self._objects += [
            (name, m, self._set_in(m))
            for name, m in found.modules.values()
            if not is_users(type(m).__module__)
        ]
        self._arrays = [*_with_contents(found.arrays)]
        self._groups = [
            (name, group, {**group})
            for optimizer in found.optimizers.values()
            for name, group in _groups(optimizer)
        ]
        self._tensors = [(name, t, t.requires_grad) for name, t in _tensors(found)]
        self._states = [(name, v, _state(v)) for name, v in _sources(found)]

    def find_changes(
        self, written: Iterable[Array] = (), drawn: Collection[Any] = ()
    ) -> Iterator[Change]:
        """Yield what is no more what it was.

        Args:
            written: arrays that the function may write into.
            drawn: generators of random numbers that it may draw from.
        """
        seen: set[tuple[int, str, Any]] = set()
        for place in self.outside.variables:
            now, at = place.read(), (id(place.owner), place.how, place.key)
            if at not in seen and not self._is_as_before(place.value, now):
                seen.add(at)
                yield Change(place.name, place, now)
        for name, owner, before in self._objects:
            is_library = isinstance(owner, Module) and not is_users(type(owner).__module__)
            now = self._set_in(owner) if is_library else attributes(owner)
            for key, old, new in _pairs(before, now):
                if (id(owner), "attribute", key) not in seen and not self._is_as_before(old, new):
                    at_key = f"{name}.{key}"
                    yield Change(at_key, Place(at_key, "attribute", owner, key, old), new)
        for name, owner, before in self._containers:
            yield from self._changes_inside(name, owner, before)
        for name, group, before in self._groups:
            for key, old, new in _pairs(before, group):
                if key != "params" and old is not new:
                    yield Change(f'{name}["{key}"]', None, new)
        roots = {id(root(a)) for a in written}
        for name, array, contents in self._arrays:
            if id(root(array)) not in roots and contents != _contents(array, contents):
                yield Change(name, None, array)
        for name, t, requires_grad in self._tensors:
            if t.requires_grad != requires_grad:
                yield Change(f"{name}.requires_grad", None, t.requires_grad)
        for name, source, state in self._states:
            if all(source is not rng for rng in drawn) and not is_alike(state, _state(source)):
                yield Change(name, None, source)

    def _set_in(self, module: Module) -> dict[str, Any]:
        """Return the attributes of a Module that the user's code may set, by its names."""
        return {n: v for n, v in attributes(module).items() if n in self.outside.sets}

    def _changes_inside(self, name: str, owner: Any, before: Any) -> Iterator[Change]:
        if isinstance(before, int):  # its length
            if len(owner) != before:
                yield Change(name, None, owner)
        elif isinstance(before, tuple):  # its entries, of which there are many
            entries = _entries(owner)
            if len(entries) != len(before) or not all(map(operator.is_, entries, before)):
                yield Change(name, None, owner)
        elif isinstance(owner, _WHOLE):
            if owner != before:
                yield Change(name, None, owner)
        else:
            now = _copy(owner)
            is_same = True
            for key, old, new in _pairs(before, now):
                if not self._is_as_before(old, new):
                    is_same = False
                    yield Change(name, Place(name, "item", owner, key, old), new)
            if is_same and isinstance(before, dict) and [*before] != [*now]:
                yield Change(name, None, owner)

    def _is_as_before(self, old: Any, new: Any) -> bool:
        """Tell whether a value is what it was, given that containers may have changed inside."""
        if old is new:
            return True
        if isinstance(old, CONTAINERS):
            old = next((b for _, v, b in self._containers if v is old), old)
        return is_alike(old, new)


def look_around(fn: Callable[..., Any], given: Iterable[tuple[str, Any]] = ()) -> Before:
    """Return what a function finds outside with its contents, for `find_changes` later.

    Args:
        fn: the function.
        given: what it is called with besides arrays, with names.
    """
    return Before(fn, given)


def _copy(value: Any) -> Any:
    """Return what a container is compared by: its entries, or their number if there are many."""
    if len(value) > COPIED:
        return len(value)
    if len(value) > COMPARED and not isinstance(value, _WHOLE):
        return (*_entries(value),)
    if isinstance(value, _WHOLE):
        return copy.copy(value)
    return dict(value) if isinstance(value, Mapping) else [*value]


def _entries(value: Any) -> Any:
    return value.values() if isinstance(value, Mapping) else value


def _with_contents(arrays: Iterable[tuple[str, Array]]) -> Iterator[tuple[str, Array, Any]]:
    left = BUDGET
    for name, array in arrays:
        is_small = array.size <= min(COPIED, left)
        left -= array.size * is_small
        yield name, array, _contents(array, b"" if is_small else 0)


def _contents(array: Array, like: Any) -> Any:
    """Return the bytes of an array, or a sum of them, as `like` is."""
    return array.tobytes() if isinstance(like, bytes) else sum_of(array)


def sum_of(array: Array) -> int:
    """Return a sum over the bits of an array, which is another one where an element changes."""
    kind = _INTEGERS.get(array.dtype.itemsize)
    return 0 if kind is None else int(np.sum(array.view(kind), dtype=np.uint64))


def _groups(optimizer: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for i, group in enumerate(optimizer.param_groups):
        yield f"{type(optimizer).__name__}.param_groups[{i}]", group


def _tensors(found: Outside) -> Iterator[tuple[str, Any]]:
    yield from found.tensors
    for name, module in found.modules.values():
        for key, p in module.named_parameters(recurse=False):
            yield f"{name}.{key}", p


def _sources(found: Outside) -> Iterator[tuple[str, Any]]:
    yield from found.generators
    yield from found.iterators
    if "random" in found.read:
        yield "np.random", np.random.get_state.__self__  # type: ignore[attr-defined]


def _state(source: Any) -> Any:
    """Return what tells how far a source of numbers or of entries has come."""
    if hasattr(source, "bit_generator"):
        return source.bit_generator.state
    for method in ("get_state", "getstate"):
        if hasattr(source, method):
            return getattr(source, method)()
    if isinstance(source, types.GeneratorType):
        frame = source.gi_frame
        return None if frame is None else (frame.f_lasti, {**frame.f_locals})
    text = repr(source) if isinstance(source, itertools.count) else ""
    return operator.length_hint(source, -1), text


def _pairs(before: Any, now: Any) -> Iterator[tuple[Any, Any, Any]]:
    if isinstance(before, dict):
        for key in {**before, **now}:
            yield key, before.get(key, MISSING), now.get(key, MISSING)
    else:
        for i in range(max(len(before), len(now))):
            old = before[i] if i < len(before) else MISSING
            yield i, old, now[i] if i < len(now) else MISSING
