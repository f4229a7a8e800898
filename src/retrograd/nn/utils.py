"""What is done with all parameters of a net at once: clipping gradients, and one vector of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from retrograd.engine import Tensor, as_array, no_grad, touch, unrecorded, wrap
from retrograd.later import load_later
from retrograd.nn.memory import retain_memory
from retrograd.nn.module import Module

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from retrograd.nn.weight_norms import (
        remove_spectral_norm,
        remove_weight_norm,
        spectral_norm,
        weight_norm,
    )

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "remove_spectral_norm",
    "remove_weight_norm", "retain_memory", "spectral_norm", "vector_to_parameters", "weight_norm",
]  # fmt: skip


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Return the gradients that there are, as Tensors of the same memory."""
    if isinstance(parameters, Module):
        raise TypeError(f"pass the .parameters() of the {type(parameters).__name__}")
    tensors = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [p.grad for p in tensors]
    return [g if isinstance(g, Tensor) else wrap(g) for g in grads if g is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:  # fmt: skip
    """Scale gradients down in place, all by one factor, so that their norm is not above a bound.

    The norm is that of all gradients as one vector. Call it between `backward()` and the
    optimizer's `step()`.

    Args:
        parameters: Parameters, such as `net.parameters()`, or a single one; those without a
            gradient do not count.
        max_norm: The bound.
        norm_type: The order of the norm (default 2.0); `float("inf")` is the largest absolute
            value.
        error_if_nonfinite: Whether a norm that is not finite is an error (default False).

    Returns:
        The norm before, a Tensor `()`.

    Raises:
        RuntimeError: if the norm is not finite and `error_if_nonfinite`; nothing is scaled then.
        TypeError: for a Module, whose `.parameters()` are to be passed.

    Pascanu et al. 2013, "On the difficulty of training recurrent neural networks".

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
    """Bring every element of the gradients within a bound of 0, in place.

    Args:
        parameters: Parameters, such as `net.parameters()`, or a single one; those without a
            gradient do not count.
        clip_value: The bound.

    Raises:
        TypeError: for a Module, whose `.parameters()` are to be passed, and for complex gradients,
            whose elements are in no order.

    >>> p = rg.nn.Parameter([0.0, 0.0])
    >>> p.grad = np.array([3.0, -0.5])
    >>> rg.nn.utils.clip_grad_value_([p], 1.0)
    >>> p.grad
    array([ 1. , -0.5])
    """
    grads = _gradients(parameters)
    if any(g.dtype.kind == "c" for g in grads):
        raise TypeError(
            "clip_grad_value_ takes real gradients, complex numbers are in no order: use "
            "clip_grad_norm_"
        )
    with no_grad():
        for g in grads:
            g._update(np.minimum, float(clip_value))
            g._update(np.maximum, -float(clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return all elements of parameters as one vector, through which gradients flow.

    Args:
        parameters: Parameters, such as `net.parameters()`.

    Returns:
        A Tensor `(n,)`, the elements of each parameter in row-major order.

    Raises:
        ValueError: if there are none.

    >>> rg.nn.utils.parameters_to_vector(rg.nn.Linear(2, 3).parameters()).shape
    (9,)
    """
    flat: Any = [p.reshape(-1) for p in parameters]
    return cast(Tensor, np.concatenate(flat))


def vector_to_parameters(vec: ArrayLike | Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the elements of one vector into parameters, in order.

    Args:
        vec: A vector `(n,)`, as `parameters_to_vector` returns it.
        parameters: Parameters, such as `net.parameters()`, which have n elements together.

    Raises:
        ValueError: if the vector has another shape; nothing is written then.
        TypeError: if the vector is complex and a parameter is not; nothing is written then.

    >>> layer = rg.nn.Linear(2, 1)
    >>> rg.nn.utils.vector_to_parameters([1.0, 2.0, 3.0], layer.parameters())
    >>> layer.bias
    Parameter([3.], requires_grad=True)
    """
    array, tensors = as_array(vec), list(parameters)
    *starts, total = np.cumsum([0, *(p.size for p in tensors)])
    if array.shape != (total,):
        raise ValueError(f"the parameters take a vector ({total},), not {array.shape}")
    if array.dtype.kind == "c" and any(p.dtype.kind != "c" for p in tensors):
        raise TypeError(f"the vector is {array.dtype}, and some of the parameters are real")
    unrecorded("vector_to_parameters")
    for p, start in zip(tensors, starts, strict=True):
        p._array[...] = array[start : start + p.size].reshape(p.shape)
        touch(p)


# AveragedModel averages what an optimizer trains, and so stands in `optim`; it is found here as
# before. The others are loaded on first use.
__getattr__ = load_later(
    __name__,
    {
        "retrograd.optim.averaging": "AveragedModel",
        "retrograd.nn.weight_norms": "remove_spectral_norm remove_weight_norm spectral_norm "
        "weight_norm",
    },
)
