"""Gradient rules of NumPy's own functions, one module a family.

What a small net needs is loaded at once, the rest when a function has no rule.
"""

from retrograd.engine import rules_later
from retrograd.rules import arithmetic, indexing, joining, products

rules_later("retrograd.inventory", "retrograd.rules.linalg", "retrograd.rules.scans")

__all__ = ["arithmetic", "indexing", "joining", "products"]
