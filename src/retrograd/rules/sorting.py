"""Sorting and sets: an element's gradient goes to the place that it comes from."""

import functools
import itertools
from typing import Any

import numpy as np

from retrograd.engine import composed, nograd, primitive, record
from retrograd.rules.axes import to_array


def _sort_by(positions: Any, a: Any, axis: int | None, **options: Any) -> Any:
    """Take the elements in the order of `positions`, a function such as `np.argsort`."""
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, positions(a, axis=axis, **options), axis=axis)


# fmt: off
composed(np.sort)(lambda a, axis=-1, kind=None, order=None, *, stable=None:
                  _sort_by(np.argsort, a, axis, kind=kind, order=order, stable=stable))
composed(np.partition)(lambda a, kth, axis=-1, kind="introselect", order=None:
                       _sort_by(np.argpartition, a, axis, kth=kth, kind=kind, order=order))
# fmt: on


@composed(np.sort_complex)
def _sort_complex(a: Any) -> Any:
    kind = np.sort_complex(np.zeros(1, a.dtype)).dtype
    return np.sort(a).astype(kind)


@primitive(looks_through=False)
def unique_parts(ar: Any, axis: int | None = None, equal_nan: bool = True) -> Any:
    """Return what `np.unique` returns but the values: first places, inverse, counts."""
    return np.unique(ar, True, True, True, axis, equal_nan=equal_nan)[1:]


@primitive(looks_through=False)
def common_parts(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return where in two arrays their common values are."""
    return np.intersect1d(ar1, ar2, assume_unique, return_indices=True)[1:]


nograd(unique_parts, common_parts, multi=True)
nograd(np.argsort, np.argpartition, np.lexsort, np.isin,
       *(fn for fn in [getattr(np, "in1d", None)] if fn))  # fmt: skip # gone in NumPy 2.4


@composed(np.unique)
def _unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, *, equal_nan: bool = True,
    sorted: bool = True,
) -> Any:  # fmt: skip
    """Of equal elements the first gets the gradient."""
    parts = record(unique_parts, ar, axis=axis, equal_nan=equal_nan)
    values = np.take(ar, parts[0], axis=axis)
    wanted = (return_index, return_inverse, return_counts)
    extra = [*itertools.compress(parts, wanted)]
    return (values, *extra) if extra else values


def _as_vectors(*arrays: Any) -> list[Any]:
    """Return the elements of each array in one axis."""
    return [np.ravel(to_array(a)) for a in arrays]


def _unique_by_name(kind: Any, x: Any, /) -> Any:
    """Return the parts that the named tuple `kind` has names for."""
    found = _unique(x, True, True, True, equal_nan=False)
    by_name = dict(zip(("values", "indices", "inverse_indices", "counts"), found, strict=True))
    return kind(*(by_name[name] for name in kind._fields))


composed(np.unique_values)(lambda x, /: _unique(x, equal_nan=False))
for _fn in (np.unique_all, np.unique_counts, np.unique_inverse):
    composed(_fn)(functools.partial(_unique_by_name, type(_fn(np.zeros(0)))))
composed(np.union1d)(lambda ar1, ar2: np.unique(np.concatenate(_as_vectors(ar1, ar2))))


@composed(np.intersect1d)
def _intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    ar1, ar2 = _as_vectors(ar1, ar2)
    one, two = record(common_parts, ar1, ar2, assume_unique=assume_unique)
    values = np.take(ar1, one).astype(np.result_type(ar1, ar2))
    return (values, one, two) if return_indices else values


@composed(np.setdiff1d)
def _setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    ar1, ar2 = _as_vectors(ar1, ar2)
    ar1 = ar1 if assume_unique else np.unique(ar1)
    return np.extract(np.isin(ar1, ar2, invert=True), ar1)


@composed(np.setxor1d)
def _setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    ar1, ar2 = _as_vectors(ar1, ar2)
    if not assume_unique:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    both = np.sort(np.concatenate([ar1, ar2]))
    # a value is in one array only if it differs from the one before and from the one after
    edge = np.ones(min(both.shape[0], 1), bool)
    differs = np.concatenate([edge, both[1:] != both[:-1], edge])
    return np.extract(differs[1:] & differs[:-1], both)


@composed(np.trim_zeros)
def _trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    if filt.ndim != 1:
        raise TypeError(f"np.trim_zeros of a Tensor takes one axis, not shape {filt.shape}")
    filled = np.flatnonzero(filt)
    if not filled.shape[0]:
        return filt[:0]
    start = int(filled[0]) if "f" in trim.lower() else 0
    stop = int(filled[-1]) + 1 if "b" in trim.lower() else filt.shape[0]
    return filt[start:stop]
