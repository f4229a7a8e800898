"""Gradient rules of NumPy's own functions, one module a family."""

from retrograd.rules import (
    elementwise,
    indexing,
    joining,
    linalg,
    padding,
    polynomials,
    products,
    reductions,
    scans,
    shaping,
    sorting,
    statistics,
)

__all__ = [
    "elementwise",
    "indexing",
    "joining",
    "linalg",
    "padding",
    "polynomials",
    "products",
    "reductions",
    "scans",
    "shaping",
    "sorting",
    "statistics",
]
