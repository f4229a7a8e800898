"""What a function finds outside, seen by a walk through its code and what the code names.

The walk begins at the function and goes on through the user's functions and methods that it may
call, and through the containers and objects that these name. It answers two questions: where the
function reads (`Outside.places`), which guards watch, and what it may change: see `changes`.
"""

from __future__ import annotations

import builtins
import contextlib
import contextvars
import functools
import io
import operator
import os
import random
import sys
import threading
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from retrograd.compiler.codes import Scan, names_read_by, scan
from retrograd.compiler.containers import CONTAINERS, ENTRIES, VIEWS, find_entries
from retrograd.compiler.ir import root
from retrograd.compiler.library import Library
from retrograd.compiler.members import Member, Names, find_members
from retrograd.compiler.places import (
    MISSING,
    PLAIN,
    Place,
    WeakPlace,
    is_compiled,
    is_users,
    is_users_object,
)
from retrograd.engine import Array, Tensor
from retrograd.nn.module import Module

PLACES = 2000  # so many are watched in all, and of containers that come later the length
# methods that no expression calls, and those that only making an object does
_SILENT = {"__del__", "__reduce__", "__getstate__", "__setstate__"}
_TEXTS = {"__repr__", "__str__", "__format__"}  # which only those call that make text of objects
_MAKING = {"__init__", "__new__", "__post_init__"}
RANDOM = (np.random.Generator, np.random.RandomState, random.Random)
# of objects of their classes, such as a polynomial or a template, all attributes are watched
OPENED = {"numpy", "scipy", "configparser", "string"}
_ENVIRONMENT = {"environ", "getenv", "environb", "getenvb"}
_GETTERS = (operator.attrgetter, operator.methodcaller)


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


class Outside:
    """What a function finds outside, as it is now.

    Args:
        fn: the function, a bound method or a Module.
        given: what it is called with besides arrays: objects and functions, with their names.

    Attributes:
        places: where it reads.
        arrays: the arrays among that, with their names.
        modules: the Modules, and those inside them, by id: their names and themselves.
        optimizers: the optimizers, by id.
        library: what it may call of libraries.
        named: the names in its code, of variables and of attributes.
        read: the names of attributes that its code reads.
        sets: the names of attributes that it sets or deletes.
        reads_all: whether its code asks for attributes by names that are computed.
        asks_kinds: whether its code asks what kind of object something is.
        containers: dicts, lists, sets and what is like them, with their names.
        objects: objects of the user's classes, and functions that have attributes, likewise.
        tensors: the Tensors.
        generators: generators of random numbers, with their names.
        iterators: iterators, likewise.
        caches: functions that keep what they returned, likewise.
        variables: the places among all that are no entries of containers, and the global
            variables that it sets.
    """

    def __init__(self, fn: Callable[..., Any], given: Iterable[tuple[str, Any]] = ()) -> None:
        if type(fn).__module__.startswith("retrograd.compiler."):
            given = (*given, *getattr(fn, "given", ()))
            fn = getattr(fn, "__wrapped__", fn)  # it reads what the inner one reads
        self.places: list[Place] = []
        self.arrays: list[tuple[str, Array]] = []
        self.modules: dict[int, tuple[str, Module]] = {}
        self.optimizers: dict[int, Any] = {}
        self.read: set[str] = {"forward", "backward", "update"}
        self.called: set[str] = set()
        self.named: set[str] = set()
        self.sets: set[str] = set()
        self.library = Library()
        self.reads_all = False
        self.asks_kinds = False
        self._formats = False
        self._uses_super = False
        self._is_decorated = False  # by a function of NumPy's, such as np.errstate
        self._seen: dict[int, Any] = {}  # what was visited, by id; held so that ids stay
        self._todo: deque[tuple[str, Any]] = deque()
        self.containers: list[tuple[str, Any]] = []
        self.objects: list[tuple[str, Any]] = []
        self.tensors: list[tuple[str, Tensor]] = []
        self.generators: list[tuple[str, Any]] = []
        self.iterators: list[tuple[str, Any]] = []
        self.caches: list[tuple[str, Any]] = []
        self.variables: list[Place] = []
        self._counted: set[int] = set()
        self._weakly: dict[int, weakref.ref[Any]] = {}  # to objects found by them alone, by id
        self._placed: set[tuple[int, str, Any]] = set()
        if isinstance(fn, Module):
            self._todo.append(("self", fn))
        else:
            self._todo.append(("", fn))
        self._todo += given
        self._walk()

    def _walk(self) -> None:
        looked: set[tuple[str, bool]] = set()
        while True:
            while self._todo:
                self._visit(*self._todo.popleft())
            if id(os) in self._seen and not _ENVIRONMENT.isdisjoint(self.read | self.called):
                self._visit_environment()
            self._todo += self.library.look_for(self.read | self.called)
            names = {(n, True) for n in self.read} | {(n, False) for n in self.called - self.read}
            names |= {("*", True)} if self.reads_all else set()
            if self._formats and ("text", True) not in looked:
                looked.add(("text", True))
                for _, value in self.objects:
                    self._visit_texts(value)
            if names <= looked and not self._todo:
                return
            looked |= names
            for name, value in self.objects:
                self._look_at_attributes(name, value)

    def _add(self, name: str, how: str, owner: Any, key: Any, value: Any) -> None:
        """Take note of a place, and visit what is there."""
        self._watch(Place(name, how, owner, key, value))
        self._todo.append((name, value))

    def _watch(self, place: Place) -> None:
        """Take note of a place, once."""
        how, value = place.how, place.value
        at = id(place.owner), how, place.key
        if at in self._placed:
            return
        self._placed.add(at)
        # by the type: a proxy of what is gone knows no class
        known = issubclass(type(value), types.ModuleType) and not is_users(value.__name__)
        if not known:
            self.places.append(place)
            if how in ("variable", "cell", "attribute", "context"):
                self.variables.append(place)

    def _visit(self, name: str, value: Any) -> None:
        if type(value) in weakref.ProxyTypes:
            with contextlib.suppress(ReferenceError):
                self._todo.append((name, weakref.ref(value.__dir__.__self__)))
            return
        if isinstance(value, PLAIN) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if value is os.environ or value is os.getenv:
            self._visit_environment()
        elif isinstance(value, types.FunctionType):
            if is_users(value.__module__) or not name:
                self._visit_function(value)
        elif isinstance(value, types.MethodType):
            self._todo.append(("self" if not name else name.rpartition(".")[0], value.__self__))
            self._todo.append((name, value.__func__))
        elif isinstance(value, functools.partial):
            self._todo += [(name, part) for part in (value.func, *value.args)]
            self._todo.append((f"{name}.keywords", value.keywords))
        elif isinstance(value, (np.ndarray, Tensor)):
            if isinstance(value, np.ndarray):
                self.arrays.append((name, value))
                if value.dtype == object and value.size <= ENTRIES:
                    self._todo += [(f"{name}[{i}]", v) for i, v in enumerate(value.flat)]
            else:
                self.tensors.append((name, value))  # its array is watched where a program reads it
            if is_users_object(value):
                self._visit_object(name, value)
        elif isinstance(value, (*CONTAINERS, tuple, frozenset)):
            self._visit_container(name, value)
        elif isinstance(value, VIEWS):
            self._todo.append((name, value.mapping))  # type: ignore[attr-defined]
        elif isinstance(value, memoryview):
            self._todo.append((name, value.obj))
        elif isinstance(value, threading.local):
            self._visit_object(name, value)
        elif isinstance(value, RANDOM):
            self.generators.append((name, value))
        elif is_compiled(value):
            self._todo.append((name, value.fn))
        elif isinstance(value, Module):
            self._visit_module(name, value)
        elif hasattr(type(value), "add_param_group"):
            self.optimizers[id(value)] = value
            if is_users_object(value):
                self._visit_object(name, value)
        elif value is random:
            self.generators.append(("random", random.getstate.__self__))  # type: ignore[attr-defined]
        elif isinstance(value, types.ModuleType):
            if is_users(value.__name__):
                self._visit_object(name, value)
            else:
                self.library.add(name, value)
        elif isinstance(value, type):
            if is_users(value.__module__):
                self._visit_object(name, value)
        elif is_users_object(value):
            self._visit_object(name, value)
        elif type(value).__module__.partition(".")[0] in OPENED:
            for n, part in getattr(value, "__dict__", {}).items():
                self._add(f"{name}.{n}", "attribute", value, n, part)
        elif isinstance(value, threading.Event):
            self._add(f"{name}._flag", "attribute", value, "_flag", value._flag)  # type: ignore[attr-defined]
        elif isinstance(value, weakref.ref):
            self._watch(Place(f"{name}()", "alive", value, None, value() is not None))
            found = value()
            if found is not None and id(found) not in self._seen:
                self._weakly[id(found)] = value
                self._todo.append((name, found))
        elif isinstance(value, contextvars.ContextVar):
            self._add(name, "context", value, None, value.get(MISSING))
        elif isinstance(value, _GETTERS):
            names = (n for n in value.__reduce__()[1] if isinstance(n, str))
            self.read.update(part for n in names for part in n.split("."))
        elif hasattr(value, "__wrapped__"):
            self.caches += [(name, value)] if hasattr(value, "cache_clear") else []
            self._todo.append((name, value.__wrapped__))
        elif isinstance(value, Iterator) and not isinstance(value, io.IOBase):
            self.iterators.append((name, value))

    def _visit_function(self, fn: types.FunctionType) -> None:
        found: Scan = scan(fn.__code__)
        self.read |= found.read
        self.called |= found.called
        self.sets |= found.sets
        self.named |= found.variables | found.read | found.called
        self.asks_kinds |= found.asks_kinds
        self._formats |= found.formats
        self._uses_super |= "super" in found.variables
        self.reads_all |= found.reads_all
        scope, name = fn.__globals__, fn.__name__
        for option in ("__code__", "__defaults__", "__kwdefaults__"):
            if (value := getattr(fn, option)) is not None:
                place = Place(f"{name}.{option}", "attribute", fn, option, value)
                self.places.append(place)
        if fn.__dict__:
            self.objects.append((name, fn))
            self._look_at_attributes(name, fn)
        self._is_decorated |= str(scope.get("__name__")).startswith("numpy.")
        if not is_users(scope.get("__name__")):  # made by a decorator, which keeps what it reads
            self._todo += [(f"{name}.{n}", value) for n, value in fn.__dict__.items()]
        for module in found.modules:
            for full in (module, f"{scope.get('__package__')}.{module}"):
                if full in sys.modules:
                    self._todo.append((full, sys.modules[full]))
        for n in found.variables:
            if n in scope or not (hasattr(builtins, n) or found.names_as_text):
                self._add(n, "variable", scope, n, scope.get(n, MISSING))
        for n in found.stored:
            value = scope.get(n, MISSING)
            self.variables.append(Place(n, "variable", scope, n, value))
        for n, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            place = Place(n, "cell", cell, None, MISSING)
            self._add(n, "cell", cell, None, place.read())  # it may have no value yet
        arguments = fn.__code__.co_varnames[: fn.__code__.co_argcount]
        defaults = fn.__defaults__ or ()
        self._todo += zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True)
        self._todo.append((name, fn.__kwdefaults__))

    def _visit_container(self, name: str, value: Any) -> None:
        if not isinstance(value, (tuple, frozenset)):
            self.containers.append((name, value))
        self._take(find_entries(name, value, len(self.places) <= PLACES))
        if is_users_object(value):
            self._visit_object(name, value)

    def let_go(self) -> None:
        """Keep what conditions are made of alone, and nothing that only weak references have."""
        seen = (self.objects, self.containers, self.iterators, self.caches, self.generators)
        for found in (self._seen, self.variables, *seen):
            found.clear()
        for i, place in enumerate(self.places):
            if id(place.owner) in self._weakly:
                self.places[i] = WeakPlace(self._weakly[id(place.owner)], place)
        self._weakly.clear()

    def _visit_environment(self) -> None:
        variables = getattr(os.environ, "_data", os.environ)  # which is compared much faster
        if id(variables) not in self._seen:
            self._seen[id(variables)] = variables
            self.containers.append(("os.environ", variables))
            self.places.append(Place("os.environ", "content", variables, None, {**variables}))

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
        self.objects.append((name, value))
        if hasattr(value, "__dict__") and not isinstance(value, (type, types.ModuleType, Module)):
            own = value.__dict__  # one that it had not may hide what its class has
            self._add(f"vars({name})", "length", own, None, len(own))
        kind = type(value)
        if is_users(kind.__module__) and not isinstance(value, (type, Module)):
            self._watch(Place(f"{name}.__class__", "class", value, None, kind))
        for kind in value.__mro__ if isinstance(value, type) else type(value).__mro__:
            if is_users(kind.__module__):
                if id(kind) not in self._counted:  # it may get an attribute that it had not
                    self._counted.add(id(kind))
                    count = len(vars(kind))
                    self._add(f"vars({kind.__name__})", "length", vars(kind), None, count)
                for n, f in vars(kind).items():
                    skipped = n in _SILENT or (n in _MAKING and not isinstance(value, type))
                    skipped |= n in _TEXTS and not self._formats
                    if n[:2] == "__" and isinstance(f, types.FunctionType) and not skipped:
                        self._todo.append((n, f))
                        if n == "__call__":
                            self._watch(Place(f"{kind.__name__}.{n}", "in class", kind, n, f))
        self._look_at_attributes(name, value)

    def _visit_texts(self, value: Any) -> None:
        for kind in value.__mro__ if isinstance(value, type) else type(value).__mro__:
            if is_users(kind.__module__):
                self._todo += [(n, vars(kind)[n]) for n in _TEXTS if n in vars(kind)]

    def _look_at_attributes(self, name: str, value: Any) -> None:
        names = Names(self.read, self.called, self.reads_all, self._uses_super)
        self._take(find_members(name, value, names))

    def _take(self, members: Iterable[Member]) -> None:
        """Take note of where attributes and entries are watched, and visit them."""
        for member in members:
            if member.place is not None:
                self._watch(member.place)
            self._todo.append((member.name, member.value))

    @property
    def sets_errors(self) -> bool:
        """Whether its code may set how NumPy takes errors in values."""
        names = {"errstate", "seterr"}
        direct = id(np.errstate) in self._seen or id(np.seterr) in self._seen
        return direct or self._is_decorated or not names.isdisjoint(self.read | self.called)

    def reads(self, module: Module, attribute: str) -> bool:
        """Tell whether code may read an attribute of a Module: the user's, or that of its class."""
        if self.reads_all or attribute in self.read or attribute in self.called:
            return True
        # what a Module has in it, it may also call by its number or name
        value = vars(module).get(attribute)
        return isinstance(value, (Module, Tensor)) or attribute in names_read_by(type(module))

    def memory(self) -> set[int]:
        """Return the ids of the owners of all memory that is found outside."""
        tensors = [t for _, t in self.tensors]
        arrays = [array for _, array in self.arrays]
        for _, module in self.modules.values():
            arrays += [v for v in vars(module).values() if isinstance(v, np.ndarray)]
            tensors += [v for v in vars(module).values() if isinstance(v, Tensor)]
        for optimizer in self.optimizers.values():
            tensors += [p for group in optimizer.param_groups for p in group["params"]]
        return {id(root(a)) for a in (*arrays, *(t._array for t in tensors))}


def attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an object that matter; of a Module its class, not its mode."""
    if isinstance(value, Module):
        return {**vars(value), "training": None, "_training": None, "__class__": type(value)}
    return {**vars(value)}
