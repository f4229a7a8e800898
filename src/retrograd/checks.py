"""Checks of arguments, each with the message that a user gets: said here once."""

from __future__ import annotations

from typing import Any

import numpy as np


def ensure(good: bool, name: str, wanted: str, got: Any, where: str = "") -> None:
    """Raise ValueError for an argument that cannot work.

    Args:
        good: whether it can.
        name: the argument's name.
        wanted: what it must be, such as "a number from 0 to 1".
        got: what it is.
        where: the function or class that was called, such as "Linear", or "".
    """
    if not good:
        raise ValueError(f"{_of(where)}{name} must be {wanted}, not {got!r}")


def whole(where: str = "", at_least: int = 1, **values: Any) -> None:
    """Raise ValueError for a value that is not a whole number of at least `at_least`."""
    for name, value in values.items():
        good = isinstance(value, (int, np.integer)) and int(value) >= at_least
        ensure(good, name, f"a whole number of at least {at_least}", value, where)


def one_of(name: str, value: Any, *choices: Any, where: str = "") -> None:
    """Raise ValueError for a value that is none of the choices."""
    if not any(value is choice or value == choice for choice in choices):
        ensure(False, name, " or ".join(map(repr, choices)), value, where)


def takes_function(where: str, fn: Any) -> None:
    """Raise TypeError unless what was given first, to the function `where`, can be called."""
    if not callable(fn):
        raise TypeError(f"{where} takes a function first, not {fn!r}")


def _of(where: str) -> str:
    return f"{where}: " if where else ""
