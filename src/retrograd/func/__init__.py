"""Functions of functions: derivatives of a function of trees of arrays, to any order."""

from retrograd.func.functional import functional_call, ravel_pytree, stop_gradient
from retrograd.func.jacobians import hessian, jacobian
from retrograd.func.recompute import checkpoint
from retrograd.func.transforms import grad, hvp, jvp, value_and_grad, vjp

__all__ = [
    "checkpoint",
    "functional_call",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "ravel_pytree",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
