"""Functions put together of pieces: conditions choose among arrays, functions or lines."""

import functools
from typing import Any

import numpy as np

from retrograd.engine import adapted, composed, defvjp_joint, record
from retrograd.rules.axes import is_complex, to_array
from retrograd.rules.indexing import put, take


@composed(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"np.select got {len(condlist)} conditions, {len(choicelist)} choices")
    out = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = np.where(condition, choice, out)
    return out


def choose(a: Any, *choices: Any, mode: Any = "raise") -> Any:
    """Return `np.choose` with the choices as arguments, so that each may be a Tensor."""
    return np.choose(a, choices, mode=mode)


def _choose_joint(needed: Any, g: Any, out: Any, *arrays: Any, mode: Any = "raise") -> Any:
    a, n = arrays[0], len(arrays) - 1
    if mode != "raise":
        a = a % n if mode == "wrap" else np.clip(a, 0, n - 1)
    return [np.where(a == i - 1, g, 0.0) for i in needed]


defvjp_joint(choose, _choose_joint, title="np.choose")
adapted(np.choose)(
    lambda a, choices, out=None, mode="raise": record(
        choose, to_array(a), *map(to_array, choices), mode=mode
    )
)


@composed(np.piecewise)
def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Each function sees only the elements that it is for, so that none can spoil the others."""
    if np.isscalar(condlist) or (x.ndim and not np.ndim(condlist[0])):
        condlist = [condlist]
    masks = [np.broadcast_to(c, x.shape) for c in condlist]
    if len(funclist) == len(masks) + 1:
        masks.append(np.logical_not(functools.reduce(np.logical_or, masks)))
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
    x, xp = (to_array(v).astype(float) for v in (x, xp))
    fp = to_array(fp)
    fp = fp.astype(complex if is_complex(fp) else float)
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ValueError(f"np.interp takes two vectors, not {xp.shape} and {fp.shape}")
    if period is not None:
        # one more point at either end makes the line whole
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = take(xp, order), take(fp, order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    last = xp.shape[0] - 1
    between = fp[0]
    if last:
        i = np.searchsorted(xp[1:-1], x, side="right")
        x0, f0 = take(xp, i), take(fp, i)
        between = f0 + (take(fp, i + 1) - f0) * ((x - x0) / (take(xp, i + 1) - x0))
    between = np.where(x < xp[0], fp[0] if left is None else left, between)
    return np.where(x > xp[last], fp[last] if right is None else right, between)
