"""Calls of the functions that have rules and are no ufuncs, one entry for each signature.

A module has the functions of the room in `retrograd.rules` that has its name.
"""

from rules.cases import (
    complexes,
    creation,
    differences,
    elementwise,
    fourier,
    indexing,
    joining,
    linalg,
    padding,
    piecewise,
    polynomials,
    products,
    rearranging,
    reductions,
    running,
    shaping,
    sorting,
    statistics,
)

__all__ = [
    "complexes", "creation", "differences", "elementwise", "fourier", "indexing", "joining",
    "linalg", "padding", "piecewise", "polynomials", "products", "rearranging", "reductions",
    "running", "shaping", "sorting", "statistics",
]  # fmt: skip
