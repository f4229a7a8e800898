"""What a program depends on of the arguments of a call, and what each of them is called."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.lines import TraceError
from retrograd.compiler.places import PLAIN, is_users_object
from retrograd.compiler.records import flatten_as, kinds_of
from retrograd.engine import Tensor
from retrograd.engine.arrays import unmasked

ARRAYS = (np.ndarray, np.generic, Tensor)


def kind_of(leaf: Any) -> Any:
    """Return what a program depends on of a leaf of the arguments."""
    if isinstance(leaf, ARRAYS):
        starts: Any = None
        if not isinstance(leaf, Tensor):
            unmasked(leaf)
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            starts = leaf._grad is None if leaf.is_leaf else "graph"
        return leaf.shape, leaf.dtype, starts
    if isinstance(leaf, slice):  # which can be hashed from Python 3.12 on
        return slice, _exact((leaf.start, leaf.stop, leaf.step))
    try:
        hash(leaf)
    except TypeError:
        if is_users_object(leaf):
            return type(leaf), Same(leaf)  # what it holds is watched
        raise TypeError(
            f"a compiled function got a {type(leaf).__name__}: pass arrays, Tensors, dicts, lists "
            "and tuples of them, hashable values, or objects of your classes"
        ) from None
    return type(leaf), _exact(leaf)


class Same:
    """Equal for one object alone, whatever that is equal to, and hashable.

    Args:
        value: the object.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _exact(value: Any) -> Any:
    """Return what is equal for hashable values that are the same, bit by bit.

    0.0 is equal to -0.0, and 1 to True and 1.0; nan is not equal to itself.
    """
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, complex):
        return value.real.hex(), value.imag.hex()
    if isinstance(value, (tuple, frozenset)):
        container = frozenset if isinstance(value, frozenset) else tuple
        return container((type(v), _exact(v)) for v in value)
    if dataclasses.is_dataclass(value):
        parts = [
            getattr(value, part.name, None)
            for part in dataclasses.fields(value)
            if (part.compare if part.hash is None else part.hash)
        ]
        return value, tuple((type(v), _exact(v)) for v in parts)
    return value


def name_arguments(fn: Callable[..., Any], structure: tree.Structure) -> list[str]:
    """Return a name for each leaf of the arguments, by the parameters of the function.

    Args:
        fn: the function.
        structure: the tree of its arguments, positional ones and those by name.
    """
    known = []
    with contextlib.suppress(TypeError, ValueError):
        for p in inspect.signature(getattr(fn, "forward", fn)).parameters.values():
            known.append(p.name + "_{}" * (p.kind is p.VAR_POSITIONAL))
            if p.kind is p.VAR_POSITIONAL:
                break  # it takes all that comes by position
    names = []
    for where, first, *rest in structure.paths():
        if where == 0:
            first = (known[min(first, len(known) - 1)] if known else "arg{}").format(first)
        names.append("_".join(map(str, (first, *rest))))
    return names


def objects_given(
    fn: Callable[..., Any], leaves: Sequence[Any], structure: tree.Structure
) -> list[tuple[str, Any]]:
    """Return the arguments that are no arrays and no plain values, with their names.

    What they hold may change from call to call, as what the function finds outside may. So may
    what stands in the classes of dataclasses of arrays.

    Args:
        fn: the function.
        leaves: the leaves of its arguments.
        structure: the tree of these.
    """
    records: list[tuple[str, Any]] = [(kind.__name__, kind) for kind in kinds_of(structure)]
    if all(isinstance(leaf, (*ARRAYS, *PLAIN)) for leaf in leaves):
        return records
    pairs = zip(name_arguments(fn, structure), leaves, strict=True)
    objects = [(name, leaf) for name, leaf in pairs if not isinstance(leaf, (*ARRAYS, *PLAIN))]
    return objects + records


def check_arguments(
    fn: Callable[..., Any],
    called: str,
    before: Any,
    after: Any,
    given: tree.Structure = tree.LEAF,
) -> None:
    """Refuse a change of dicts and lists among the arguments, of which a run has copies.

    Args:
        fn: the function.
        called: what to call it.
        before: the arguments before the run, positional ones and those by name.
        after: these after it.
        given: the tree of them, as they were given, if it has dataclasses.

    Raises:
        TraceError: if one has changed, by its name.
    """
    parts = flatten_as(before, given), flatten_as(after, given)
    (old, structure), (new, now) = parts
    if structure == now and all(map(operator.is_, old, new)):
        return
    names = dict(zip(name_arguments(fn, structure), old, strict=True))
    now_at = dict(zip(name_arguments(fn, now), new, strict=True))
    missing = object()
    name = next(n for n in (*names, *now_at)
                if names.get(n, missing) is not now_at.get(n, missing))  # fmt: skip
    raise TraceError(
        f"{called} changes its argument {name!r}: the next run would start from what is "
        "passed then. Return the new value, and put it in its place after the step"
    )
