"""Who else looks at the memory of a Tensor that was written in a recorded way.

Such a write goes to one Tensor. Those that were taken as views of it before, and what it is a view
of itself, would not see it. A `Memory` knows them, and tells which of them look at elements that
are written, and whether somebody holds them: then the write is refused, by their names. What only
recorded calls hold needs to see nothing. Where that is in doubt a view is retired: it raises once
it is used.
"""

from __future__ import annotations

import bisect
import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn, cast

import numpy as np

from retrograd.engine.arrays import Array, make_stand_in
from retrograd.engine.mode import is_recording
from retrograd.engine.rule import Rule
from retrograd.engine.tensor import CLOCK, TENSORS, Tensor, is_basic_index, wrap
from retrograd.lines import is_of_library


class Place(NamedTuple):
    """Where a view lies in the memory of the Tensor that it looks at, in bytes from its begin.

    Args:
        start: the first byte.
        end: the one behind the last.
        number: tells places of the same start apart.
        view: refers to the view.
        layout: its shape, its dtype, where its first element is, and its strides; None where that
            is not known, and it may look at any element between `start` and `end`.
    """

    start: int
    end: int
    number: int
    view: weakref.ref[Tensor]
    layout: tuple[Any, ...] | None

    def lay_on(self, array: Array) -> Array | None:
        """Return an array of the view's elements in another memory of the same layout."""
        if self.layout is None:
            return None
        shape, dtype, offset, strides = self.layout
        return np.ndarray(shape, dtype, array, offset, strides)


class Memory(list[int]):
    """The stamp of a Tensor that was written in a recorded way, and of the views of it.

    Args:
        owner: the Tensor.

    Attributes:
        owner: refers to it.
        places: where its views lie, by their starts.
        longest: the largest distance from start to end among them.
    """

    __slots__ = ("_room", "_stand_in", "longest", "owner", "places")

    def __init__(self, owner: Tensor) -> None:
        super().__init__([0])
        self.owner = weakref.ref(owner)
        self.places: list[Place] = []
        self.longest = 0
        self._room = 64  # so many places there may be before the dead are sorted out
        self._stand_in: Array | None = None

    def stand_in(self, like: Array) -> Array:
        """Return an array of the owner's shape and dtype, without values: see `make_stand_in`."""
        if self._stand_in is None or self._stand_in.dtype != like.dtype:
            self._stand_in = make_stand_in(like)
        return self._stand_in

    def add(self, view: Tensor, of: Tensor, found: Array | None = None) -> None:
        """Take note of a view.

        Args:
            view: the view.
            of: what it was taken of.
            found: what it looks at, where it has a copy of that.
        """
        owner, array = self.owner(), view._array if found is None else found
        whole = None if owner is None else owner._array
        if whole is not None and (of is owner) and _lies_in(array, whole):
            self.note(view, *_bounds(array, whole))
            return
        known = next((p for p in self.places if p.view() is of), None)
        start, end = (0, sys.maxsize) if known is None else (known.start, known.end)
        self.note(view, start, end, None)

    def note(self, view: Tensor, start: int, end: int, layout: Any) -> None:
        """Take note of a view and of its place."""
        if len(self.places) >= self._room:
            self.places = [place for place in self.places if place.view() is not None]
            self.longest = max((p.end - p.start for p in self.places), default=0)
            self._room = 2 * len(self.places) + 64
        bisect.insort(self.places, Place(start, end, CLOCK.tick(), weakref.ref(view), layout))
        self.longest = max(self.longest, end - start)

    def find_stale(self, t: Tensor, index: Any, given: Any) -> list[Tensor]:
        """Return the views that would not see a write, all of which only recorded calls hold.

        Args:
            t: the Tensor that is to be written.
            index: where.
            given: what is written, which the caller holds in any case.

        Raises:
            TypeError: if somebody holds one of them.
        """
        if not self.places:
            return []
        stale: list[Tensor] = []
        met = [*self._meet(t._array, index)]
        for place in met:
            if place.view() is not given and is_held(place.view, t):
                _refuse(place.view(), "a view of it that was taken before")
        for place in met:
            if (view := place.view()) is not None:
                stale.append(view)
            del self.places[bisect.bisect_left(self.places, place)]
        return stale

    def _meet(self, array: Array, index: Any) -> Iterator[Place]:
        """Yield the places of views that look at an element of `array[index]`."""
        marks: Any = None
        start, end = 0, sys.maxsize
        if is_basic_index(index) and array.flags.c_contiguous:
            marks = array[_as_view(index)]
            start, end, _ = _bounds(marks, array)
        first = bisect.bisect_left(self.places, (start - self.longest,))
        for i in range(first, len(self.places)):
            place = self.places[i]
            if place.start >= end:
                break
            if place.end <= start or place.view() is None:
                continue
            if marks is None and array.flags.c_contiguous:
                marks = np.zeros(array.shape, np.bool_)
                marks[index] = True
            if marks is None or self._shares(place, array, marks):
                yield place

    def _shares(self, place: Place, array: Array, marks: Array) -> bool:
        if marks.base is not None or marks is array:  # a view of the array itself
            seen = place.lay_on(array)
            return seen is None or _shares_memory(seen, marks)
        if place.layout is None:
            return bool(marks.any())
        shape, _, offset, strides = place.layout
        size = array.itemsize
        steps = [step // size for step in strides]
        return bool(np.ndarray(shape, np.bool_, marks, offset // size, steps).any())


def memory_of(t: Tensor, index: Any, given: Any) -> Memory:
    """Return the Memory of a Tensor that is to be written, a new one at its first write.

    Args:
        t: the Tensor.
        index: where.
        given: what is written, which the caller holds in any case.

    Raises:
        TypeError: if it is a view of what somebody holds, or there is a view of it.
    """
    stamp = t._stamp
    if isinstance(stamp, Memory):
        owner = stamp.owner()
        if owner is t:
            return stamp
        if owner is not None:
            _refuse(owner, "what it is a view of")
        others = [view for place in stamp.places if (view := place.view()) is not None]
        others = [other for other in others if other is not t]
    else:
        others = _sharing(t)
    memory = Memory(t)
    for count in _count_holders(others)[::-1]:
        other = others.pop()
        if other is given:
            memory.note(other, 0, sys.maxsize, None)
        elif count > _HELD_BY_LIST:
            if isinstance(stamp, Memory) or _region_shares(t._array, index, other._array):
                others[:] = [other]
                del other
                _refuse(others.pop(), "which looks at the same memory")
            if _lies_in(other._array, t._array):
                memory.note(other, *_bounds(other._array, t._array))
            else:
                memory.note(other, 0, sys.maxsize, None)
    t._stamp = memory
    return memory


def shares_stamp(t: Tensor) -> bool:
    """Tell whether there are other Tensors that share the stamp, and so the memory."""
    return t._stamp is not None and sys.getrefcount(t._stamp) > _ALONE_STAMP


def _sharing(t: Tensor) -> list[Tensor]:
    """Return the other Tensors that share the stamp, which takes a look at all there is."""
    if not shares_stamp(t):
        return []
    found = gc.get_referrers(t._stamp)
    return [other for other in found if isinstance(other, Tensor) and other is not t]


def _region_shares(array: Array, index: Any, other: Array) -> bool:
    region = array[_as_view(index)] if is_basic_index(index) else array
    return _shares_memory(region, other)


def _shares_memory(x: Array, y: Array) -> bool:
    try:
        return bool(np.shares_memory(x, y, max_work=10_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _as_view(index: Any) -> Any:
    """Return a basic index that gives a view also where it means a single element."""
    parts = index if isinstance(index, tuple) else (index,)
    return parts if any(part is ... for part in parts) else (*parts, ...)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _lies_in(array: Array, whole: Array) -> bool:
    if array is not whole and array.base is not (whole if whole.base is None else whole.base):
        return False
    if not whole.flags.c_contiguous:
        return False
    start, end, _ = _bounds(array, whole)
    return start >= 0 and end <= whole.nbytes


def _bounds(array: Array, whole: Array) -> tuple[int, int, Any]:
    """Return where an array begins and ends in another, in bytes, and its layout there."""
    offset = _address(array) - _address(whole)
    layout = array.shape, array.dtype, offset, array.strides
    if not array.size:
        return offset, offset, layout
    reach = [(n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)]
    start = offset + sum(r for r in reach if r < 0)
    return start, offset + sum(r for r in reach if r > 0) + array.itemsize, layout


# Who holds a Tensor, by counts of references


def is_alone(t: Tensor) -> bool:
    """Tell whether nothing else refers to the array of a Tensor: no call, view or variable."""
    return _references(t) == _ALONE


def is_held(view: weakref.ref[Tensor], of: Tensor) -> bool:
    """Tell whether something other than recorded calls holds a view of a Tensor.

    A recorded call that has it as an argument refers once to the Tensor and once to its array.
    """
    t = view()
    if t is None:
        return False
    if t._array is of._array:  # to which all calls of both refer
        del t
        return _count_holders([view()])[0] > _HELD_BY_LIST  # type: ignore[list-item]
    count = sys.getrefcount(t) - _HELD_ONCE + 1
    by_calls = _references(t) - _ALONE - is_recording()  # a tape keeps each output as well
    return count > by_calls


def _references(t: Tensor) -> int:
    return sys.getrefcount(t._array)


def _count_holders(tensors: list[Tensor]) -> list[int]:
    """Return how many references there are to each Tensor, without those of recorded calls.

    It looks at all there is, for Tensors whose arrays are also referred to by views.
    """
    counts = []
    for t in tensors:
        by_calls = 0
        for found in gc.get_referrers(t):
            if type(found) is tuple and any(_is_call_of(found, c) for c in gc.get_referrers(found)):
                by_calls += sum(part is t for part in found)
        counts.append(sys.getrefcount(t) - by_calls)
    return counts


def _is_call_of(inputs: tuple[Any, ...], candidate: Any) -> bool:
    is_long = type(candidate) is tuple and len(candidate) >= 4
    return is_long and candidate[1] is inputs and isinstance(candidate[0], Rule)


# The counts where nobody else refers to a Tensor, its array or its stamp; they depend on how
# Python hands over arguments.
_probe = [wrap(np.zeros(1))]
_ALONE = _references(_probe[0])
_HELD_ONCE = 0
_HELD_BY_LIST = _count_holders([wrap(np.zeros(1))])[0]
_probe[0]._stamp = [0]
_ALONE_STAMP = sys.getrefcount(_probe[0]._stamp)


def _measure(view: weakref.ref[Tensor]) -> int:
    t = view()
    return sys.getrefcount(t)


_HELD_ONCE = _measure(weakref.ref(_probe[0]))


# Views that would show old values


class Retired(Tensor):
    """A view of what was written since: it raises where it is used, in place of showing old values.

    Calls recorded before go on with what it was then.
    """

    __slots__ = ()

    def _raise(self) -> NoReturn:
        name = _describe(cast("Tensor", self._versions[-1].find()))
        raise RuntimeError(
            f"{name} was taken as a view of a Tensor that was written since, and does not see "
            "that: take it again after the write, or keep a copy, t[...].copy()"
        )

    _array = property(_raise)
    requires_grad = property(_raise)

    def __repr__(self) -> str:
        return "Tensor(a view of what was written since)"


TENSORS.add(Retired)


def _refuse(other: Tensor | None, what: str) -> NoReturn:
    """Raise TypeError: a write would not be seen by another Tensor, which somebody holds."""
    name = _describe(cast("Tensor", other))
    del other  # which the frames of an error would hold
    raise TypeError(
        f"t[...] = value would not be seen by {name}, {what}: write into that one, "
        "take it again after the write (`del` it before), or write into a copy, t = t.copy()"
    )


def _describe(t: Tensor) -> str:
    """Return the name of a Tensor, that of a user's variable where it has none, and its shape."""
    name, frame = t.name, sys._getframe(1)
    while name is None and frame is not None:
        if not is_of_library(frame):
            variables = frame.f_locals
            name = next((n for n, value in variables.items() if value is t), None)
            if type(variables) is dict and frame.f_code.co_flags & _OPTIMIZED:
                variables.clear()  # a copy, by which the frame would go on to hold the Tensor
        frame = frame.f_back  # type: ignore[assignment]
    return f"the Tensor {name or ''} of shape {t._array.shape}".replace("  ", " ")


_OPTIMIZED = 1  # inspect.CO_OPTIMIZED: the variables of the frame are not in a dict
