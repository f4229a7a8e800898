"""Hooks of Tensors: functions that see a gradient in passing, and may replace it."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retrograd.engine.mode import unrecorded

if TYPE_CHECKING:
    from retrograd.engine.tensor import Tensor

Hook = Callable[[Any], Any]

# What a reverse pass does with the gradient of a Tensor that a call made, besides sending it on.
RETAINS, HOOKED = 1, 2

_numbers = itertools.count()


class HookedLeaves:
    """The leaves that have hooks: a reverse pass looks for them only if there are some.

    Attributes:
        by_id: references to them, by id.
        count: how often a leaf was given a hook. Who has looked and remembers the count of that
            moment need not look again while it is the same.
    """

    __slots__ = ("by_id", "count")

    def __init__(self) -> None:
        self.by_id: dict[int, weakref.ref[Tensor]] = {}
        self.count = 0

    def add(self, leaf: Tensor) -> None:
        """Note that a leaf has a hook."""
        key = id(leaf)
        self.by_id[key] = weakref.ref(leaf, lambda _: self.by_id.pop(key, None))
        self.count += 1


HOOKED_LEAVES = HookedLeaves()


class Handle:
    """What registering a hook returns: `remove()` takes the hook off again.

    Args:
        take_off: takes it off; it does nothing where the hook is off already.
    """

    __slots__ = ("_take_off",)

    def __init__(self, take_off: Callable[[], None]) -> None:
        self._take_off = take_off

    def __repr__(self) -> str:
        return "<the handle of a hook; .remove() takes it off>"

    def remove(self) -> None:
        """Take the hook off; a second time does nothing.

        >>> layer = rg.nn.Identity()
        >>> handle = layer.register_forward_hook(lambda module, args, out: out + 1)
        >>> layer(1)
        2
        >>> handle.remove()
        >>> layer(1)
        1
        """
        self._take_off()


def add_hook(t: Tensor, hook: Hook) -> Handle:
    """Give a Tensor one more hook: see `Tensor.register_hook`."""
    if not callable(hook):
        raise TypeError(f"a hook is a function, not {hook!r}")
    if not t.requires_grad:
        raise RuntimeError("register_hook of a Tensor that does not require grad")
    unrecorded("t.register_hook")
    number = next(_numbers)
    t._hooks = {**hooks_of(t), number: hook}
    if t._call is None:
        HOOKED_LEAVES.add(t)
    else:
        t._retains |= HOOKED
    at = weakref.ref(t)
    return Handle(lambda: _remove_hook(at(), number))


def hooks_of(t: Tensor) -> dict[int, Hook]:
    """Return the hooks of a Tensor in order of registration, which most do not have."""
    return getattr(t, "_hooks", {})


def _remove_hook(t: Tensor | None, number: int) -> None:
    if t is None:
        return
    if number not in hooks_of(t):
        # a write into the Tensor has left its hooks with what it was before
        for version in getattr(t, "_versions", ()):
            _remove_hook(version.find(), number)
        return
    t._hooks = {n: hook for n, hook in t._hooks.items() if n != number}
    if not t._hooks:
        if t._call is None:
            HOOKED_LEAVES.by_id.pop(id(t), None)
        else:
            t._retains &= ~HOOKED
