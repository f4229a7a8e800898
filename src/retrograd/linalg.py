"""Linear algebra that NumPy lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import TensorLike
from retrograd.later import public_names
from retrograd.rules.axes import to_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["solve_triangular"]

__dir__ = public_names(__name__)


def solve_triangular(
    a: TensorLike, b: ArrayLike | TensorLike, *, lower: bool = False, unit_diagonal: bool = False
) -> Any:
    """Return the solution `x` of `a @ x = b` for a triangular matrix, or many of them.

    Args:
        a: the matrices, `(..., n, n)`, of which one triangle is read.
        b: `(..., n, k)`, in batches that broadcast with those of `a`; or `(n,)`, one vector.
        lower: whether the lower triangle is read, in place of the upper one.
        unit_diagonal: whether the diagonal is taken for ones, whatever is there.

    Returns:
        A Tensor of the shape of `b`, in the common batch; an array for arrays. The triangle that is
        not read has the gradient 0.

    Raises:
        LinAlgError: if there is a 0 in the diagonal, or the matrices are not square.

    It has the name and the arguments of SciPy's, which takes no Tensors.

    >>> a = np.array([[2.0, 0.0], [1.0, 4.0]])
    >>> rg.linalg.solve_triangular(a, np.array([2.0, 9.0]), lower=True)
    array([1., 2.])
    """
    matrix, right = to_array(a), to_array(b)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise np.linalg.LinAlgError(
            f"solve_triangular takes square matrices, not shape {matrix.shape}"
        )
    k = int(unit_diagonal)
    part = np.tril(matrix, -k) if lower else np.triu(matrix, k)
    if unit_diagonal:
        part = part + np.eye(matrix.shape[-1], dtype=matrix.dtype)
    return np.linalg.solve(part, right)
