"""Methods of bases that no user has written, under the name of the class that was written."""

from __future__ import annotations

import types


def speak_for(cls: type, root: type, *names: str) -> None:
    """Give a class methods of its base as its own, so that Python's errors name this class.

    Args:
        cls: the class.
        root: the class that all derive from, whose methods stay where they are.
        *names: the methods.
    """
    for name in names:
        method = getattr(cls, name)
        if name in vars(cls) or method in (getattr(root, name), getattr(object, name, None)):
            continue
        own = types.FunctionType(
            method.__code__, method.__globals__, name, method.__defaults__, method.__closure__
        )
        own.__kwdefaults__, own.__doc__ = method.__kwdefaults__, method.__doc__
        own.__annotations__, own.__module__ = method.__annotations__, cls.__module__
        own.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, own)
