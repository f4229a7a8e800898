"""retrograd: reverse-mode automatic differentiation on NumPy alone.

>>> w = rg.Tensor([1.0, 2.0], requires_grad=True)
>>> loss = np.mean((w * 3 - 1) ** 2)
>>> loss.backward()
>>> w.grad
array([ 6., 15.])
"""

# ruff: noqa: I001
from typing import TYPE_CHECKING

from retrograd import autograd, nn, optim, rules
from retrograd.engine import (
    Tensor,
    defvjp,
    enable_grad,
    get_default_dtype,
    is_grad_enabled,
    no_grad,
    primitive,
    rules_later,
    set_default_dtype,
    set_grad_enabled,
)
from retrograd.later import load_later
from retrograd.nn.parameter import Parameter
from retrograd.random import manual_seed

if TYPE_CHECKING:
    # so that type checkers know them; at run time they are loaded on first use
    from retrograd import (
        data as data, func as func, special as special, testing as testing, tree as tree,
    )  # fmt: skip
    from retrograd.compiler import TraceError as TraceError, compile as compile
    from retrograd.inventory import coverage as coverage
    from retrograd.io import load as load, save as save
    from retrograd.training import evaluate as evaluate, fit as fit

__version__ = "0.1.0"
__docformat__ = "google"

# Loaded on first use, so that `import retrograd` loads only what training a small net needs.
_LATER = {
    "compiler": "TraceError compile", "data": "data", "func": "func", "inventory": "coverage",
    "io": "load save", "special": "special", "testing": "testing", "training": "evaluate fit",
    "tree": "tree",
}  # fmt: skip
__getattr__ = load_later(__name__, _LATER)
rules_later("retrograd.special.scipy_ufuncs", once="scipy.special")

__all__ = [
    "Parameter", "Tensor", "autograd", "defvjp", "enable_grad", "get_default_dtype",
    "is_grad_enabled", "manual_seed", "nn", "no_grad", "optim", "primitive", "rules",
    "set_default_dtype", "set_grad_enabled",
]  # fmt: skip
