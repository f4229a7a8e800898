"""Gradient rules of NumPy's own functions, one module a family."""

from retrograd.rules import elementwise, indexing, products, reductions, shaping

__all__ = ["elementwise", "indexing", "products", "reductions", "shaping"]
