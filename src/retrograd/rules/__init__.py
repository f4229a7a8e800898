"""Gradient rules of NumPy's own functions, one module a family.

What a small net needs is loaded at once, the others when a function without a rule turns up.
"""

from retrograd.registry import REST
from retrograd.rules import elementwise, indexing, joining, products, reductions, shaping

for _name in ("linalg", "padding", "polynomials", "refusals", "scans", "sorting", "statistics"):
    REST.append(f"retrograd.rules.{_name}")

__all__ = ["elementwise", "indexing", "joining", "products", "reductions", "shaping"]
