"""The affine map, and what goes round it."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from retrograd.core import Tensor, primitive
from retrograd.mode import MODE
from retrograd.registry import defvjp
from retrograd.rules.indexing import put_taken


@primitive
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """Return `input @ weight.T + bias`: `(..., in)`, `(out, in)` and `(out,)` give `(..., out)`.

    Raises ValueError where the shapes do not fit.

    >>> F.linear(np.ones((2, 3)), np.ones((1, 3)), np.ones(1))
    array([[4.],
           [4.]])
    """
    try:
        outputs, _ = weight.shape
        if outputs < 16 and input.ndim == 2:
            # a short last axis is NumPy's slow case: compute the transpose and look at it sideways
            out = weight.dot(input.T).T
        else:
            out = np.matmul(input, weight.T)
    except ValueError:
        raise ValueError(
            f"linear takes input (..., in) and weight (out, in); got input {input.shape} and "
            f"weight {weight.shape}"
        ) from None
    return out if bias is None else out + bias


@functools.lru_cache(maxsize=64)
def ones(n: int, dtype: Any, values: tuple[float, ...] = (1,)) -> Any:
    """Return a constant vector of n ones, to sum by a product, or n of each value."""
    vector = np.repeat(np.array(values, dtype), n)
    vector.flags.writeable = False
    return vector


def _dx(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim == 2 and weight.shape[1] < 16:
        return weight.T.dot(g.T).T
    return np.matmul(g, weight)


def _dw(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim != 2:
        g, input = g.reshape((-1, g.shape[-1])), input.reshape((-1, input.shape[-1]))
    return g.T.dot(input)


def _db(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim != 2:
        g = g.reshape((-1, g.shape[-1]))
    return np.dot(ones(len(g), g.dtype), g)  # faster than a sum


defvjp(linear, _dx, _dw, _db)


def flatten(input: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Return `input` with the axes from `start_axis` to `end_axis` made one.

    >>> F.flatten(np.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    shape, axes = input.shape or (1,), input.ndim or 1
    start, end = start_axis % axes, end_axis % axes
    if start > end:
        raise ValueError(f"flatten from axis {start_axis} to {end_axis} of {axes} axes")
    return input.reshape((*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(input: Any, axis: int, sizes: tuple[int, ...]) -> Any:
    """Return `input` with `axis` made several of these lengths; one may be -1.

    Raises ValueError unless they multiply to its length.

    >>> F.unflatten(np.ones((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    shape, at = input.shape, axis % input.ndim
    try:
        sizes = np.empty(shape[at], bool).reshape(sizes).shape
    except ValueError:
        raise ValueError(f"unflatten of axis {axis}, length {shape[at]}, into {sizes}") from None
    return input.reshape((*shape[:at], *sizes, *shape[at + 1 :]))


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Return the rows of `weight` `(V, D)` that `input` numbers: `(...)` gives `(..., D)`.

    The row `padding_idx` gets no gradient. Raises TypeError unless the numbers are integers, and
    IndexError unless they are rows.

    >>> F.embedding(np.array([2, 0]), np.array([[1.0], [2.0], [3.0]]))
    array([[3.],
           [1.]])
    """
    if input.dtype.kind not in "iu":
        raise TypeError(f"embedding takes row numbers as integers, not {input.dtype}")
    if weight.ndim != 2:
        raise ValueError(f"embedding takes a weight (rows, features), not {weight.shape}")
    return rows(input, weight, skip=None if padding_idx is None else padding_idx % len(weight))


@primitive(looks_through=False)
def rows(index: Any, table: Any, skip: int | None = None) -> Any:
    """Return rows of the table; the row `skip` gets no gradient."""
    if index.size and index.min() < 0:
        raise IndexError(f"embedding got row number {index.min()}")
    return np.take(table, index, axis=0)


def _rows_dw(g: Any, out: Any, index: Any, table: Any, skip: int | None = None) -> Any:
    if skip is not None:
        g = np.where((index == skip)[..., None], 0.0, g)
    return put_taken(g, index, 0, table.shape, "raise")


defvjp(rows, None, _rows_dw)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Return integers `(..., num_classes)`: 1 at the class number, 0 elsewhere.

    There are by default as many classes as the largest number says. Raises ValueError unless the
    numbers are classes.

    >>> F.one_hot(np.array([1, 0]), 3)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot takes class numbers as integers, not {tensor.dtype}")
    if num_classes == -1:
        if not tensor.size:
            raise ValueError("one_hot of nothing: num_classes must be given")
        num_classes = int(tensor.max()) + 1
    known = MODE.get().tape is None and tensor.size
    if known and not 0 <= int(tensor.min()) <= int(tensor.max()) < num_classes:
        raise ValueError(f"one_hot takes class numbers from 0 to {num_classes - 1}")
    return (tensor[..., None] == np.arange(num_classes)).astype(np.int64)
