"""What a compiled function is as a Python object: what can be compiled, methods, copies, forks."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import weakref
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

from retrograd.nn.module import Module

if TYPE_CHECKING:
    from retrograd.compiler.step import CompiledStep

_ENTRY = "_compiled_methods"  # in the `__dict__` of an instance


def check_compilable(fn: Any) -> None:
    """Raise TypeError for what is no function that returns its results when it is called."""
    if not callable(fn):
        raise TypeError(f"rg.compile takes a function or a Module, not {type(fn).__name__}")
    if isinstance(fn, type):
        raise TypeError(
            f"rg.compile takes a function or a Module, not the class {fn.__name__}: compile an "
            "instance of it, or decorate the method that computes"
        )
    inner = fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    if isinstance(inner, Module):
        inner = inner.forward
    elif not inspect.isroutine(inner):
        inner = getattr(inner, "__call__", inner)  # noqa: B004, an object with a method of its own
    kinds = {
        "an async generator": inspect.isasyncgenfunction,
        "a generator": inspect.isgeneratorfunction,
        "an async function": inspect.iscoroutinefunction,
    }
    for kind, is_one in kinds.items():
        if is_one(inner):
            name = getattr(inner, "__qualname__", inner)
            raise TypeError(
                f"rg.compile takes a function that returns its results: {name} is {kind}, whose "
                "body runs later. Compile a function of its own with what it computes, and call "
                "that inside"
            )


TARGETS = ("numpy", "c")


def check_target(target: str) -> None:
    """Raise unless programs can be computed so, here and now.

    Args:
        target: "numpy" or "c".

    Raises:
        CompilerNotFoundError: for "c", if there is no C compiler.
        ValueError: if it is neither.
    """
    if target not in TARGETS:
        raise ValueError(f'rg.compile takes target="numpy" or target="c", not {target!r}')
    if target == "c":
        from retrograd.compiler.c.build import find_compiler

        find_compiler()


class _Methods:
    """The compiled methods of one instance. They lie in the instance, and so live as long as it.

    A copy of the instance gets none: it is found out by the owner, and records anew.
    """

    __slots__ = ("by_function", "owner")

    def __init__(self, owner: Any = None) -> None:
        self.owner = owner
        self.by_function: dict[CompiledStep, CompiledStep] = {}

    def __reduce__(self) -> Any:
        return _Methods, ()


def bind_method(step: CompiledStep, instance: Any) -> CompiledStep:
    """Return a compiled method of a class as the one of an instance, the same at every look.

    Args:
        step: what stands in the class.
        instance: the `self` of its calls.

    Raises:
        TypeError: if the instance has no `__dict__` to keep its programs in.
    """
    try:
        # not by setattr: this is no change of the instance that anybody should hear of
        attributes = instance.__dict__
    except AttributeError:
        raise TypeError(
            f"the compiled method {step.__name__} cannot keep programs in a "
            f'{type(instance).__name__}, which has __slots__: add "__dict__" to them'
        ) from None
    methods = attributes.get(_ENTRY)
    if methods is None or methods.owner is not instance:
        methods = attributes[_ENTRY] = _Methods(instance)
    bound: CompiledStep | None = methods.by_function.get(step)
    if bound is None:
        bound = type(step)(MethodType(step.fn, instance), step.replay_first, step.target)
        bound.attribute = step.attribute
        methods.by_function[step] = bound
    return bound


def reduce_step(step: CompiledStep) -> Any:
    """Return how a compiled function is made again, for pickle and copies: it records anew.

    What has a place in a module is named by it, and so is a method of an instance.
    """
    fn = step.fn
    owner = getattr(fn, "__self__", None)
    if step.attribute and owner is not None:
        return getattr, (owner, step.attribute)
    name = getattr(step, "__qualname__", "")
    found: Any = sys.modules.get(getattr(step, "__module__", ""))
    for part in name.split("."):
        found = getattr(found, part, None)
    return name if found is step else (type(step), (fn, step.replay_first, step.target))


# Forks: a child has only the thread that forked, so a lock that another held is never released.

_steps: weakref.WeakSet[CompiledStep] = weakref.WeakSet()


def remember_for_forks(step: CompiledStep) -> None:
    """Let a compiled function be usable in processes that are forked from this one."""
    _steps.add(step)


def _after_fork() -> None:
    for step in list(_steps):
        step._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=_after_fork)


def takes_self(fn: Callable[..., Any]) -> bool:
    """Tell whether a function in a class body is a method of the instances."""
    if isinstance(fn, functools.partial):  # which had a `__get__` before it became a method by it
        return sys.version_info >= (3, 14)
    return hasattr(type(fn), "__get__") and not isinstance(fn, MethodType)
