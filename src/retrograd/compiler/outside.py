"""What a function finds outside: the variables it names, and whether a run changes them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from retrograd.nn.module import Module

_CONTAINERS = (dict, list, set)


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


def look_around(fn: Callable[..., Any]) -> dict[str, tuple[Any, dict[Any, Any]]]:
    """Return what a function finds outside with its contents, for `find_change` later."""
    return {name: (value, contents(value)) for name, value in _around(fn).items()}


def _around(fn: Callable[..., Any]) -> dict[str, Any]:
    found = surroundings(fn)
    owner = fn if isinstance(fn, Module) else getattr(fn, "__self__", None)
    return found if owner is None else {**found, "self": owner}


def contents(value: Any) -> dict[Any, tuple[Any, Any]]:
    """Return each part that a function may change of something outside, with a mark to compare.

    The part itself is held, so that the ids among the marks stay its own.
    """
    if isinstance(
        value, Module
    ):  # a guard sees attributes that are set: here are those that change within
        inside = [v for m in value.modules() for v in vars(m).values()]
        return {id(v): (len(v), v) for v in inside if isinstance(v, _CONTAINERS)}
    if isinstance(value, dict):
        return {len: (len(value), None), **{k: (_mark(v), v) for k, v in value.items()}}
    if isinstance(value, (list, set)):
        return {len: (len(value), None), **{i: (_mark(v), v) for i, v in enumerate(value)}}
    package = type(value).__module__.split(".")[0]
    if callable(value) or package in ("builtins", "numpy", "retrograd"):
        return {}
    return {f".{k}": (_mark(v), v) for k, v in getattr(value, "__dict__", {}).items()}


def _mark(value: Any) -> Any:
    if isinstance(value, _CONTAINERS):
        return len(value)
    if isinstance(value, (int, float, str)):
        return value if value == value else None
    return id(value)


def find_change(before: dict[str, tuple[Any, dict[Any, Any]]], fn: Callable[..., Any]) -> str:
    """Return the name of what is no more what it was in an earlier look, or ""."""
    after = _around(fn)
    for name, (value, parts) in before.items():
        if after.get(name, value) is not value:
            return name
        now = contents(value)
        for key, (mark, _) in parts.items():
            if key in now and now[key][0] != mark:
                return f"{name}{key}" if isinstance(key, str) and key[:1] == "." else name
    return ""


def attributes(module: Any) -> dict[str, Any]:
    """Return the attributes of a Module that a program depends on: all but its mode."""
    return {**vars(module), "training": None, "_training": None}
