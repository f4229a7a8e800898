"""Calls of the functions that have rules and are no ufuncs, one entry for each signature."""

from rules.cases import elementwise, linalg, picking, products, reductions, shaping

__all__ = ["elementwise", "linalg", "picking", "products", "reductions", "shaping"]
