"""Functions that give the elements of an array another shape or order."""

import functools
from typing import Any

import numpy as np

from retrograd.engine import adapted, composed, defvjp, is_recording, record
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


# How an array of too few axes is indexed to have at least so many, for each number that is too low.
_MORE_AXES: dict[int, list[Any]] = {
    1: [None], 2: [(None, None), None], 3: [(None,) * 3, (None, ..., None), (..., None)],
}  # fmt: skip


def at_least(ndim: int, x: Any) -> Any:
    """Return an array or a Tensor with at least so many axes, as `np.atleast_1d` and so on do."""
    return x[_MORE_AXES[ndim][x.ndim]] if x.ndim < ndim else x


def _at_least(ndim: int, fn: Any, *arys: Any) -> Any:
    """Answer `np.atleast_1d` and so on; without a gradient by arrays, as `np.asarray` does.

    SciPy's optimizers ask so for arrays of the gradients and Jacobians that users return.
    """
    arrays = [to_array(a) for a in arys]
    if not (is_recording() or any(getattr(a, "requires_grad", False) for a in arrays)):
        return fn(*map(np.asarray, arrays))
    out = [at_least(ndim, a) for a in arrays]
    return out[0] if len(out) == 1 else tuple(out)


for _ndim, _fn in enumerate((np.atleast_1d, np.atleast_2d, np.atleast_3d), 1):
    composed(_fn)(functools.partial(_at_least, _ndim, _fn))


@composed(np.broadcast_arrays)
def _broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    arrays = [to_array(x) for x in args]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(np.broadcast_to(x, shape) for x in arrays)
