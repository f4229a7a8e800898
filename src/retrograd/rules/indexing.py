"""Picking elements, and putting them back: indexing of every kind and its adjoint."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from retrograd.core import primitive, record
from retrograd.registry import RULES, composed, defaults, defvjp, defvjp_each, nograd
from retrograd.rules.reductions import given


@primitive(looks_through=False)
def put(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Add `g` into zeros of `shape` at `index`: the adjoint of indexing."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, (list, np.ndarray)) and np.asarray(p).dtype.kind != "b" for p in parts):
        return _added(g, index, shape)  # an element may be picked more than once
    out = np.zeros(shape, g.dtype)
    out[index] = g
    return out


def _added(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Return zeros of `shape` with `g` added at `index`, which may repeat."""
    out = np.zeros(shape, g.dtype)
    if isinstance(index, np.ndarray) and len(shape) > 1:
        # whole rows: np.add.at is twice as fast on numbers of single elements
        width = math.prod(shape[1:])
        rows = np.arange(shape[0])[index].reshape((-1, 1))
        np.add.at(out.reshape(-1), (rows * width + np.arange(width)).reshape(-1), g.reshape(-1))
    else:
        np.add.at(out, index, g)
    return out


def _numbers(shape: tuple[int, ...]) -> Any:
    """Return an array of `shape` that has in each place the number of that place."""
    return np.arange(math.prod(shape)).reshape(shape)


@primitive(looks_through=False)
def put_taken(g: Any, indices: Any, axis: Any, shape: tuple[int, ...], mode: Any = None) -> Any:
    """Return the adjoint of `np.take`, or of `np.take_along_axis` where mode is None."""
    if mode is None:
        numbers = np.take_along_axis(_numbers(shape), indices, axis)
        return _added(g.reshape(-1), numbers.reshape(-1), (math.prod(shape),)).reshape(shape)
    if axis is None:
        return put_taken(g, indices, 0, (math.prod(shape),), mode).reshape(shape)
    # the mode is settled on the axis' own numbers
    index = np.take(np.arange(shape[axis]), indices, mode=mode)
    axis %= len(shape)
    return _added(g, (slice(None),) * axis + (index,) if axis else index, shape)


LAST = defaults(np.take_along_axis)["axis"]  # NumPy before 2.3 has no default there

# fmt: off
defvjp(operator.getitem, lambda g, out, x, index: put(g, index, x.shape))
defvjp(put, lambda g, out, x, index, shape: g[index], None)
defvjp(put_taken, lambda g, out, x, indices, axis, shape, mode=None:
                  np.take_along_axis(g, indices, axis) if mode is None else
                  np.take(g, indices, axis=axis, mode=mode), None)
defvjp(np.take, lambda g, out, a, indices, axis=None, mode="raise":
                put_taken(g, indices, axis, a.shape, mode=mode), None)
defvjp(np.take_along_axis, lambda g, out, arr, indices, axis=LAST:
                           put_taken(g, indices, axis, arr.shape), None)
# fmt: on


def _rearranged(fn: Any) -> None:
    """Give a function that only moves and repeats elements, or adds zeros, its rule.

    Run on the numbers of the places, from 1, it tells where each element comes from; the gradient
    is put back there.
    """

    def vjp(g: Any, out: Any, x: Any, **options: Any) -> Any:
        places = fn(1 + _numbers(x.shape), **options).ravel()
        return put(g.reshape(-1), places, (1 + x.size,))[1:].reshape(x.shape)

    defvjp(fn, vjp)
    names = tuple(name for name in defaults(fn) if name != "out")
    RULES[fn].names, RULES[fn].options = names, frozenset(names[1:])


for _fn in (np.tile, np.repeat, np.resize, np.delete, np.diag, np.diagflat, np.diagonal,
            np.rollaxis, np.lib.stride_tricks.sliding_window_view):  # fmt: skip
    _rearranged(_fn)

nograd(np.nonzero, np.flatnonzero, np.argwhere, np.searchsorted)
nograd(np.unravel_index, np.ravel_multi_index, np.ix_)
RULES[np.nonzero].multi = RULES[np.unravel_index].multi = RULES[np.ix_].multi = True


# `record`, because np.take asks the array only, never the index, whether it is a Tensor
_take = functools.partial(record, np.take)
# fmt: off
composed(np.compress)(lambda condition, a, axis=None, out=None:
                      _take(given(a), np.flatnonzero(condition), axis=axis))
composed(np.extract)(lambda condition, arr: _take(np.ravel(arr), np.flatnonzero(condition)))
# fmt: on


@composed(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"np.select got {len(condlist)} conditions for {len(choicelist)} choices")
    out = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = np.where(condition, choice, out)
    return out


def chosen(a: Any, *choices: Any, mode: Any = "raise") -> Any:
    """Return `np.choose` with the choices as arguments."""
    return np.choose(a, choices, mode=mode)


def chosen_piece(
    position: int, g: Any, out: Any, a: Any, *choices: Any, mode: Any = "raise"
) -> Any:
    """Return `g` where this choice was made."""
    n = len(choices)
    if mode != "raise":
        a = a % n if mode == "wrap" else np.clip(a, 0, n - 1)
    return np.where(a == position - 1, g, 0.0)


defvjp_each(chosen, chosen_piece)
# fmt: off
composed(np.choose)(lambda a, choices, out=None, mode="raise":
                    record(chosen, given(a), *choices, mode=mode))
# fmt: on


@composed(np.piecewise)
def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Hand each function only the elements it is for."""
    if isinstance(condlist, (bool, np.bool_)) or (
        not isinstance(condlist[0], (list, np.ndarray)) and not hasattr(condlist[0], "dtype")
    ):
        condlist = [condlist]
    masks = [np.broadcast_to(c, x.shape) for c in condlist]
    if len(funclist) == len(masks) + 1:
        rest = np.ones(x.shape, bool)
        for mask in masks:
            rest = rest & np.logical_not(mask)
        masks.append(rest)
    if len(funclist) != len(masks):
        raise ValueError(f"np.piecewise got {len(funclist)} functions for {len(condlist)} parts")
    out = np.zeros(x.shape, x.dtype)
    for mask, fn in zip(masks, funclist, strict=True):
        value = put(fn(x[mask], *args, **kw), mask, x.shape) if callable(fn) else fn
        out = np.where(mask, value, out)
    return out.astype(x.dtype)


@composed(np.interp)
def _interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: float | None = None
) -> Any:
    """Draw straight lines between the points `(xp, fp)`."""
    x, xp, fp = (given(v).astype(float) for v in (x, xp, fp))
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ValueError(f"np.interp takes points of one axis, got {xp.shape} and {fp.shape}")
    if period is not None:
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = _take(xp, order), _take(fp, order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    last = xp.shape[0] - 1
    between = fp[0]
    if last:
        i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, last - 1)
        x0, f0 = _take(xp, i), _take(fp, i)
        between = f0 + (_take(fp, i + 1) - f0) * ((x - x0) / (_take(xp, i + 1) - x0))
    between = np.where(x < xp[0], fp[0] if left is None else left, between)
    return np.where(x > xp[last], fp[last] if right is None else right, between)
