"""Modules as functions of their parameters, trees as vectors, values as constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.core import Tensor, as_array, wrap
from retrograd.nn.module import Module


def functional_call(module: Module, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Return `module(*args)` as if `params` were its parameters and buffers.

    `params` has arrays or Tensors under dotted names, as `state_dict` has; what is missing stays
    as it is. The module itself is not changed. Raises KeyError for unknown names and ValueError
    for other shapes.

    >>> import numpy as np, retrograd as rg
    >>> net = rg.nn.Linear(2, 1)
    >>> params = {"weight": np.array([[1.0, 2.0]]), "bias": np.zeros(1)}
    >>> rg.func.functional_call(net, params, np.array([[3.0, 4.0]]))
    Tensor([[11.]])
    >>> loss = lambda params: np.sum(rg.func.functional_call(net, params, np.ones((5, 2))))
    >>> rg.func.grad(loss)(params)["bias"]
    Tensor([5.])
    """
    if not isinstance(module, Module):
        raise TypeError(f"functional_call takes a Module first, not {type(module).__name__}")
    if not isinstance(params, Mapping):
        raise TypeError(f"functional_call takes a dict of parameters, not {type(params).__name__}")
    places = _places(module)
    unknown = [name for name in params if name not in places]
    if unknown:
        raise KeyError(f"{type(module).__name__} has no parameter {', '.join(map(repr, unknown))}")
    swaps = []
    for name, value in params.items():
        old = places[name][0]
        given = value if isinstance(value, Tensor) else wrap(as_array(value))
        if given.shape != np.shape(old):
            raise ValueError(f"{name} has shape {np.shape(old)}, functional_call got {given.shape}")
        kept = given if isinstance(old, Tensor) else given._data
        swaps += [(owner, key, kept, old) for owner, key in places[name][1]]
    try:
        for owner, key, new, _ in swaps:
            vars(owner)[key] = new
        return module(*args, **kwargs)
    finally:
        for owner, key, _, old in swaps:
            vars(owner)[key] = old


def _places(module: Module) -> dict[str, tuple[Any, list[tuple[Module, str]]]]:
    """Return for each name the parameter or buffer, and every place where that is held."""
    held: dict[int, list[tuple[Module, str]]] = {}
    named: dict[str, Any] = {}
    for prefix, owner in module.named_modules():
        for key, value in vars(owner).items():
            if isinstance(value, Tensor) or key in owner._buffers:
                held.setdefault(id(value), []).append((owner, key))
                named[f"{prefix}.{key}" if prefix else key] = value
    return {name: (value, held[id(value)]) for name, value in named.items()}


def ravel_pytree(values: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the leaves of a tree as one vector, and the function from vectors to trees.

    The vector is a Tensor if a leaf is, and an array otherwise; so are the leaves of the tree
    that the function returns for it, with the shapes and dtypes they had. Raises TypeError for
    leaves that are not floating; the function raises ValueError for vectors of another length.

    >>> import numpy as np, retrograd as rg
    >>> vector, unravel = rg.func.ravel_pytree({"w": np.ones((2, 2)), "b": 3.0})
    >>> vector
    array([1., 1., 1., 1., 3.])
    >>> unravel(2 * vector)["b"]
    array(6.)
    """
    leaves, structure = tree.flatten(values)
    shapes, dtypes, parts = [], [], []
    for leaf in leaves:
        array = as_array(leaf)
        if array.dtype.kind != "f":
            raise TypeError(f"ravel_pytree takes floating leaves, this one is {array.dtype}")
        shapes.append(array.shape)
        dtypes.append(array.dtype)
        parts.append(leaf.reshape(-1) if isinstance(leaf, Tensor) else array.reshape(-1))
    sizes = [part.size for part in parts]
    edges = np.cumsum([0, *sizes]).tolist()
    vector = np.concatenate(parts) if parts else np.zeros(0)

    def unravel(flat: Any) -> Any:
        """Return the tree whose leaves lie one after the other in `flat`."""
        v = flat if isinstance(flat, (Tensor, np.ndarray)) else np.asarray(flat)
        if v.shape != (edges[-1],):
            raise ValueError(f"unravel takes a vector of {edges[-1]} elements, not shape {v.shape}")
        pieces = [
            v[a:b].reshape(shape).astype(dtype)
            for a, b, shape, dtype in zip(edges, edges[1:], shapes, dtypes, strict=False)
        ]
        return structure.unflatten(pieces)

    return vector, unravel


def stop_gradient(values: Any) -> Any:
    """Return a tree of values with every Tensor in it detached: constants for all derivatives.

    >>> import retrograd as rg
    >>> rg.func.grad(lambda x: x * rg.func.stop_gradient(x))(3.0)
    Tensor(3.)
    """
    return tree.map(lambda t: t.detach() if isinstance(t, Tensor) else t, values)
