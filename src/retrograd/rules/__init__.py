"""Gradient rules of NumPy's own functions, one module a family.

What a small net needs is loaded at once, the others when a function without a rule turns up.
"""

from retrograd.registry import REST
from retrograd.rules import elementwise, indexing, joining, products, reductions, shaping

REST += [f"retrograd.rules.{name}" for name in ("linalg", "refusals", "scans", "statistics")]

__all__ = ["elementwise", "indexing", "joining", "products", "reductions", "shaping"]
