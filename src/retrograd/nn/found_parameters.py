"""What `parameters()` returns: the Parameters, or why there are none."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from retrograd.engine import Tensor
from retrograd.nn.parameter import Parameter

if TYPE_CHECKING:
    from retrograd.nn.module import Module


class FoundParameters(Iterator[Parameter]):
    """The Parameters of a Module, one after another: what `parameters()` returns.

    If there are none, it warns of what looks as if it was meant to be trained.

    Args:
        module: the Module.
        recurse: whether those of the Modules inside are found too.
    """

    def __init__(self, module: Module, recurse: bool) -> None:
        self._module = module
        self._named = module.named_parameters(recurse=recurse)
        self._is_first = True

    def __next__(self) -> Parameter:
        for _, parameter in self._named:
            self._is_first = False
            return parameter
        if self._is_first and (text := self.explain()):
            warnings.warn(text, UserWarning, stacklevel=2)
        self._is_first = False
        raise StopIteration

    def explain(self) -> str:
        """Return why there are no Parameters, where the Module has what looks like some; or ""."""
        if next(self._module.named_parameters(), None) is not None:
            return ""
        inside = {id(module) for module in self._module.modules()}
        found = [
            f"{type(module).__name__}.{name} {text}"
            for module in self._module.modules()
            for name, value in vars(module).items()
            if (text := _overlooked(value, inside))
        ]
        return f"{type(self._module).__name__} has no Parameters: {', '.join(found)}" * bool(found)


def _overlooked(value: Any, inside: set[int]) -> str:
    """Return what is to be done for what is in an attribute to be trained, or "" if nothing is."""
    if isinstance(value, Tensor) and value.dtype.kind in "fc":
        return "is a Tensor and no Parameter, write nn.Parameter(...)"
    if not isinstance(value, (list, tuple, dict, set)):
        return ""
    words = ("nn.ModuleDict", "nn.ParameterDict")
    if not isinstance(value, dict):
        words = ("nn.ModuleList", "nn.ParameterList")
    stack, kind = [value], type(value).__name__
    while stack:
        part = stack.pop()
        if hasattr(part, "named_parameters") and id(part) not in inside:
            return f"is a {kind}, in which Modules are not found, write {words[0]}(...)"
        if isinstance(part, Tensor) and part.dtype.kind in "fc":
            return f"is a {kind}, in which Parameters are not found, write {words[1]}(...)"
        if isinstance(part, dict):
            stack += part.values()
        elif isinstance(part, (list, tuple, set)):
            stack += part
    return ""
