"""What code may read of an object by its attributes' names: found without running code."""

from __future__ import annotations

import functools
import types
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from retrograd.compiler.places import MISSING, Place, is_users
from retrograd.nn.module import Module


class Names(NamedTuple):
    """The attributes that some code names.

    Args:
        read: those that it reads.
        called: those that it calls as methods.
        reads_all: whether it asks for attributes by names that are computed.
        uses_super: whether it asks for what stands in a class above.
    """

    read: Collection[str]
    called: Collection[str]
    reads_all: bool
    uses_super: bool

    def of(self, value: Any, own: dict[str, Any]) -> Iterable[str]:
        """Return the names that may be read of an object, which has some attributes of its own."""
        names = {*self.read, *self.called}
        if not self.reads_all:
            return sorted(names)
        kinds = value.__mro__ if isinstance(value, type) else type(value).__mro__
        of_kinds = {n for k in kinds if is_users(k.__module__) for n in vars(k)}
        return [n for n in (*names, *own, *(of_kinds - {*own})) if n[:2] != "__"]


class Member(NamedTuple):
    """An attribute of an object, or what stands behind it.

    Args:
        name: how a reader would write it.
        value: what is there, or the function that gives it.
        place: where that is watched; None where it is watched elsewhere.
    """

    name: str
    value: Any
    place: Place | None


def find_members(name: str, value: Any, names: Names) -> Iterator[Member]:
    """Yield what some code may read of an object.

    Args:
        name: how a reader would write the object.
        value: the object, a class or a module of the user's.
        names: the attributes that the code names.
    """
    own = getattr(value, "__dict__", {})
    computes = is_users(getattr(type(value).__getattribute__, "__module__", None))
    for n in names.of(value, own):
        raw, kind = find_attribute(value, own, n)
        found = _behind(raw, value, n)
        is_slot = isinstance(raw, types.MemberDescriptorType)
        if n not in names.read and not names.reads_all and not callable(found):
            continue
        path = f"{name}.{n}" if name else n
        if found is MISSING:
            if is_slot:  # it may get a value
                yield Member(path, None, Place(path, "attribute", value, n, MISSING))
        elif kind is None:  # the object's own
            if isinstance(value, Module):
                yield Member(path, found, None)  # it is known when one was set
            elif isinstance(value, type) and _is_descriptor(raw):
                yield Member(path, found, Place(path, "in class", value, n, raw))
            elif computes:
                yield Member(path, found, Place(path, "item", own, n, raw))
            else:
                yield Member(path, found, Place(path, "attribute", value, n, found))
        elif is_slot:
            yield Member(path, found, Place(path, "attribute", value, n, found))
        elif isinstance(raw, (types.FunctionType, property)):
            yield Member(path, found, Place(path, "attribute", kind, n, raw))
            for k in type(value).__mro__ if names.uses_super else ():
                above = vars(k).get(n) if is_users(k.__module__) else None
                if isinstance(above, types.FunctionType):
                    yield Member(path, above, Place(path, "attribute", k, n, above))
        elif computes or hasattr(type(raw), "__get__"):
            yield Member(path, found, Place(path, "in class", kind, n, raw))
        else:
            of = kind if isinstance(value, Module) else value
            yield Member(path, found, Place(path, "attribute", of, n, found))


def find_attribute(value: Any, own: Any, name: str) -> tuple[Any, type | None]:
    """Return an attribute as it stands in the object or a class, without running code.

    Args:
        value: the object.
        own: its attributes.
        name: which is asked for.

    Returns:
        What is there, or `MISSING`; and the class of the user's that it was found in.
    """
    if name in own:
        return own[name], None
    kinds = [*(value.__mro__ if isinstance(value, type) else ()), *type(value).__mro__]
    for kind in kinds:
        if name in vars(kind):
            return (vars(kind)[name], kind) if is_users(kind.__module__) else (MISSING, None)
    return MISSING, None


def _behind(raw: Any, value: Any, name: str) -> Any:
    """Return what stands behind an attribute: of a property its function, of a slot its value."""
    if isinstance(raw, (staticmethod, classmethod)):
        return raw.__func__
    if isinstance(raw, property):
        return raw.fget
    if isinstance(raw, functools.cached_property):
        return raw.func
    if isinstance(raw, functools.partialmethod):
        return functools.partial(raw.func, *raw.args, **raw.keywords)
    if isinstance(raw, types.MemberDescriptorType) and not isinstance(value, type):
        return getattr(value, name, MISSING)
    return raw


def _is_descriptor(raw: Any) -> bool:
    """Tell whether a class gives something else than what stands in it, such as a bound method."""
    plain = isinstance(raw, (types.FunctionType, staticmethod, types.MemberDescriptorType))
    return hasattr(type(raw), "__get__") and not plain
