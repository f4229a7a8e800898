"""The affine map, and what goes round it: flattening and tables of rows."""

from __future__ import annotations

import functools
import math
from typing import Any, overload

import numpy as np

from retrograd.checks import ensure, refuse_words
from retrograd.engine import (
    Array,
    Tensor,
    TensorLike,
    TensorT,
    as_array,
    defvjp,
    is_recording,
    no_grad,
    nograd,
    primitive,
    wrap,
)
from retrograd.rules.axes import axis_of
from retrograd.rules.indexing import as_places, put_taken

__all__ = ["bilinear", "embedding", "flatten", "linear", "unflatten"]


@overload
def linear(input: TensorLike, weight: Tensor, bias: TensorLike | None = None) -> Tensor: ...
@overload
def linear(input: TensorT, weight: Array, bias: Array | None = None) -> TensorT: ...
@primitive
def linear(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> TensorLike:
    """Return the affine map `input @ weight.T + bias` of the last axis.

    Args:
        input: `(..., in)`, of any number of axes.
        weight: `(out, in)`: a row for each element that comes out.
        bias: `(out,)`, or None.

    Returns:
        A Tensor `(..., out)`; an array if all arguments are arrays.

    Raises:
        ValueError: if `weight` has not two axes, or its rows not the length of `input`'s last axis.

    >>> F.linear(np.ones((2, 3)), np.ones((1, 3)), np.ones(1))
    array([[4.],
           [4.]])
    """
    try:
        _, _ = weight.shape
        if input.ndim == 2:
            # the transpose first: faster for large, and for sums over rows of small arrays
            out = weight.dot(input.T).T
        else:
            out = np.matmul(input, weight.T)
    except ValueError:
        raise ValueError(
            f"linear takes input (..., in) and weight (out, in), not {input.shape} and "
            f"{weight.shape}"
        ) from None
    return out if bias is None else out + bias


@functools.lru_cache(maxsize=64)
def ones(n: int, dtype: Any, values: tuple[float, ...] = (1,)) -> Any:
    """Return a constant vector of n ones, to sum by a product, or n of each of other values."""
    vector = np.repeat(np.array(values, dtype), n)
    vector.flags.writeable = False
    return vector


def _linear_dx(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim == 2:
        return weight.T.dot(g.T).T
    return np.matmul(g, weight)


def _linear_dw(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim != 2:
        g, input = g.reshape((-1, g.shape[-1])), input.reshape((-1, input.shape[-1]))
    return g.T.dot(input)


def _linear_db(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim != 2:
        g = g.reshape((-1, g.shape[-1]))
    return g.T.dot(ones(len(g), g.dtype))  # faster than a sum


defvjp(linear, _linear_dx, _linear_dw, _linear_db, analytic=True)


def flatten(input: TensorT, start_axis: int = 0, end_axis: int = -1, **_words: Any) -> TensorT:
    """Return `input` with the axes from `start_axis` to `end_axis` made one.

    Args:
        input: array or Tensor of any shape.
        start_axis: the first of the axes; negative numbers count from the end.
        end_axis: the last of them.

    Returns:
        A Tensor whose elements are those of `input` in their order; an array for an array.

    Raises:
        ValueError: if `start_axis` comes after `end_axis`.

    >>> F.flatten(np.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    if _words:
        refuse_words("flatten", _words)
    shape: tuple[int, ...] = input.shape or (1,)
    axes = len(shape)
    for axis in (start_axis, end_axis):
        if not -axes <= axis < axes:
            raise np.exceptions.AxisError(axis, axes)
    start, end = start_axis % axes, end_axis % axes
    if start > end:
        raise ValueError(f"flatten from axis {start_axis} to {end_axis} of {axes} axes")
    joined = (math.prod(shape[start : end + 1]),)
    return input.reshape(shape[:start] + joined + shape[end + 1 :])


def unflatten(input: TensorT, axis: int, sizes: tuple[int, ...], **_words: Any) -> TensorT:
    """Return `input` with one axis made several: the opposite of `flatten`.

    Args:
        input: array or Tensor of any shape but `()`.
        axis: which axis to take apart; negative numbers count from the end.
        sizes: the lengths of the axes in its place. One may be -1, which is what is left for it.

    Returns:
        A Tensor whose elements are those of `input` in their order; an array for an array.

    Raises:
        ValueError: if the lengths do not multiply to that of the axis.

    >>> F.unflatten(np.ones((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    if _words:
        refuse_words("unflatten", _words)
    shape, at = input.shape, axis_of(input, axis)
    try:
        sizes = np.empty(shape[at], bool).reshape(sizes).shape
    except ValueError:
        raise ValueError(f"unflatten of axis {axis}, length {shape[at]}, into {sizes}") from None
    return input.reshape(shape[:at] + sizes + shape[at + 1 :])


def bilinear(
    input1: TensorLike, input2: TensorLike, weight: TensorT, bias: TensorLike | None = None
) -> TensorT:
    """Return a form in two inputs, `input1 @ weight[o] @ input2 + bias[o]` for each output o.

    Args:
        input1: `(..., in1)`, of any number of axes.
        input2: `(..., in2)`, the other axes as those of `input1`.
        weight: `(out, in1, in2)`.
        bias: `(out,)`, or None.

    Returns:
        A Tensor `(..., out)`; an array if all arguments are arrays.

    Raises:
        ValueError: if shapes do not fit.

    >>> F.bilinear(np.array([1.0, 2.0]), np.array([3.0]), np.ones((1, 2, 1)))
    array([9.])
    """
    x: tuple[int, ...] = input1.shape
    y: tuple[int, ...] = input2.shape
    w: tuple[int, ...] = weight.shape
    if len(w) != 3 or x[:-1] != y[:-1] or (*x[-1:], *y[-1:]) != w[1:]:
        raise ValueError(
            "bilinear takes input1 (..., in1), input2 (..., in2) and weight (out, in1, in2), not "
            f"{x}, {y} and {w}"
        )
    products: Any = input1[..., :, None] * input2[..., None, :]
    rows: Any = weight.reshape((w[0], w[1] * w[2]))
    out: Any = linear(products.reshape((*x[:-1], w[1] * w[2])), rows, bias)
    return out


def embedding(
    input: TensorLike, weight: TensorT, padding_idx: int | None = None,
    max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> TensorT:  # fmt: skip
    """Return the rows of the table `weight` at the numbers in `input`.

    Args:
        input: numbers of rows, integers `(...)` of any shape.
        weight: the table `(V, D)`: a vector of length D for each of V words.
        padding_idx: the number of a row that gets no gradient, or None; negative numbers count from
            the end.
        max_norm: makes the rows that are looked up no longer than this, in `weight` itself; None
            leaves them as they are.
        norm_type: the order of the norm that `max_norm` bounds.
        scale_grad_by_freq: divides the gradient of each row by how often it was looked up.
        sparse: does nothing: gradients are dense.

    Returns:
        A Tensor `(..., D)`: each number replaced by its row; an array if `weight` is an array.

    Raises:
        TypeError: if `input` holds no integers.
        ValueError: if `weight` has not two axes, or `padding_idx` is no row of it.
        IndexError: for a number that is negative, or V or more.

    >>> F.embedding(np.array([2, 0]), np.array([[1.0], [2.0], [3.0]]))
    array([[3.],
           [1.]])
    """
    if input.dtype.kind not in "iu":
        raise TypeError(f"embedding takes row numbers as integers, not {input.dtype}")
    if weight.ndim != 2:
        raise ValueError(f"embedding takes a weight (rows, features), not {weight.shape}")
    if padding_idx is not None:
        number = len(weight)
        is_row = -number <= padding_idx < number
        ensure(is_row, "padding_idx", f"one of {number} rows", padding_idx, "embedding")
        padding_idx %= number
    if max_norm is not None:
        _shorten_rows(input, weight, max_norm, norm_type)
    return rows(input, weight, skip=padding_idx, by_frequency=scale_grad_by_freq)


def _shorten_rows(index: Any, table: Any, max_norm: float, norm_type: float) -> None:
    """Scale rows of the table down in place, so that none is longer than `max_norm`."""
    # through Tensors, as a compiled step does it again in each of its runs
    target = table if isinstance(table, Tensor) else wrap(table)
    with no_grad():
        factors = row_factors(
            wrap(as_array(index)) if not isinstance(index, Tensor) else index,
            target,
            max_norm=max_norm,
            norm_type=norm_type,
        )
        if is_recording() or bool((factors != 1.0).any()):
            target *= factors


@primitive(looks_through=False)
def row_factors(index: Any, table: Any, max_norm: float, norm_type: float) -> Any:
    """Return what to multiply each row of the table by, `(V, 1)`: 1 unless it is looked up."""
    chosen = np.unique(index)
    lengths = np.linalg.norm(table[chosen], norm_type, axis=1)
    factors = np.ones((len(table), 1), table.dtype)
    # PyTorch's number against a division by 0
    shorter = max_norm / (lengths + 1e-7)
    factors[chosen, 0] = np.where(lengths > max_norm, shorter, 1.0)
    return factors


nograd(row_factors)


@primitive(looks_through=False)
def rows(index: Any, table: Any, skip: int | None = None, by_frequency: bool = False) -> Any:
    """Return rows of the table; the row `skip` gets no gradient.

    With `by_frequency` the gradient of a row is divided by how often it was looked up.
    """
    if index.size and index.min() < 0:
        raise IndexError(f"embedding got row number {index.min()}")
    places = as_places(index)
    if places is not index and (places != index).any():
        raise IndexError(f"embedding got row number {index.max()}")
    return table.take(places, axis=0)


def _rows_dtable(
    g: Any, out: Any, index: Any, table: Any, skip: int | None = None, by_frequency: bool = False
) -> Any:
    if by_frequency:
        places = as_places(index)
        counts = np.bincount(np.ravel(places), minlength=table.shape[0])
        g = g / np.take(counts, places)[..., None].astype(g.dtype)
    if skip is not None:
        g = np.where((index == skip)[..., None], 0.0, g)
    return put_taken(g, index, 0, table.shape, "raise")


defvjp(rows, None, _rows_dtable)
