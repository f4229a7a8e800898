"""Functions that give the elements of an array another shape or order."""

import functools
import sys
from typing import Any

import numpy as np

from retrograd.engine import adapted, composed, defvjp, record
from retrograd.engine import astype as change_dtype
from retrograd.rules.axes import check_at_least, inverse, to_array

# fmt: off
# `run` is the array's own method: the same without NumPy's Python layers
defvjp(np.reshape,      lambda g, out, a, shape: g.reshape(a.shape),
                        run=lambda a, shape: a.reshape(shape))
defvjp(np.ravel,        lambda g, out, a: g.reshape(a.shape))
defvjp(np.transpose,    lambda g, out, a, axes=None: g.transpose(inverse(axes)),
                        run=lambda a, axes=None: a.transpose(axes))
defvjp(np.swapaxes,     lambda g, out, a, axis1, axis2: g.swapaxes(axis1, axis2),
                        run=lambda a, axis1, axis2: a.swapaxes(axis1, axis2))
defvjp(np.moveaxis,     lambda g, out, a, source, destination:
                        np.moveaxis(g, destination, source))
defvjp(np.squeeze,      lambda g, out, a, axis=None: g.reshape(a.shape))
defvjp(np.expand_dims,  lambda g, out, a, axis: g.reshape(a.shape))
defvjp(np.broadcast_to, lambda g, out, array, shape: g)
defvjp(np.copy,         lambda g, out, a: g)
defvjp(np.flip,         lambda g, out, m, axis=None: np.flip(g, axis))
defvjp(np.fliplr,       lambda g, out, m: np.fliplr(g))
defvjp(np.flipud,       lambda g, out, m: np.flipud(g))
defvjp(np.roll,         lambda g, out, a, shift, axis=None:
                        np.roll(g, tuple(-s for s in shift) if np.ndim(shift) else -shift, axis))
defvjp(np.rot90,        lambda g, out, m, k=1, axes=(0, 1): np.rot90(g, -k, axes))

if hasattr(np, "astype"):  # NumPy 2.1
    adapted(np.astype)(lambda x, dtype, /, *, copy=True, device=None:
                       record(change_dtype, x, np.dtype(dtype)))
# fmt: on


@adapted(np.reshape)
def _reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None,
             copy: bool | None = None) -> Any:  # fmt: skip
    if order != "C":
        raise TypeError("np.reshape of a Tensor keeps order='C': transpose before and after")
    return record(np.reshape, a, newshape if shape is None else shape)


@adapted(np.matrix_transpose, np.linalg.matrix_transpose)
def _matrix_transpose(x: Any, /) -> Any:
    check_at_least(2, "np.matrix_transpose", "ndim", x.ndim)
    return x.mT


def _at_least(places: list[Any], *arys: Any) -> Any:
    """Give arrays of few axes more: `places` has the index for each number that is too low."""
    out = [x[places[x.ndim]] if x.ndim < len(places) else x for x in map(to_array, arys)]
    return out[0] if len(out) == 1 else tuple(out)


@composed(np.atleast_1d)
def _at_least_1d(*arys: Any) -> Any:
    """Answer `np.atleast_1d`; to SciPy, whose compiled optimizers take arrays alone, by an array.

    It asks so for the gradient that `value_and_grad` returned, which requires none itself.
    """
    caller = sys._getframe(3).f_globals.get("__name__", "")  # above two functions of the engine
    if caller.startswith("scipy.") and not any(getattr(a, "requires_grad", False) for a in arys):
        return np.atleast_1d(*map(np.asarray, arys))
    return _at_least([None], *arys)


composed(np.atleast_2d)(functools.partial(_at_least, [(None, None), None]))
composed(np.atleast_3d)(functools.partial(_at_least, [(None,) * 3, (None, ..., None), (..., None)]))


@composed(np.broadcast_arrays)
def _broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    arrays = [to_array(x) for x in args]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(np.broadcast_to(x, shape) for x in arrays)
