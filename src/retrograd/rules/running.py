"""Running results along an axis, and the methods of ufuncs: accumulate, reduce, outer."""

import functools
import itertools
from typing import Any

import numpy as np

from retrograd.engine import RULES, adapted, composed, defvjp, record
from retrograd.engine.rule import UFUNC_METHODS
from retrograd.rules.axes import (
    along,
    axes_of,
    check_at_least,
    in_dtype,
    merge_last,
    shape_with,
    to_array,
)  # fmt: skip


def accumulate(ufunc: Any, x: Any, axis: int = 0) -> Any:
    """Return the running results of an associative `ufunc` along an axis.

    Each round doubles how many elements are in a result, so there are few calls; and no division,
    so that the gradients of running products with zeros are exact.
    """
    x = np.moveaxis(x, axis, 0)
    step = 1
    while step < x.shape[0]:
        x = np.concatenate([x[:step], ufunc(x[:-step], x[step:])])
        step *= 2
    return np.moveaxis(x, 0, axis)


def reduce(ufunc: Any, x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    """Return the result of an associative `ufunc` over axes; each round halves their length."""
    axes = axes_of(x, axis)
    line = merge_last(x, axes)
    check_at_least(1, f"np.{ufunc.__name__}.reduce", "elements", line.shape[-1])
    while (n := line.shape[-1]) > 1:
        pairs = ufunc(line[..., : n // 2 * 2 : 2], line[..., 1::2])
        line = np.concatenate([pairs, line[..., n - 1 :]], axis=-1) if n % 2 else pairs
    return line.reshape(shape_with(x, axes)) if keepdims else line[..., 0]


def _running(
    scan: Any, unit: int, skips: bool, a: Any, axis: int | None = None, dtype: Any = None,
    out: Any = None,
) -> Any:  # fmt: skip
    """Run `scan` along an axis, or along all elements; it may skip nan, which `unit` stands for."""
    if dtype is None:  # that which NumPy widens short integers to
        dtype = np.cumsum(np.zeros(1, a.dtype)).dtype
    a = in_dtype(np.where(np.isnan(a), unit, a) if skips else a, dtype)
    return in_dtype(scan(np.ravel(a), axis=0) if axis is None else scan(a, axis=axis), dtype)


def _cumulative(
    fn: Any, unit: int, x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None,
    include_initial: bool = False,
) -> Any:  # fmt: skip
    """Run `fn` along an axis, after a first result `unit` if that is asked for."""
    if axis is None and x.ndim > 1:
        raise ValueError(f"a cumulative {fn.__name__} of shape {x.shape} needs axis=")
    result = fn(x, axis, dtype)
    if include_initial:
        axis = (axis or 0) % result.ndim
        first = np.full(shape_with(result, (axis,)), unit, result.dtype)
        result = np.concatenate([first, result], axis=axis)
    return result


# fmt: off
defvjp(np.cumsum, lambda g, out, a, axis:
                  np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis))
# fmt: on
_cumsum = functools.partial(record, np.cumsum)
_cumprod = functools.partial(accumulate, np.multiply)
adapted(np.cumsum)(functools.partial(_running, _cumsum, 0, False))
composed(np.cumprod)(functools.partial(_running, _cumprod, 1, False))
composed(np.nancumsum)(functools.partial(_running, _cumsum, 0, True))
composed(np.nancumprod)(functools.partial(_running, _cumprod, 1, True))
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    composed(np.cumulative_sum)(functools.partial(_cumulative, np.cumsum, 0))
    composed(np.cumulative_prod)(functools.partial(_cumulative, np.cumprod, 1))


# Methods of ufuncs


def _outer(ufunc: Any, a: Any, b: Any) -> Any:
    """Return `ufunc` of each element of `a` with each of `b`."""
    a, b = to_array(a), to_array(b)
    return ufunc(a.reshape(a.shape + (1,) * b.ndim), b)


def _reduceat(ufunc: Any, array: Any, indices: Any, axis: int = 0) -> Any:
    """Reduce the pieces from each index to the next; where that is no higher, one element."""
    edges = [*(int(i) for i in np.asarray(indices)), array.shape[axis]]
    ends = ((a, b if a < b else a + 1) for a, b in itertools.pairwise(edges))
    pieces = [ufunc.reduce(along(array, axis, slice(a, b)), axis=axis) for a, b in ends]
    return np.stack(pieces, axis=axis)


for _ufunc in [f for f in RULES if isinstance(f, np.ufunc) and (f.nin, f.nout) == (2, 1)]:
    if not _ufunc.signature:
        UFUNC_METHODS[_ufunc, "outer"] = functools.partial(_outer, _ufunc)
for _ufunc in (np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp,
               np.logaddexp2):  # fmt: skip
    UFUNC_METHODS.setdefault((_ufunc, "reduce"), functools.partial(reduce, _ufunc))
    UFUNC_METHODS[_ufunc, "accumulate"] = functools.partial(accumulate, _ufunc)
    UFUNC_METHODS[_ufunc, "reduceat"] = functools.partial(_reduceat, _ufunc)
UFUNC_METHODS[np.add, "accumulate"] = lambda x, axis=0: np.cumsum(x, axis)
