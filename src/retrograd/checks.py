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


def one_of(name: str, value: Any, *choices: Any, where: str = "", verb: str = "must be") -> None:
    """Raise ValueError for a value that is none of the choices.

    Args:
        name: the argument's name.
        value: what it is.
        *choices: what it may be.
        where: the function or class that was called, or "".
        verb: what stands between the name and the choices in the message.
    """
    if not any(value is choice or value == choice for choice in choices):
        wanted = " or ".join(map(repr, choices))
        raise ValueError(f"{_of(where)}{name} {verb} {wanted}, not {value!r}")


def _of(where: str) -> str:
    return f"{where}: " if where else ""
