"""`Parameter`: a Tensor that a Module trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrograd.engine import Tensor, get_default_dtype
from retrograd.engine.tensor import copied

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


class Parameter(Tensor):
    """A leaf that a `Module` trains: assign it to an attribute of one.

    Args:
        data: anything NumPy makes an array of numbers of; the Parameter owns a copy.
        requires_grad: whether it is trained (default True).

    Raises:
        TypeError: if `data` holds no numbers, or `requires_grad` and its dtype is not
            floating.
        RuntimeError: if `data` is a Tensor with a graph, which would be lost without a word.

    >>> rg.nn.Parameter([1.0, 2.0])
    Parameter([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad)
        if not requires_grad:  # a Tensor with it has copied already
            self._array = copied(self._array)
            self._stamp = None


def new_parameter(
    shape: tuple[int, ...], dtype: DTypeLike | None = None, value: float = 0.0
) -> Parameter:
    """Return a Parameter of one value everywhere, of the default dtype unless another is given."""
    return Parameter(np.full(shape, value, dtype or get_default_dtype()))
