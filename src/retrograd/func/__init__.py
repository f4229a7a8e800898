"""Functions of functions: derivatives of a function of trees of arrays, to any order."""

# ruff: noqa: I001
from retrograd.func.transforms import (
    checkpoint, functional_call, grad, hessian, hvp, jacobian, jvp, ravel_pytree, stop_gradient,
    value_and_grad, vjp,
)  # fmt: skip

__all__ = [
    "checkpoint", "functional_call", "grad", "hessian", "hvp", "jacobian", "jvp", "ravel_pytree",
    "stop_gradient", "value_and_grad", "vjp",
]  # fmt: skip
