"""Modules as functions of their parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retrograd.engine import Tensor, as_array, wrap
from retrograd.nn.module import Module

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def functional_call(
    module: Module, params: Mapping[str, ArrayLike | Tensor], *args: Any, **kwargs: Any
) -> Any:
    """Return `module(*args)` as if `params` were its parameters and buffers.

    So a Module is a function of its parameters, which the transforms of `rg.func` can
    differentiate. Afterwards the Module has its own parameters again, also if the call fails.

    Args:
        module: The Module to call. Nothing else may use it meanwhile, in another thread.
        params: Arrays or Tensors by the names of `state_dict`, such as "0.weight", in the shapes
            that the parameters and buffers have. One that is left out stays as it is; one that the
            Module has under several names is replaced under all of them.
        *args: The arguments of the call; or, as in PyTorch, all of them in one tuple, and then a
            dict of its keywords if need be. A single argument that is a tuple is put into one more.
        **kwargs: Its keywords.

    Returns:
        What the Module returns.

    Raises:
        TypeError: if `module` is no Module, or `params` no dict.
        KeyError: if it has no parameter or buffer of a name.
        ValueError: if one has another shape.

    >>> net = rg.nn.Linear(2, 1)
    >>> params = {"weight": np.array([[1.0, 2.0]]), "bias": np.zeros(1)}
    >>> rg.func.functional_call(net, params, np.array([[3.0, 4.0]]))
    Tensor([[11.]])
    >>> rg.func.grad(lambda p: np.sum(rg.func.functional_call(net, p, np.ones((5, 2)))))(params)
    {'weight': Tensor([[5., 5.]]), 'bias': Tensor([5.])}
    """
    if not (isinstance(module, Module) and isinstance(params, Mapping)):
        raise TypeError(
            "functional_call takes a Module first and a dict of parameters, not "
            f"{type(module).__name__} and {type(params).__name__}"
        )
    if args and isinstance(args[0], tuple) and not hasattr(args[0], "_fields"):
        if len(args) == 2 and isinstance(args[1], Mapping):
            kwargs = {**args[1], **kwargs}
            args = args[0]
        elif len(args) == 1:
            args = args[0]
    own = {**module._state(), **dict(module.named_buffers())}
    if unknown := [repr(name) for name in params if name not in own]:
        raise KeyError(f"{type(module).__name__} has no parameter {', '.join(unknown)}")
    replacements: dict[int, Any] = {}  # by the id of what each replaces
    for name, value in params.items():
        t, old = value if isinstance(value, Tensor) else wrap(as_array(value)), own[name]
        if t.shape != old.shape:
            raise ValueError(f"{name} has shape {old.shape}, functional_call got {t.shape}")
        # a buffer that is an array stays one, unless a gradient would be lost by that
        stays_tensor = isinstance(old, Tensor) or t.requires_grad
        replacements[id(old)] = t if stays_tensor else t._array
    with contextlib.ExitStack() as restored:
        for attributes in map(vars, module.modules()):
            for key in [key for key, old in attributes.items() if id(old) in replacements]:
                restored.callback(attributes.__setitem__, key, attributes[key])
                attributes[key] = replacements[id(attributes[key])]
        return module(*args, **kwargs)
