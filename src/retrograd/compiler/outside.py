"""What a function finds outside, seen by a walk through its code and what the code names.

The walk begins at the function and goes on through the user's functions and methods that it may
call, and through the containers and objects that these name. It answers two questions: where the
function reads (`Outside.places`), which guards watch, and what it has changed (`find_change`).
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from retrograd.compiler.codes import Scan, scan
from retrograd.compiler.ir import root
from retrograd.compiler.places import (
    COPIED,
    MISSING,
    PLAIN,
    Place,
    is_alike,
    is_compiled,
    is_users,
    is_users_object,
)
from retrograd.engine import Array, Tensor
from retrograd.nn.module import Module

BUDGET = 4_000_000  # elements: as many are copied in all
ENTRIES = 256  # of a container; of a longer one the length alone is watched
PLACES = 2000  # so many are watched in all, and of containers that come later the length
COMPARED = 20_000  # entries: of a longer container the length alone is compared after a run
# methods that no expression calls, and those that only making an object does
_SILENT = {"__repr__", "__str__", "__del__", "__reduce__", "__getstate__", "__setstate__"}
_MAKING = {"__init__", "__new__", "__post_init__"}
_CONTAINERS = (dict, list, set, deque)


def surroundings(fn: Callable[..., Any]) -> dict[str, Any]:
    """Return the variables outside that a function names, by their names."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return {}
    found = {n: fn.__globals__[n] for n in code.co_names if n in fn.__globals__}
    for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a variable that has no value yet
            found[name] = cell.cell_contents
    return found


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


class Outside:
    """What a function finds outside, as it is now.

    Args:
        fn: the function, a bound method or a Module.

    Attributes:
        places: where it reads.
        arrays: the arrays among that, with their names.
        modules: the Modules, and those inside them, by id: their names and themselves.
        optimizers: the optimizers, by id.
        read: the names of attributes that its code reads.
        reads_all: whether its code asks for attributes by names that are computed.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.places: list[Place] = []
        self.arrays: list[tuple[str, Array]] = []
        self.modules: dict[int, tuple[str, Module]] = {}
        self.optimizers: dict[int, Any] = {}
        self.read: set[str] = {"forward", "backward", "update"}
        self.called: set[str] = set()
        self.reads_all = False
        self._seen: dict[int, Any] = {}  # what was visited, by id; held so that ids stay
        self._todo: deque[tuple[str, Any]] = deque()
        self._objects: list[tuple[str, Any]] = []
        self._tensors: list[Tensor] = []
        self._placed: set[tuple[int, str, Any]] = set()
        self._stored: list[tuple[str, dict[str, Any], str]] = []
        self._snapshots: list[tuple[str, Any, Any]] = []
        self._copies: list[tuple[str, Array, Array]] = []
        self._variables: list[Place] = []
        if isinstance(fn, Module):
            self._todo.append(("self", fn))
        else:
            self._todo.append(("", fn))
        self._walk()

    def _walk(self) -> None:
        looked: set[tuple[str, bool]] = set()
        while True:
            while self._todo:
                self._visit(*self._todo.popleft())
            names = {(n, True) for n in self.read} | {(n, False) for n in self.called - self.read}
            if self.reads_all:
                names.add(("*", True))
            if names <= looked:
                return
            looked |= names
            for name, value in self._objects:
                self._look_at_attributes(name, value)

    def _add(self, name: str, how: str, owner: Any, key: Any, value: Any) -> None:
        """Take note of a place, and visit what is there."""
        at = id(owner), how, key
        if at in self._placed:
            return
        self._placed.add(at)
        place = Place(name, how, owner, key, value)
        known = isinstance(value, types.ModuleType) and not is_users(value.__name__)
        if not known:
            self.places.append(place)
            if how not in ("item", "length", "content"):
                self._variables.append(place)
        self._todo.append((name, value))

    def _visit(self, name: str, value: Any) -> None:
        if isinstance(value, (*PLAIN, frozenset)) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, types.FunctionType):
            if is_users(value.__module__) or not name:
                self._visit_function(value)
        elif isinstance(value, types.MethodType):
            self._todo.append(("self" if not name else name.rpartition(".")[0], value.__self__))
            self._todo.append((name, value.__func__))
        elif isinstance(value, functools.partial):
            parts = [value.func, *value.args, *value.keywords.values()]
            self._todo += [(name, part) for part in parts]
        elif isinstance(value, np.ndarray):
            self.arrays.append((name, value))
        elif isinstance(value, Tensor):
            self._tensors.append(value)  # its array is watched where a program reads it
        elif isinstance(value, (dict, list, tuple, set, deque)):
            self._visit_container(name, value)
        elif is_compiled(value):
            self._todo.append((name, value.fn))
        elif isinstance(value, Module):
            self._visit_module(name, value)
        elif hasattr(type(value), "add_param_group"):
            self.optimizers[id(value)] = value
            if is_users_object(value):
                self._visit_object(name, value)
        elif isinstance(value, types.ModuleType):
            if is_users(value.__name__):
                self._visit_object(name, value)
        elif isinstance(value, type):
            if is_users(value.__module__):
                self._visit_object(name, value)
        elif is_users_object(value):
            self._visit_object(name, value)
        elif hasattr(value, "__wrapped__"):
            self._todo.append((name, value.__wrapped__))

    def _visit_function(self, fn: types.FunctionType) -> None:
        found: Scan = scan(fn.__code__)
        self.read |= found.read
        self.called |= found.called
        self.reads_all |= found.reads_all
        scope = fn.__globals__
        for n in found.variables:
            if n in scope:
                self._add(n, "variable", scope, n, scope[n])
        for n in found.stored:
            value = scope.get(n, MISSING)
            self._variables.append(Place(n, "variable", scope, n, value))
        for n, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a variable that has no value yet
                self._add(n, "cell", cell, None, cell.cell_contents)
        arguments = fn.__code__.co_varnames[: fn.__code__.co_argcount]
        defaults = fn.__defaults__ or ()
        self._todo += zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True)
        self._todo += (fn.__kwdefaults__ or {}).items()

    def _visit_container(self, name: str, value: Any) -> None:
        if not isinstance(value, tuple):
            if len(value) <= COMPARED:
                self._snapshots.append((name, value, value.copy()))
            else:
                self._variables.append(Place(name, "length", value, None, len(value)))
            if isinstance(value, set):
                self._add(name, "content", value, None, frozenset(value))
            else:
                self._add(f"len({name})", "length", value, None, len(value))
        if is_users_object(value):
            self._visit_object(name, value)
        if len(value) > ENTRIES or len(self.places) > PLACES or isinstance(value, set):
            return
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            text = f'"{key}"' if isinstance(key, str) else repr(key)
            if isinstance(value, tuple):
                self._todo.append((f"{name}[{text}]", entry))
            else:
                self._add(f"{name}[{text}]", "item", value, key, entry)

    def _visit_module(self, name: str, value: Module) -> None:
        inside: Iterable[tuple[str, Any]] = value.named_modules()
        for path, module in inside:
            at = f"{name}.{path}" if path else name
            if is_compiled(module):
                self._todo.append((at, module.fn))
            elif module is value or id(module) not in self._seen:
                self._seen[id(module)] = module
                self.modules[id(module)] = at, module
                if is_users(type(module).__module__):
                    self._visit_object(at, module)
                for each in (module._hooks or {}).values():
                    self._todo += [(at, hook) for hook in each.values()]

    def _visit_object(self, name: str, value: Any) -> None:
        self._objects.append((name, value))
        if not isinstance(value, (type, types.ModuleType)) and hasattr(value, "__dict__"):
            self._snapshots.append((name, value, {**attributes(value)}))
        for kind in value.__mro__ if isinstance(value, type) else type(value).__mro__:
            if is_users(kind.__module__):
                for n, f in vars(kind).items():
                    skipped = n in _SILENT or (n in _MAKING and not isinstance(value, type))
                    if n[:2] == "__" and isinstance(f, types.FunctionType) and not skipped:
                        self._todo.append((n, f))
        self._look_at_attributes(name, value)

    def _look_at_attributes(self, name: str, value: Any) -> None:
        own = getattr(value, "__dict__", {})
        names: Iterable[str] = sorted(self.read | self.called)
        if self.reads_all:
            kinds = value.__mro__ if isinstance(value, type) else type(value).__mro__
            of_kinds = (n for k in kinds if is_users(k.__module__) for n in vars(k))
            names = {*names, *own, *of_kinds}
            names = [n for n in names if n[:2] != "__"]
        for n in names:
            found = _find_attribute(value, own, n)
            if found is MISSING:
                continue
            if isinstance(found, (staticmethod, classmethod)):
                found = found.__func__
            elif isinstance(found, property):
                found = found.fget
            elif isinstance(found, functools.cached_property):
                found = found.func
            elif isinstance(found, types.MemberDescriptorType):
                found = getattr(value, n, MISSING)
            inherited = n not in own
            seen = self.reads_all or n in self.read or callable(found)
            if found is MISSING or not seen:
                continue
            path = f"{name}.{n}" if name else n
            method = inherited and isinstance(found, types.FunctionType)
            if method or isinstance(value, Module):
                self._todo.append((path, found))  # of Modules it is known when one was set
            elif not (inherited and hasattr(type(found), "__get__")):
                self._add(path, "attribute", value, n, found)

    def reads(self, module: int, attribute: str) -> bool:
        """Tell whether code of the user may read an attribute of a Module, given its id."""
        return self.reads_all or attribute in self.read or attribute in self.called

    def memory(self) -> set[int]:
        """Return the ids of the owners of all memory that is found outside."""
        tensors = [*self._tensors]
        arrays = [array for _, array in self.arrays]
        for _, module in self.modules.values():
            arrays += [v for v in vars(module).values() if isinstance(v, np.ndarray)]
            tensors += [v for v in vars(module).values() if isinstance(v, Tensor)]
        for optimizer in self.optimizers.values():
            tensors += [p for group in optimizer.param_groups for p in group["params"]]
        return {id(root(a)) for a in (*arrays, *(t._array for t in tensors))}

    # What has changed

    def copy_arrays(self) -> None:
        """Remember the values of arrays, for `find_change`."""
        left = BUDGET
        for name, array in self.arrays:
            if array.size <= min(COPIED, left):
                left -= array.size
                self._copies.append((name, array, array.copy()))

    def find_changes(self, written: Iterable[Array] = ()) -> Iterator[Change]:
        """Yield what is no more what it was.

        Args:
            written: arrays that the function may write into.
        """
        seen: set[tuple[int, str, Any]] = set()
        for place in self._variables:
            now, at = place.read(), (id(place.owner), place.how, place.key)
            if at not in seen and not self._is_as_before(place.value, now):
                seen.add(at)
                yield Change(place.name, place, now)
        for name, value, before in self._snapshots:
            if isinstance(value, (set, deque)):
                if value != before:
                    yield Change(name, None, value)
                continue
            is_object = not isinstance(value, _CONTAINERS)
            how = "attribute" if is_object else "item"
            for key, old, new in _pairs(before, attributes(value) if is_object else value):
                if (id(value), how, key) not in seen and not self._is_as_before(old, new):
                    text = f"{name}.{key}" if is_object else name
                    yield Change(text, Place(text, how, value, key, old), new)
        roots = {id(root(a)) for a in written}
        for name, array, copy in self._copies:
            if id(root(array)) not in roots and array.tobytes() != copy.tobytes():
                yield Change(name, None, array)

    def _is_as_before(self, old: Any, new: Any) -> bool:
        """Tell whether a value is what it was, given that containers may have changed inside."""
        if old is new:
            return True
        if isinstance(old, _CONTAINERS):
            old = next((b for _, v, b in self._snapshots if v is old), old)
        return is_alike(old, new)


def _pairs(before: Any, now: Any) -> Iterator[tuple[Any, Any, Any]]:
    if isinstance(before, dict):
        for key in {**before, **now}:
            yield key, before.get(key, MISSING), now.get(key, MISSING)
    else:
        for i in range(max(len(before), len(now))):
            old = before[i] if i < len(before) else MISSING
            yield i, old, now[i] if i < len(now) else MISSING


def _find_attribute(value: Any, own: Any, name: str) -> Any:
    """Return an attribute as it stands in the object or a class, without running code."""
    if name in own:
        return own[name]
    for kind in value.__mro__ if isinstance(value, type) else type(value).__mro__:
        if name in vars(kind):
            return vars(kind)[name] if is_users(kind.__module__) else MISSING
    return MISSING


def look_around(fn: Callable[..., Any]) -> Outside:
    """Return what a function finds outside with its contents, for `find_change` later."""
    found = Outside(fn)
    found.copy_arrays()
    return found


def attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an object that matter: all but a Module's mode."""
    if isinstance(value, Module):
        return {**vars(value), "training": None, "_training": None}
    return {**vars(value)}
