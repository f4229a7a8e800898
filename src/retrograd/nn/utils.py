"""What is done with all parameters at once."""

from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from retrograd.engine import Tensor, as_array, no_grad, touch, unrecorded, wrap
from retrograd.later import load_later
from retrograd.nn.module import Module

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters",
]  # fmt: skip


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Return the gradients as Tensors."""
    if isinstance(parameters, Module):
        raise TypeError(f"pass the .parameters() of the {type(parameters).__name__}")
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [p.grad for p in given]
    return [g if isinstance(g, Tensor) else wrap(g) for g in grads if g is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:  # fmt: skip
    """Scale the gradients in place to a norm, as of one vector, of at most `max_norm`.

    Returns the norm before. `norm_type` may be `inf`. `error_if_nonfinite` raises RuntimeError.

    >>> p = rg.nn.Parameter([0.0, 0.0])
    >>> p.grad = np.array([3.0, 4.0])
    >>> rg.nn.utils.clip_grad_norm_([p], 1.0)
    Tensor(5.)
    >>> p.grad.round(3)
    array([0.6, 0.8])
    """
    grads = _gradients(parameters)
    if not grads:
        return Tensor(0.0)
    with no_grad():
        flat: Any = parameters_to_vector(grads)
        norm: Any = np.linalg.norm(flat, norm_type)
        if error_if_nonfinite and not np.isfinite(norm):
            raise RuntimeError(f"the norm of the gradients is {norm.item()}: not clipped")
        scale = np.minimum(max_norm / (norm + 1e-6), 1.0)
        for g in grads:
            g *= scale
    return cast(Tensor, norm)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Hold every element of the gradients within `clip_value` of 0, in place."""
    with no_grad():
        for g in _gradients(parameters):
            g._update(np.minimum, float(clip_value))
            g._update(np.maximum, -float(clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the parameters as one vector; gradients flow.

    >>> rg.nn.utils.parameters_to_vector(rg.nn.Linear(2, 3).parameters()).shape
    (9,)
    """
    flat: Any = [p.reshape(-1) for p in parameters]
    return cast(Tensor, np.concatenate(flat))


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Write a vector's elements into the parameters, in order.

    Raises ValueError, writing nothing, for another length.

    >>> layer = rg.nn.Linear(2, 1)
    >>> rg.nn.utils.vector_to_parameters([1.0, 2.0, 3.0], layer.parameters())
    >>> layer.bias
    Parameter([3.], requires_grad=True)
    """
    array, given = as_array(vec), list(parameters)
    *starts, total = np.cumsum([0, *(p.size for p in given)])
    if array.shape != (total,):
        raise ValueError(f"the parameters take a vector ({total},), not {array.shape}")
    unrecorded("vector_to_parameters")
    for p, start in zip(given, starts, strict=True):
        p._array[...] = array[start : start + p.size].reshape(p.shape)
        touch(p)


# It averages what an optimizer trains, and so stands in `optim`; it is found here as before.
__getattr__ = load_later(__name__, {"retrograd.optim.averaging": "AveragedModel"})
