"""What the code of a function names: variables outside, and attributes of whatever it has."""

from __future__ import annotations

import dis
import types
import weakref
from dataclasses import dataclass, field

# by these, code asks for attributes whose names it computes
_DYNAMIC = {"getattr", "vars", "__dict__", "attrgetter", "__getattribute__"}

# by these for modules, likewise
_IMPORTS = {"import_module", "__import__", "modules"}
_KINDS = {
    "isinstance", "issubclass", "type", "hasattr", "getattr", "callable", "__class__", "isscalar",
    "iterable", "AttributeError", "TypeError",
}  # fmt: skip
_COMPARING = {"__eq__", "__lt__", "__le__", "__gt__", "__ge__"}  # which ask for each other's kind
_TEXTS = {"str", "repr", "format"}
_SCOPES = {"globals", "locals", "eval", "exec"}  # by these for variables, with names as text


@dataclass(slots=True, weakref_slot=True)
class Scan:
    """What is named in the code of a function, and of the functions defined in it.

    Args:
        variables: the global variables that it reads.
        stored: the global variables that it sets.
        read: the attributes that it reads.
        called: the attributes that it calls as methods.
        sets: the attributes that it sets or deletes.
        modules: the modules that it imports.
        names_as_text: whether it asks for variables by names that are text, as `globals` does.
        reads_all: whether it asks for attributes by names that are computed.
        asks_kinds: whether it asks what kind of object it has, as `isinstance` does.
        formats: whether it makes text of objects.
    """

    variables: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    names_as_text: bool = False
    reads_all: bool = False
    asks_kinds: bool = False
    formats: bool = False


_known: weakref.WeakKeyDictionary[types.CodeType, Scan] = weakref.WeakKeyDictionary()


def scan(code: types.CodeType) -> Scan:
    """Return what a code object names; it is looked through once."""
    found = _known.get(code)
    if found is None:
        found = Scan()
        _add(code, found)
        _known[code] = found
    return found


def _add(code: types.CodeType, found: Scan) -> None:
    for step in dis.get_instructions(code):
        name, at = step.opname, step.argval
        if name in ("LOAD_GLOBAL", "LOAD_NAME"):
            found.variables.add(at)
        elif name in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            found.stored.add(at)
        elif name == "LOAD_METHOD" or (name == "LOAD_ATTR" and "NULL|self" in step.argrepr):
            found.called.add(at)
        elif name in ("LOAD_ATTR", "LOAD_SUPER_ATTR", "IMPORT_FROM"):
            found.read.add(at)
        elif name in ("STORE_ATTR", "DELETE_ATTR"):
            found.sets.add(at)
        elif name == "IMPORT_NAME":
            found.modules.add(at)
        found.asks_kinds |= name == "MATCH_CLASS"
        found.formats |= name in ("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC")
    texts = {text for text in code.co_consts if isinstance(text, str)}
    if not _SCOPES.isdisjoint(code.co_names):
        found.names_as_text = True
        found.variables |= texts
    if not _IMPORTS.isdisjoint(code.co_names):
        found.modules |= texts
    found.read |= texts if "hasattr" in code.co_names else set()
    found.sets |= texts if {"setattr", "delattr"} & {*code.co_names} else set()
    if code.co_name not in _COMPARING:
        found.asks_kinds |= not _KINDS.isdisjoint(code.co_names)
    found.formats |= not _TEXTS.isdisjoint(code.co_names)
    found.reads_all |= not _DYNAMIC.isdisjoint(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            _add(inner, found)


_of_classes: weakref.WeakKeyDictionary[type, frozenset[str]] = weakref.WeakKeyDictionary()


def names_read_by(kind: type) -> frozenset[str]:
    """Return the attributes that the methods of a class and of those it is made of read or call."""
    found = _of_classes.get(kind)
    if found is None:
        names = set[str]()
        for value in (v for base in kind.__mro__ for v in vars(base).values()):
            for part in (value, *(getattr(value, name, None) for name in ("fget", "__func__"))):
                code = getattr(part, "__code__", None)
                if isinstance(code, types.CodeType):
                    names |= scan(code).read | scan(code).called
        found = _of_classes[kind] = frozenset(names)
    return found
