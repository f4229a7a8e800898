"""What a user writes for the function of a call."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from types import FrameType

from retrograd.engine import Rule, astype, spelled


def function_name(rule: Rule) -> str:
    """Return what a user writes for the function of a rule; "" for one of the library's own."""
    if rule.fn is astype:
        return "t.astype"
    if rule.fn is operator.getitem:
        return "t[index]"
    module = getattr(rule.fn, "__module__", None) or ""
    if rule.name.startswith("np.") or not module.startswith("retrograd."):
        return rule.name
    return public_name(rule.name)


def public_name(name: str) -> str:
    """Return what a user writes for a function of the library; "" for one that is not public."""
    for home, short in (
        ("retrograd.nn.functional", "nn.functional"),
        ("retrograd.special", "special"),
    ):
        if name in getattr(sys.modules.get(home), "__all__", ()):
            return f"{short}.{name}"
    return ""


def called_function(user: FrameType) -> str:
    """Return what the user called in a frame, through which the present call of a function came.

    Where that is an operator or a method, it is "": the rule has the name.
    """
    return next(reversed([*_callers(user)]), "")


def caller_in_library(user: FrameType) -> str:
    """Return the innermost function or Module that a user knows around the present call, or "".

    It names what a function of the library's own is a part of, such as `nn.functional.conv2d`.
    """
    return next((name for name in _callers(user) if name), "")


def _callers(user: FrameType) -> Iterator[str]:
    """Yield what a user writes for each frame inside of the user's, the innermost first, or ""."""
    frame = sys._getframe(1)
    while frame is not None and frame is not user:
        yield _name_of(frame)
        frame = frame.f_back  # type: ignore[assignment]


def _name_of(frame: FrameType) -> str:
    """Return what a user writes for a function of the library that is running, or ""."""
    name, variables = frame.f_code.co_name, frame.f_locals
    if name == "__array_function__":
        return spelled(variables["fn"])
    if name == "__array_ufunc__":
        return spelled(variables["ufunc"])
    if name in ("__call__", "forward"):
        return type(variables["self"]).__name__ if "self" in variables else ""
    return public_name(name)
