"""Checks of gradients, the ones this library is tested with.

`gradcheck` and `gradgradcheck` need NumPy alone; `strategies` and `gradient_property` load
Hypothesis when they are first used.
"""

from typing import TYPE_CHECKING, Any

from retrograd.later import load_later
from retrograd.testing.check import KinkError, gradcheck, gradgradcheck

if TYPE_CHECKING:
    from retrograd.testing import strategies
    from retrograd.testing.strategies import gradient_property

__all__ = ["KinkError", "gradcheck", "gradgradcheck", "gradient_property", "strategies"]

_load = load_later(__name__, {"strategies": "strategies gradient_property"})


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        error.add_note(f"retrograd.testing.{name} needs Hypothesis: pip install hypothesis")
        raise
