"""Gradient rules of NumPy's own functions, one module a family.

What a small net needs is loaded at once, the others when a function without a rule turns up.
"""

import importlib

from retrograd.rules import elementwise, indexing, joining, products, reductions, shaping

REST = ("linalg", "padding", "polynomials", "refusals", "scans", "sorting", "statistics")
_loaded: list[str] = []


def load_rest() -> bool:
    """Load the rules that are not loaded yet; tell whether there were any."""
    missing = [name for name in REST if name not in _loaded]
    for name in missing:
        _loaded.append(name)
        importlib.import_module(f"retrograd.rules.{name}")
    return bool(missing)


__all__ = [
    "elementwise", "indexing", "joining", "load_rest", "products", "reductions", "shaping",
]  # fmt: skip
