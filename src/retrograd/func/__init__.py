"""Derivatives of functions of trees of arrays, to any order.

A tree is an array, or a dict, list, tuple or namedtuple of trees (`rg.tree`). `grad`,
`value_and_grad`, `jacobian` and `hessian` take a function and return one; `vjp`, `jvp` and `hvp`
take a function with its arguments. All of them may stand in each other.
"""

from retrograd.func.functional import functional_call
from retrograd.func.jacobians import hessian, jacobian
from retrograd.func.recompute import checkpoint
from retrograd.func.transforms import grad, hvp, jvp, value_and_grad, vjp
from retrograd.func.trees import ravel_pytree, stop_gradient
from retrograd.later import public_names

__all__ = [
    "checkpoint", "functional_call", "grad", "hessian", "hvp", "jacobian", "jvp", "ravel_pytree",
    "stop_gradient", "value_and_grad", "vjp",
]  # fmt: skip

__dir__ = public_names(__name__)
