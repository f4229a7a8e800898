"""Gradient rules of NumPy's own functions, one module a family.

What a small net needs is loaded at once, the others when a function without a rule turns up.
"""

from retrograd.registry import REST
from retrograd.rules import elementwise, indexing, joining, products, reductions

REST += ["retrograd.inventory", "retrograd.rules.linalg", "retrograd.rules.scans"]

__all__ = ["elementwise", "indexing", "joining", "products", "reductions"]
