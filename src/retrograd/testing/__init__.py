"""Checks of gradients, the ones this library is tested with.

`gradcheck` and `gradgradcheck` need NumPy alone; `strategies` and `gradient_property` need
Hypothesis, and load it when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from retrograd.testing.check import KinkError, gradcheck, gradgradcheck

if TYPE_CHECKING:
    from retrograd.testing import strategies
    from retrograd.testing.properties import gradient_property

_LATER = {
    # name: (module, attribute; None for the module itself)
    "strategies": ("retrograd.testing.strategies", None),
    "gradient_property": ("retrograd.testing.properties", "gradient_property"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'retrograd.testing' has no attribute {name!r}")
    module, attribute = _LATER[name]
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        error.add_note(f"retrograd.testing.{name} needs Hypothesis: pip install hypothesis")
        raise
    if attribute is not None:
        found = getattr(found, attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = ["KinkError", "gradcheck", "gradgradcheck", "gradient_property", "strategies"]
