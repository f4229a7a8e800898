"""The affine map, and what goes round it."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from retrograd.core import Tensor, primitive
from retrograd.mode import MODE
from retrograd.registry import defvjp


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
def ones(n: int, dtype: Any) -> Any:
    """Return a constant vector of ones, to sum by a product."""
    vector = np.ones(n, dtype)
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
    return g.T.dot(ones(len(g), g.dtype))  # faster than a sum


defvjp(linear, _dx, _dw, _db)


def flatten(input: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Return `input` with the axes from `start_axis` to `end_axis` made one.

    >>> rg.nn.functional.flatten(rg.Tensor(np.ones((2, 3, 4))), 1).shape
    (2, 12)
    """
    if not input.ndim:
        return input.reshape(1)
    start, end = start_axis % input.ndim, end_axis % input.ndim
    if start > end:
        raise ValueError(f"flatten from axis {start_axis} to {end_axis} of {input.ndim} axes")
    shape = input.shape
    joined = math.prod(shape[start : end + 1])
    return input.reshape((*shape[:start], joined, *shape[end + 1 :]))


def unflatten(input: Any, axis: int, sizes: tuple[int, ...]) -> Any:
    """Return `input` with the one `axis` made several of these lengths; one may be -1.

    Raises ValueError where they do not multiply to its length.

    >>> F.unflatten(np.ones((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    at, length = axis % input.ndim, input.shape[axis]
    known = math.prod(n for n in sizes if n != -1)
    if sizes.count(-1) == 1 and known > 0 and not length % known:
        sizes = tuple(length // known if n == -1 else n for n in sizes)
    if math.prod(sizes) != length or -1 in sizes:
        raise ValueError(f"unflatten of axis {axis}, length {length}, into {sizes}")
    return input.reshape((*input.shape[:at], *sizes, *input.shape[at + 1 :]))


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Return the rows of `weight` `(V, D)` that `input` numbers: `(...)` gives `(..., D)`.

    The row `padding_idx` gets no gradient. Raises TypeError unless the numbers are integers, and
    IndexError for one that is not below V.

    >>> F.embedding(np.array([2, 0]), np.array([[1.0], [2.0], [3.0]]))
    array([[3.],
           [1.]])
    """
    if input.dtype.kind not in "iu":
        raise TypeError(f"embedding takes the numbers of rows as integers, not {input.dtype}")
    if weight.ndim != 2:
        raise ValueError(f"embedding takes a weight (rows, features), not {weight.shape}")
    return rows(input, weight, skip=None if padding_idx is None else padding_idx % len(weight))


@primitive(looks_through=False)
def rows(index: Any, table: Any, skip: int | None = None) -> Any:
    """Return the rows of the table; a negative number is an error, not a row from the end."""
    if index.size and index.min() < 0:
        raise IndexError(f"embedding got the number {index.min()}, below 0")
    return np.take(table, index, axis=0)


@primitive(looks_through=False)
def add_rows(g: Any, index: Any, number: int, skip: int | None = None) -> Any:
    """Return a table of `number` rows, each the sum of those of `g` that carry its index.

    The adjoint of `rows`. Sorted, the rows of one index lie side by side, and one call adds them.
    """
    flat, g = index.reshape(-1), g.reshape((index.size, -1))
    out = np.zeros((number, g.shape[1]), g.dtype)
    if flat.size:
        order = np.argsort(flat, kind="stable")
        ranked = flat[order]
        starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
        out[ranked[starts]] = np.add.reduceat(g[order], starts, axis=0)
    if skip is not None:
        out[skip] = 0
    return out


def _rows_dw(g: Any, out: Any, index: Any, table: Any, skip: int | None = None) -> Any:
    return add_rows(g, index, number=len(table), skip=skip)


def _add_rows_dg(g: Any, out: Any, given: Any, index: Any, number: int, skip: Any = None) -> Any:
    if skip is not None:
        g = g * (np.arange(number) != skip).astype(g.dtype)[:, None]
    return rows(index, g)


defvjp(rows, None, _rows_dw)
defvjp(add_rows, _add_rows_dg, None)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Return integers `(..., num_classes)`: 1 at the class number, 0 elsewhere.

    By default there are as many classes as the largest number says. Raises ValueError for a
    number that is not below `num_classes` or below 0.

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
    if MODE.get().tape is None and tensor.size and not 0 <= int(tensor.min()) <= int(
        tensor.max()) < num_classes:  # fmt: skip
        raise ValueError(f"one_hot takes class numbers from 0 to {num_classes - 1}")
    return (tensor[..., None] == np.arange(num_classes)).astype(np.int64)
