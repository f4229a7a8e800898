"""Checks of gradients by difference quotients, and strategies to test them with.

`gradcheck` and `gradgradcheck` need NumPy alone. `gradient_property` and `strategies` need
Hypothesis, and load it on first use.
"""

from typing import TYPE_CHECKING

from retrograd.later import load_later
from retrograd.testing.check import KinkError, gradcheck, gradgradcheck

if TYPE_CHECKING:
    from retrograd.testing import strategies
    from retrograd.testing.properties import gradient_property

__all__ = ["KinkError", "gradcheck", "gradgradcheck", "gradient_property", "strategies"]

_LATER = {"properties": "gradient_property", "strategies": "strategies"}
__getattr__ = load_later(__name__, _LATER, needs="Hypothesis: pip install hypothesis")
