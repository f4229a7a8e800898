"""Dicts, lists, sets and what is like them: what a function may find in them."""

from __future__ import annotations

import array
import collections
import copy
import types
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from retrograd.compiler.members import Member
from retrograd.compiler.places import PLAIN, Place

ENTRIES = 256  # of a container; a longer one is compared as a whole
COMPARED = 4096  # entries: of a longer container the length alone is watched
UNORDERED = (set, weakref.WeakSet)
NUMBERS = (bytearray, array.array)
CONTAINERS = (
    dict, list, set, deque, bytearray, array.array, types.MappingProxyType, collections.UserDict,
    collections.UserList, collections.ChainMap, weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary, weakref.WeakSet,
)  # fmt: skip
VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_ORDERED = (dict, types.MappingProxyType, collections.UserDict, collections.ChainMap)


def find_entries(name: str, value: Any, each: bool = True) -> Iterator[Member]:
    """Yield where a container is watched, and what is in it.

    Args:
        name: how a reader would write the container.
        value: the container, or a tuple or a frozenset.
        each: whether its entries are looked at, too.
    """
    if not isinstance(value, (tuple, frozenset)):
        yield _look_at_whole(name, value)
    if len(value) > ENTRIES or not each or isinstance(value, NUMBERS):
        return
    if isinstance(value, weakref.WeakSet):
        for entry in value:
            yield Member(name, weakref.ref(entry), None)
    elif isinstance(value, (*UNORDERED, frozenset)):
        for entry in value:
            yield Member(name, entry, None)
    else:
        for key, entry in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield _look_at_entry(name, value, key, entry)


def _look_at_whole(name: str, value: Any) -> Member:
    """Return where a container is compared as a whole."""
    if isinstance(value, weakref.WeakSet):
        references = value.data  # type: ignore[attr-defined]
        return Member(name, None, Place(name, "content", references, None, {*references}))
    if isinstance(value, (*UNORDERED, *NUMBERS)) or ENTRIES < len(value) <= COMPARED:
        return Member(name, None, Place(name, "content", value, None, copy.copy(value)))
    if isinstance(value, _ORDERED) and len(value) <= ENTRIES:
        keys = (*value,)  # their order, too
        return Member(f"list({name})", keys, Place(f"list({name})", "keys", value, None, keys))
    count = len(value)
    return Member(f"len({name})", None, Place(f"len({name})", "length", value, None, count))


def _look_at_entry(name: str, value: Any, key: Any, entry: Any) -> Member:
    text = f'"{key}"' if isinstance(key, str) else repr(key)
    path = f"{name}[{text}]"
    if isinstance(value, tuple):
        return Member(path, entry, None)
    if isinstance(value, weakref.WeakValueDictionary):
        reference = weakref.ref(entry)
        return Member(path, reference, Place(path, "weakly", value, key, reference))
    return Member(path, entry, Place(path, "item", value, key, entry))


def is_compared(value: Any) -> bool:
    """Tell whether a container is compared as a whole, with nothing in it that may change."""
    if len(value) <= ENTRIES:
        return True
    entries = value.values() if isinstance(value, Mapping) else value
    return len(value) <= COMPARED and all(isinstance(entry, PLAIN) for entry in entries)
