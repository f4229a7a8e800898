"""Which calls share a loop: runs of element-by-element calls, with the reductions at their end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrograd.compiler.c.forms import Elementwise, Form
from retrograd.compiler.c.places import Places, spread, without_ones
from retrograd.compiler.ir import Call, Flow, Var


@dataclass(eq=False, slots=True)
class Group:
    """Calls that are done together: in one loop, as one product, or one call of NumPy.

    Args:
        forms: how each is done in C; empty for a call of NumPy.
        calls: the calls.
        shape: what a loop goes over, without axes of length 1; None for all else.
    """

    forms: list[Form] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    shape: tuple[int, ...] | None = None

    @property
    def is_in_c(self) -> bool:
        """Whether C does it."""
        return bool(self.forms)

    @property
    def writes(self) -> list[Call]:
        """The calls that change arrays which are there before."""
        return [call for call in self.calls if call.kind == "write"]


class Grouping:
    """Puts the calls of a program into groups, in an order in which they can be done.

    A call goes into the last loop over as many elements behind all that it needs. It shares a loop
    with what it needs where both are at the same element at the same time.

    Args:
        calls: the calls, in order.
        flow: of these.
        places: where their arrays lie.
        form_of: returns how a call is done in C, or None.
        late: the calls that must come after all others, which are the last of the calls.
    """

    def __init__(
        self, calls: Sequence[Call], flow: Flow, places: Places,
        form_of: Callable[[Call], Form | None], late: Collection[Call] = (),
    ) -> None:  # fmt: skip
        self._late_from: int | None = None  # the first group of late calls
        self.groups: list[Group] = []
        self._flow = flow
        self._places = places
        self._writers: dict[Any, tuple[int, Call, Form | None]] = {}
        self._readers: dict[Any, list[tuple[int, Call, Form | None]]] = {}
        for call in calls:
            if call in late and self._late_from is None:
                self._late_from = len(self.groups)
            if call.view_of is None:
                self._add(call, form_of(call))

    def _add(self, call: Call, form: Form | None) -> None:
        shape = without_ones(form.shape) if isinstance(form, Elementwise) else None
        first = self._find_first(call, form, shape)
        at = len(self.groups)
        if shape is not None:
            fitting = (i for i in range(at - 1, first - 1, -1) if self.groups[i].shape == shape)
            at = next(fitting, at)
        if at == len(self.groups):
            self.groups.append(Group(shape=shape))
        group = self.groups[at]
        group.calls.append(call)
        if form is not None:
            group.forms.append(form)
        memory = self._flow.memory
        for v in call.vars():
            self._readers.setdefault(memory(v), []).append((at, call, form))
        for v in call.outs:
            self._writers[memory(v)] = at, call, form
            self._readers[memory(v)] = [(at, call, form)] if call.kind == "write" else []

    def _find_first(self, call: Call, form: Form | None, shape: Any) -> int:
        """Return the first group in which a call may be done."""
        memory, first = self._flow.memory, self._late_from or 0
        for v in call.vars():
            found = self._writers.get(memory(v))
            if found is not None:
                at, writer, how = found
                together = self._are_together(form, how, shape, v, writer.outs[0])
                first = max(first, at + (not together))
        if call.kind == "write":
            target = call.outs[0]
            for at, reader, how in self._readers.get(memory(target), ()):
                read = [v for v in reader.vars() if memory(v) == memory(target)]
                together = all(self._are_together(form, how, shape, target, v) for v in read)
                first = max(first, at + (not together))
        return first

    def _are_together(self, form: Any, other: Any, shape: Any, one: Var, two: Var) -> bool:
        """Tell whether two calls of one loop meet in the same elements of an array."""
        if not isinstance(form, Elementwise) or not isinstance(other, Elementwise):
            return False
        if without_ones(other.shape) != shape:
            return False
        if other.reduces is not None and two is other.call.outs[0]:
            return False
        a, b = self._places.find(one), self._places.find(two)
        if a is None or b is None or not (_reaches(one, form) and _reaches(two, other)):
            return False
        if (a.root is not b.root and one is not two) or a.offset != b.offset:
            return False
        return spread(a, one.shape, form.shape) == spread(b, two.shape, other.shape)


def _reaches(var: Var, form: Elementwise) -> bool:
    """Tell whether an array has one element for each that a call goes over."""
    return without_ones(var.shape) == without_ones(form.shape)
