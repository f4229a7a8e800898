"""Derivatives of functions of trees of arrays, to any order, and functions of batches.

A tree is an array, or a dict, list, tuple or namedtuple of trees (`rg.tree`). `grad`,
`value_and_grad`, `jacobian` and `hessian` take a function and return one; `vjp`, `jvp` and `hvp`
take a function with its arguments; `vmap` makes a function of one entry one of a batch. All of
them may stand in each other.
"""

from typing import Any

from retrograd.func.functional import functional_call
from retrograd.func.jacobians import hessian, jacobian
from retrograd.func.mapping import vmap
from retrograd.func.recompute import checkpoint
from retrograd.func.transforms import grad, hvp, jvp, value_and_grad, vjp
from retrograd.func.trees import ravel_pytree, stop_gradient
from retrograd.later import public_names

__all__ = [
    "checkpoint", "functional_call", "grad", "hessian", "hvp", "jacobian", "jvp", "ravel_pytree",
    "stop_gradient", "value_and_grad", "vjp", "vmap",
]  # fmt: skip

__dir__ = public_names(__name__)


def __getattr__(name: str) -> Any:
    message = f"module {__name__!r} has no attribute {name!r}"
    if name in _OTHER_WORDS:
        message += f": write {_OTHER_WORDS[name]}"
    raise AttributeError(message)


# What others call what is written differently here.
_OTHER_WORDS = {
    "elementwise_grad": "rg.func.grad(lambda x: np.sum(f(x))), the gradient of each element of f",
    "jacrev": "rg.func.jacobian(f)", "jacfwd": "rg.func.jacobian(f)",
    "make_vjp": "rg.func.vjp(f, x)", "make_jvp": "rg.func.jvp(f, (x,), (v,))",
    "make_hvp": "rg.func.hvp(f, (x,), (v,))",
}  # fmt: skip
