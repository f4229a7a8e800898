"""Sorting and sets: an element's gradient goes to the position it comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.core import primitive, record
from retrograd.registry import RULES, composed, nograd
from retrograd.rules.reductions import given

nograd(np.argsort, np.argpartition, np.lexsort, np.isin)
nograd(*(fn for fn in [getattr(np, "in1d", None)] if fn))  # gone in NumPy 2.4


@composed(np.sort)
def sort(
    a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *,
    stable: bool | None = None,
) -> Any:  # fmt: skip
    """Answer `np.sort`."""
    if axis is None:
        a, axis = np.ravel(a), 0
    indices = np.argsort(a, axis=axis, kind=kind, order=order, stable=stable)
    return np.take_along_axis(a, indices, axis=axis)


@composed(np.partition)
def partition(
    a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None
) -> Any:
    """Answer `np.partition`."""
    if axis is None:
        a, axis = np.ravel(a), 0
    indices = np.argpartition(a, kth, axis=axis, kind=kind, order=order)
    return np.take_along_axis(a, indices, axis=axis)


@primitive(looks_through=False)
def unique_parts(ar: Any, axis: int | None = None, equal_nan: bool = True) -> Any:
    """Return all that `np.unique` returns but the values: index, inverse and counts."""
    return np.unique(ar, True, True, True, axis, equal_nan=equal_nan)[1:]


nograd(unique_parts)
RULES[unique_parts].multi = True


@composed(np.unique)
def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, *, equal_nan: bool = True,
    sorted: bool = True,
) -> Any:  # fmt: skip
    """Answer `np.unique`: of equal elements the first gets the gradient."""
    parts = record(unique_parts, ar, axis=axis, equal_nan=equal_nan)
    values = np.take(ar, parts[0], axis=axis)
    wanted = (return_index, return_inverse, return_counts)
    extra = [part for part, wants in zip(parts, wanted, strict=True) if wants]
    return (values, *extra) if extra else values


def _unique_by_name(fn: Any) -> Any:
    kind = type(fn(np.zeros(0)))

    def named(x: Any, /) -> Any:
        found = unique(x, True, True, True, equal_nan=False)
        by_name = dict(zip(("values", "indices", "inverse_indices", "counts"), found, strict=True))
        return kind(*(by_name[name] for name in kind._fields))

    return named


composed(np.unique_values)(lambda x, /: unique(x, equal_nan=False))
for _fn in (np.unique_all, np.unique_counts, np.unique_inverse):
    composed(_fn)(_unique_by_name(_fn))


@composed(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """Answer `np.union1d`."""
    return np.unique(np.concatenate([np.ravel(ar1), np.ravel(ar2)]))


@primitive(looks_through=False)
def common_parts(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return where in two arrays their common values are."""
    return np.intersect1d(ar1, ar2, assume_unique, return_indices=True)[1:]


nograd(common_parts)
RULES[common_parts].multi = True


@composed(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    """Answer `np.intersect1d`: the values are those of the first array."""
    ar1, ar2 = np.ravel(ar1), np.ravel(ar2)
    one, two = record(common_parts, ar1, ar2, assume_unique=assume_unique)
    values = np.take(ar1, one).astype(np.result_type(ar1, ar2))
    return (values, one, two) if return_indices else values


@composed(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Answer `np.setdiff1d`."""
    ar1 = np.ravel(ar1) if assume_unique else np.unique(ar1)
    return np.extract(np.isin(ar1, given(ar2), invert=True), ar1)


@composed(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Answer `np.setxor1d`."""
    if not assume_unique:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    both = np.sort(np.concatenate([np.ravel(ar1), np.ravel(ar2)]))
    edge = np.ones(min(both.shape[0], 1), bool)
    differs = np.concatenate([edge, both[1:] != both[:-1], edge])
    return np.extract(differs[1:] & differs[:-1], both)


@composed(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Answer `np.trim_zeros` for one axis."""
    if filt.ndim != 1:
        raise TypeError(f"np.trim_zeros of a Tensor takes one axis, not shape {filt.shape}")
    filled = np.flatnonzero(filt)
    if not filled.shape[0]:
        return filt[:0]
    start = int(filled[0]) if "f" in trim.lower() else 0
    stop = int(filled[-1]) + 1 if "b" in trim.lower() else filt.shape[0]
    return filt[start:stop]
