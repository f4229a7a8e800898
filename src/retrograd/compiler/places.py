"""Places where a function reads something outside, and when what is there counts as the same."""

from __future__ import annotations

import array
import copy
import math
import sys
import types
import weakref
from collections import deque
from typing import Any

import numpy as np

from retrograd.engine import Array, Tensor
from retrograd.nn.module import Module

COPIED = 1_000_000  # elements: larger arrays are not compared after a run
MISSING = object()
PLAIN = (int, float, complex, str, bytes, bool, np.generic, np.dtype, type(None), type(Ellipsis),
         slice, range)  # fmt: skip
_OTHERS = {*sys.stdlib_module_names, *sys.builtin_module_names, "numpy", "retrograd", "scipy"}
_NAMESPACES = {"argparse", "optparse"}  # the parsers' results hold what the user asked for


class Place:
    """Where a function reads something outside, and what was there.

    Args:
        name: how a reader would write it: `beta`, `config["lam"]`, `self.t`.
        how: "variable" of a module; "cell", a variable of an enclosing function; "attribute";
            "in class", as it stands there, such as a property; "class" of an object;
            "item" of a dict or a list; "length" of one; "keys" of a dict, in order; "content" of a
            set or of a long one; "context" of a variable of that kind;
            "alive", whether a weak reference has an object; "weakly", a weak reference to an item.
        owner: what it is read from.
        key: the key or the attribute.
        value: what was there.
    """

    __slots__ = ("how", "key", "name", "owner", "value")

    def __init__(self, name: str, how: str, owner: Any, key: Any, value: Any) -> None:
        self.name = name
        self.how = how
        self.owner = owner
        self.key = key
        self.value = value

    def read(self) -> Any:
        """Return what is there now, `MISSING` if nothing is."""
        try:
            if self.how in ("item", "variable"):
                return self.owner[self.key]
            if self.how == "cell":
                return self.owner.cell_contents
            if self.how == "in class":
                return vars(self.owner)[self.key]
            if self.how == "class":
                return type(self.owner)
            if self.how == "alive":
                return self.owner() is not None
            if self.how == "weakly":
                return weakref.ref(self.owner[self.key])
            if self.how == "content":
                return copy.copy(self.owner)
            if self.how == "keys":
                return (*self.owner,)
            if self.how == "context":
                return self.owner.get(MISSING)
            return len(self.owner) if self.how == "length" else getattr(self.owner, self.key)
        except (KeyError, IndexError, AttributeError, ValueError):
            return MISSING

    def put(self, value: Any) -> None:
        """Put another value there."""
        if self.how == "cell":
            self.owner.cell_contents = value
        elif self.how == "attribute" and is_slot(self.owner, self.key):
            object.__setattr__(self.owner, self.key, value)
        elif self.how == "attribute":
            # not by setattr: a Module would take it for a change that everybody has to hear of
            self.owner.__dict__[self.key] = value
        else:
            self.owner[self.key] = value

    def holds(self) -> bool:
        """Tell whether what is there is the same: the object, or a value that is equal.

        An equal value takes the place of the old one, so that it is the object from then on.
        """
        now = self.read()
        if not is_equal(now, self.value):
            return False
        self.value = now
        return True


class WeakPlace(Place):
    """A place in an object that is found by a weak reference: it does not keep that alive.

    Args:
        reference: to the object.
        place: where it is, there.
    """

    __slots__ = ("reference",)

    def __init__(self, reference: weakref.ref[Any], place: Place) -> None:
        super().__init__(place.name, place.how, None, place.key, place.value)
        self.reference = reference

    def read(self) -> Any:
        """Return what is there now, `MISSING` if nothing is, or no object."""
        owner = self.reference()
        if owner is None:
            return MISSING
        return Place(self.name, self.how, owner, self.key, None).read()


class Contents:
    """An array outside whose values a program may depend on without reading it.

    Args:
        name: how a reader would write it.
        array: the array. Of one of more than 10,000 elements some 250 are looked at.
    """

    WHOLE, SOME = 10_000, 250

    def __init__(self, name: str, array: Array) -> None:
        self.name = name
        self.array = array
        self.looked_at = array
        if array.size > self.WHOLE:
            every = array.size // self.SOME
            flat = array.reshape(-1) if array.flags.c_contiguous else array[0].reshape(-1)
            self.looked_at = flat[::every]
        self._bytes = self.looked_at.tobytes()
        # of objects these are addresses, which others may get once these are gone
        self._objects = self.looked_at.copy() if array.dtype.hasobject else None

    def holds(self) -> bool:
        """Tell whether the values are those from before."""
        if self._objects is not None and self._objects.dtype == object:
            return all(map(is_equal, self.looked_at.flat, self._objects.flat))
        return self.looked_at.tobytes() == self._bytes


def is_equal(x: Any, y: Any) -> bool:
    """Tell whether two values are one object, or plain values that are equal to the bit."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if isinstance(x, float):
        return (x == y and math.copysign(1, x) == math.copysign(1, y)) or (x != x and y != y)
    if isinstance(x, (tuple, frozenset)):
        if isinstance(x, frozenset):
            return bool(x == y)
        return len(x) == len(y) and all(map(is_equal, x, y))
    if isinstance(x, np.generic):
        return bool(x.dtype == y.dtype and x.tobytes() == y.tobytes())
    if isinstance(x, complex):
        return repr(x) == repr(y)
    if isinstance(x, PLAIN):
        return bool(x == y)
    if isinstance(x, (bytearray, array.array)):
        return bool(x == y)
    if isinstance(x, types.MethodType):  # made anew whenever it is asked for
        return x.__func__ is y.__func__ and x.__self__ is y.__self__
    return False


def is_alike(x: Any, y: Any, depth: int = 8) -> bool:
    """Tell whether two values are equal, also arrays, and what is in containers and objects.

    Tensors are alike only if they are one.
    """
    if is_equal(x, y):
        return True
    if type(x) is not type(y) or depth == 0:
        return False
    if isinstance(x, np.ndarray):
        same = x.shape == y.shape and x.dtype == y.dtype and x.size <= COPIED
        return bool(same and x.tobytes() == y.tobytes())
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(is_alike(v, y[k], depth - 1) for k, v in x.items())
    if isinstance(x, (list, tuple, deque)):
        return len(x) == len(y) and all(
            is_alike(v, w, depth - 1) for v, w in zip(x, y, strict=True)
        )
    if isinstance(x, set):
        return bool(x == y)
    if isinstance(x, (Tensor, Module)):
        return False
    if not is_users_object(x):  # such as a date or a path
        return _compares_by_value(type(x)) and bool(x == y)
    return is_alike(getattr(x, "__dict__", x), getattr(y, "__dict__", y), depth - 1)


def _compares_by_value(kind: Any) -> bool:
    return kind.__hash__ is not None and kind.__hash__ is not object.__hash__


def is_slot(owner: Any, name: str) -> bool:
    """Tell whether an attribute is a slot of the object's class."""
    return isinstance(getattr(type(owner), name, None), types.MemberDescriptorType)


def is_users(module: Any) -> bool:
    """Tell whether a name of a module is none of Python's own, NumPy's or this library's."""
    return isinstance(module, str) and module.split(".")[0] not in _OTHERS


def is_compiled(value: Any) -> bool:
    """Tell whether a value is a compiled function or Module."""
    return type(value).__module__.startswith("retrograd.compiler.") and hasattr(value, "fn")


def is_users_object(value: Any) -> bool:
    """Tell whether a value is of a class of the user's, or a plain namespace."""
    module = type(value).__module__
    return isinstance(value, types.SimpleNamespace) or module in _NAMESPACES or is_users(module)
