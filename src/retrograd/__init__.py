"""retrograd: reverse-mode automatic differentiation on NumPy alone.

>>> w = rg.Tensor([1.0, 2.0], requires_grad=True)
>>> loss = np.mean((w * 3 - 1) ** 2)
>>> loss.backward()
>>> w.grad
array([ 6., 15.])
"""

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
from retrograd.rules.nesting import array

if TYPE_CHECKING:
    from retrograd import (
        anomaly,
        data,
        func,
        linalg,
        parallel,
        seeing,
        special,
        stats,
        testing,
        training,
        tree,
    )
    from retrograd.anomaly import AnomalyError, detect_anomaly
    from retrograd.compiler import TraceError, compile
    from retrograd.inventory import coverage
    from retrograd.io import load, save
    from retrograd.seeing import draw, explain, name, profile
    from retrograd.training import evaluate, fit

__version__ = "0.1.0"
__docformat__ = "google"

__all__ = [
    "AnomalyError", "Parameter", "Tensor", "TraceError", "anomaly", "array", "autograd",
    "compile", "coverage", "data", "defvjp", "detect_anomaly", "draw", "enable_grad", "evaluate",
    "explain", "fit", "func", "get_default_dtype", "is_grad_enabled", "linalg", "load",
    "manual_seed", "name", "nn", "no_grad", "optim", "parallel", "primitive", "profile", "rules",
    "save", "seeing", "set_default_dtype", "set_grad_enabled", "special", "stats", "testing",
    "training", "tree",
]  # fmt: skip

# Loaded on first use, so that `import retrograd` loads only what training a small net needs. The
# modules that are not in `__all__` can be had too; what is public of them is here.
__getattr__ = load_later(__name__, {
    "anomaly": "AnomalyError anomaly detect_anomaly",
    "compiler": "TraceError compile compiler", "data": "data", "func": "func",
    "inventory": "coverage inventory", "io": "io load save", "linalg": "linalg",
    "parallel": "parallel", "seeing": "draw explain name profile seeing", "special": "special",
    "stats": "stats",
    "testing": "testing", "training": "evaluate fit training", "tree": "tree",
})  # fmt: skip
rules_later("retrograd.special.scipy_ufuncs", once="scipy.special")
