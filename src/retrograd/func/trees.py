"""Trees of arrays as one vector, and as constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from retrograd import tree
from retrograd.engine import Tensor, as_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

T = TypeVar("T")


def ravel_pytree(values: Any) -> tuple[Any, Callable[[ArrayLike | Tensor], Any]]:
    """Return the leaves of a tree as one vector, and the function from vectors to such trees.

    It is for functions that take a vector, such as the minimizers of SciPy.

    Args:
        values: A tree (nested dicts, lists, tuples) of floats, floating arrays or Tensors.

    Returns:
        The vector and the function that undoes it. The vector has an element for each element of
        the leaves, in the order of `rg.tree.leaves`; it is a Tensor, through which gradients flow,
        if a leaf is one, and else an array. The function takes an array or Tensor of that length
        and returns the tree, its leaves with the shapes and dtypes that they had; it raises
        ValueError for any other length.

    Raises:
        TypeError: if a leaf is not floating, or some are complex and others are not.

    >>> vector, unravel = rg.func.ravel_pytree({"w": np.ones((2, 2)), "b": 3.0})
    >>> vector
    array([1., 1., 1., 1., 3.])
    >>> unravel(2 * vector)["b"]
    array(6.)
    """
    leaves, structure = tree.flatten(values)
    leaves = [leaf if isinstance(leaf, Tensor) else as_array(leaf) for leaf in leaves]
    like = [(leaf.shape, leaf.dtype) for leaf in leaves]  # alone, not to keep the arrays
    for _, dtype in like:
        if dtype.kind not in "fc":
            raise TypeError(f"ravel_pytree takes floating leaves, this one is {dtype}")
    if len({dtype.kind for _, dtype in like}) > 1:
        raise TypeError(
            "ravel_pytree takes leaves that are all real or all complex: take the real and "
            "imaginary parts of these as leaves of their own"
        )
    ends = np.cumsum([leaf.size for leaf in leaves], dtype=int)
    vector = np.concatenate([leaf.reshape(-1) for leaf in leaves] or [np.zeros(0)])
    size = vector.size

    def unravel(flat: ArrayLike | Tensor) -> Any:
        v = flat if isinstance(flat, Tensor) else np.asarray(flat)
        if v.shape != (size,):
            raise ValueError(f"unravel takes a vector of {size} elements, not shape {v.shape}")
        # the last part, behind the last end, is empty
        parts = zip(np.split(v, ends), like, strict=False)
        return structure.unflatten([v.reshape(shape).astype(dtype) for v, (shape, dtype) in parts])

    return vector, unravel


def stop_gradient(values: T) -> T:
    """Return a tree with its Tensors detached: a constant for all derivatives.

    Args:
        values: A tree (nested dicts, lists, tuples) of anything.

    Returns:
        The tree with a Tensor that does not require grad in place of each Tensor, of which it
        shares the memory. All other leaves are the same objects.

    >>> rg.func.grad(lambda x: x * rg.func.stop_gradient(x))(3.0)
    Tensor(3.)
    """
    constant: T = tree.map(lambda t: t.detach() if isinstance(t, Tensor) else t, values)
    return constant
