"""retrograd: reverse-mode automatic differentiation on NumPy alone.

>>> w = rg.Tensor([1.0, 2.0], requires_grad=True)
>>> loss = np.mean((w * 3 - 1) ** 2)
>>> loss.backward()
>>> w.grad
array([ 6., 15.])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from retrograd import autograd, nn, optim, rules
from retrograd.core import Parameter, Tensor, get_default_dtype, primitive, set_default_dtype
from retrograd.mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from retrograd.random import manual_seed
from retrograd.registry import defvjp

if TYPE_CHECKING:
    # so that type checkers know them; at run time they are loaded on first use
    from retrograd import data as data
    from retrograd import func as func
    from retrograd import special as special
    from retrograd import testing as testing
    from retrograd import tree as tree
    from retrograd.compiler import TraceError as TraceError
    from retrograd.compiler import compile as compile
    from retrograd.io import load as load
    from retrograd.io import save as save
    from retrograd.training import evaluate as evaluate
    from retrograd.training import fit as fit

__version__ = "0.1.0"

# Loaded on first use, so that `import retrograd` loads only what training a small net needs.
_LATER: dict[str, tuple[str, str | None]] = {
    # name: (module, attribute; None for the module itself)
    "TraceError": ("retrograd.compiler", "TraceError"),
    "compile": ("retrograd.compiler", "compile"),
    "coverage": ("retrograd.inventory", "coverage"),
    "data": ("retrograd.data", None),
    "evaluate": ("retrograd.training", "evaluate"),
    "fit": ("retrograd.training", "fit"),
    "func": ("retrograd.func", None),
    "load": ("retrograd.io", "load"),
    "save": ("retrograd.io", "save"),
    "special": ("retrograd.special", None),
    "testing": ("retrograd.testing", None),
    "tree": ("retrograd.tree", None),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'retrograd' has no attribute {name!r}")
    module, attribute = _LATER[name]
    found: Any = importlib.import_module(module)
    if attribute is not None:
        found = getattr(found, attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = [
    "Parameter",
    "Tensor",
    "autograd",
    "defvjp",
    "enable_grad",
    "get_default_dtype",
    "is_grad_enabled",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "primitive",
    "rules",
    "set_default_dtype",
    "set_grad_enabled",
]
