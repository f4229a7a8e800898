"""What a user writes for the function of a call."""

from __future__ import annotations

import operator
import sys
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


def called_function(inner: FrameType) -> str:
    """Return what the user called, given the frame of the library that came of it.

    Where that is an operator or a method, it is "": the rule has the name.
    """
    name, variables = inner.f_code.co_name, inner.f_locals
    if name == "__array_function__":
        return spelled(variables["fn"])
    if name == "__array_ufunc__":
        return spelled(variables["ufunc"])
    if name == "__call__":
        return type(variables.get("self")).__name__
    return public_name(name)
