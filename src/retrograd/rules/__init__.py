"""Gradient rules of NumPy's own functions, one module a family.

What a small net needs is loaded at once, the rest when a function has no rule.
"""

from retrograd.registry import REST
from retrograd.rules import arithmetic, indexing, joining, products

REST += ["retrograd.inventory", "retrograd.rules.linalg", "retrograd.rules.scans"]

__all__ = ["arithmetic", "indexing", "joining", "products"]
