"""Functions that rearrange elements without computing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import composed, defvjp, defvjp_each


def inverse(axes: Sequence[int] | None) -> Any:
    """Return the order of axes that undoes `axes`."""
    if axes is None:
        return None
    order = [a % len(axes) for a in axes]
    return tuple(order.index(i) for i in range(len(order)))


def concat(*arrays: Any, axis: int | None = 0) -> Any:
    """Join arrays along an axis: `np.concatenate` with the arrays as arguments."""
    return np.concatenate(arrays, axis=axis)


def concat_piece(position: int, g: Any, out: Any, *arrays: Any, axis: int | None = 0) -> Any:
    """Cut out of `g` what belongs to one of the joined arrays."""
    here = arrays[position]
    along = 0 if axis is None else axis % g.ndim
    lengths = [a.size if axis is None else a.shape[along] for a in arrays]
    start = sum(lengths[:position])
    piece = g[(slice(None),) * along + (slice(start, start + lengths[position]),)]
    return piece.reshape(here.shape)


# fmt: off
defvjp(np.reshape,      lambda g, out, a, shape: g.reshape(a.shape))
defvjp(np.ravel,        lambda g, out, a: g.reshape(a.shape))
defvjp(np.transpose,    lambda g, out, a, axes=None: np.transpose(g, inverse(axes)))
defvjp(np.swapaxes,     lambda g, out, a, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.moveaxis,     lambda g, out, a, source, destination:
                        np.moveaxis(g, destination, source))
defvjp(np.squeeze,      lambda g, out, a, axis=None: g.reshape(a.shape))
defvjp(np.expand_dims,  lambda g, out, a, axis: g.reshape(a.shape))
defvjp(np.broadcast_to, lambda g, out, array, shape: g)
defvjp(np.copy,         lambda g, out, a: g)
# fmt: on
defvjp_each(concat, concat_piece)


@composed(np.reshape)
def reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None) -> Any:
    """Answer `np.reshape`."""
    if order != "C":
        raise TypeError("np.reshape of a Tensor keeps order='C': transpose before and after")
    return record(np.reshape, a, newshape if shape is None else shape)


@composed(np.concatenate)
def concatenate(arrays: Any, axis: int | None = 0) -> Any:
    """Answer `np.concatenate`."""
    return record(concat, *arrays, axis=axis)


@composed(np.stack)
def stack(arrays: Any, axis: int = 0) -> Any:
    """Answer `np.stack`: each array gets the new axis, then they are joined."""
    arrays = list(arrays)
    shapes = {np.shape(a) for a in arrays}
    if len(shapes) > 1:
        raise ValueError(f"np.stack joins arrays of one shape, got {sorted(shapes)}")
    return record(concat, *(np.expand_dims(a, axis) for a in arrays), axis=axis)


@composed(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Answer `np.split`: the pieces are slices."""
    n = ary.shape[axis]
    if isinstance(indices_or_sections, int):
        if n % indices_or_sections:
            raise ValueError(
                f"np.split: axis {axis} of length {n} does not divide into "
                f"{indices_or_sections} equal parts; np.array_split takes unequal ones"
            )
        cuts = [n // indices_or_sections * i for i in range(1, indices_or_sections)]
    else:
        cuts = [int(i) for i in indices_or_sections]
    edges = [0, *cuts, n]
    lead = (slice(None),) * (axis % ary.ndim)
    return [ary[(*lead, slice(a, b))] for a, b in zip(edges, edges[1:], strict=False)]
