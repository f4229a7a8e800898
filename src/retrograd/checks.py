"""Checks of arguments, each with the message that a user gets: said here once."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import Any, NoReturn

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


def per_axis(name: str, value: Any, axes: int, at_least: int) -> tuple[int, ...]:
    """Return a whole number for each axis, from one for all axes or a sequence of them.

    Raises ValueError unless there are `axes` numbers, each of at least `at_least`.
    """
    kinds = (int, np.integer)
    values: tuple[Any, ...] = (value,) * axes if isinstance(value, kinds) else tuple(value)
    if len(values) != axes or any(not isinstance(v, kinds) or v < at_least for v in values):
        raise ValueError(
            f"{name} takes {axes} whole numbers from {at_least}, or one for all, not {value!r}"
        )
    return values


def check_sizes(where: str, **values: Any) -> None:
    """Raise ValueError for a length or a count that is not a whole number of at least 1."""
    for name, value in values.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{where} takes {name} of at least 1, not {value!r}")


def check_probability(where: str, p: float) -> None:
    """Raise ValueError for a number that is not from 0 to 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"{where} takes a probability from 0 to 1, not {p}")


def check_not_negative(where: str, **values: Any) -> None:
    """Raise ValueError for a number that is below 0 or nan; None is none."""
    for name, value in values.items():
        if value is not None and not value >= 0:
            raise ValueError(f"{where} takes {name} from 0, not {value!r}")


def takes_function(where: str, fn: Any) -> None:
    """Raise TypeError unless what was given first, to the function `where`, can be called."""
    if not callable(fn):
        raise TypeError(f"{where} takes a function first, not {fn!r}")


def check_device(where: str, device: Any) -> None:
    """Raise ValueError for a device other than None and "cpu", as PyTorch's users may name one."""
    if device is not None and str(device) != "cpu":
        raise ValueError(f"{where} got device={str(device)!r}, there is no GPU here: leave it out")


def device_and_dtype(where: str, args: tuple[Any, ...], device: Any, dtype: Any) -> Any:
    """Return the dtype of a call such as `to("cpu")`, `to(dtype)` or `to("cpu", dtype)`, or None.

    Raises ValueError for another device, TypeError for more.
    """
    for arg in args:
        if _is_device(arg):
            device = arg
        elif dtype is None:
            dtype = arg
        else:
            raise TypeError(f"{where} takes a device and a dtype, not {args!r}")
    check_device(where, device)
    return dtype


def _is_device(value: Any) -> bool:
    """Tell whether a value is meant as a device, such as "cuda:0", rather than as a dtype."""
    if isinstance(value, str):
        try:
            np.dtype(value)
        except TypeError:
            return True
        return False
    return type(value).__name__ == "device"


# What others call an argument, and what it is called here.
OTHER_WORDS = {
    "dim": "axis=", "dims": "axis=", "keepdim": "keepdims=", "start_dim": "start_axis=",
    "end_dim": "end_axis=",
    "size_average": 'reduction="mean" or "sum"', "reduce": 'reduction="none", "mean" or "sum"',
    "argnum": "argnums=", "min_value": "min_val=", "max_value": "max_val=", "unbiased": "ddof=",
    "correction": "ddof=",
}  # fmt: skip


def refuse_words(where: str, words: Iterable[str], own: Collection[str] | None = None) -> NoReturn:
    """Raise TypeError for keywords that a function does not take, with what to write for them.

    Args:
        where: the function or class that was called, such as "softmax".
        words: the keywords.
        own: the names of the arguments that it takes (default: those of the calling function), of
            which alone one can be what to write.
    """
    if own is None:
        code = sys._getframe(1).f_code
        own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for word in words:
        instead = OTHER_WORDS.get(word, "")
        if instead.partition("=")[0] in own:
            raise TypeError(f"{where} has no argument {word}=: write {instead}")
    raise TypeError(f"{where}() got an unexpected keyword argument {next(iter(words))!r}")


def _of(where: str) -> str:
    return f"{where}: " if where else ""
