"""Nested lists of Tensors and numbers made one array, through which gradients flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import Tensor, as_array, defvjp_joint, record, wrap
from retrograd.engine.tensor import connect, holds_tensors

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["array"]


def pile(*arrays: Any) -> Any:
    """Return arrays of one shape on top of each other, along a new first axis."""
    return np.stack(arrays)


def _pile_joint(needed: Sequence[int], g: Any, out: Any, *arrays: Any) -> list[Any]:
    return [g[i] for i in needed]


defvjp_joint(pile, _pile_joint, title="rg.array")


def nest(data: Any) -> Any:
    """Return nested lists of Tensors and numbers as one Tensor, of the dtype that suits all.

    Python's numbers go by the dtype of the Tensors and arrays beside them.
    """
    kind = np.result_type(*_kinds(data))
    return _nest(data, kind, ())


def _kinds(data: Any) -> list[Any]:
    """Return the dtypes of Tensors and arrays in nested lists, and their numbers as they are."""
    if isinstance(data, (list, tuple)):
        return [kind for part in data for kind in _kinds(part)]
    if isinstance(data, (bool, int, float)):
        return [data]
    return [as_array(data).dtype]


def _nest(data: Any, kind: np.dtype[Any], path: tuple[int, ...]) -> Any:
    if not holds_tensors(data):
        array = as_array(data)
        return array if array.dtype == kind else array.astype(kind)
    if isinstance(data, Tensor):
        return data if data.dtype == kind else data.astype(kind)
    parts = [_nest(part, kind, (*path, i)) for i, part in enumerate(data)]
    shapes = {part.shape for part in parts}
    if len(shapes) > 1:
        where = "".join(f"[{i}]" for i in path)
        raise ValueError(
            f"rg.array joins what has one shape, but {where or 'the list'} holds "
            f"{', '.join(map(str, sorted(shapes)))}"
        )
    return record(pile, *parts)


connect(nest=nest)


def array(data: Any, dtype: DTypeLike | None = None) -> Tensor:
    """Return nested lists of Tensors and numbers as one Tensor, through which gradients flow.

    It is `np.array` for lists that hold Tensors, of which NumPy would take the values alone.

    Args:
        data: A Tensor, a number, an array, or lists and tuples of these, as deep as you like; what
            stands side by side has one shape.
        dtype: The dtype; by default that which suits all, where Python's numbers go by the Tensors
            and arrays beside them.

    Returns:
        A Tensor with an axis for each level of lists, before those of what they hold; a copy.

    Raises:
        ValueError: if shapes side by side differ.
        TypeError: if something is no number.

    >>> t = rg.Tensor(2.0, requires_grad=True)
    >>> state = rg.array([t, -9.81 * np.sin(t)])
    >>> state.shape
    (2,)
    >>> np.sum(rg.array([[t, 1.0], [0.0, t]]) @ np.ones(2)).backward()
    >>> float(t.grad)
    2.0
    """
    made = nest(data) if holds_tensors(data) and not isinstance(data, Tensor) else data
    if isinstance(made, Tensor):
        made = made if made is not data else record(np.copy, made)
    else:
        made = wrap(np.array(as_array(made)))
    out: Tensor = made if dtype is None else made.astype(dtype)
    return out
