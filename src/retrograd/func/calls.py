"""One call of a function on a batch: its arguments with a leading axis more, and how it is run.

The function itself knows nothing of the axis. `one_by_one` always works; `retrograd.func.batchers`
has what is faster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.engine import Rule, Tensor, run


class Batched:
    """A value with the leading axis inside of an argument, such as an array of a tuple of indices.

    Args:
        value: the array or Tensor.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Call:
    """One call, for all entries of a batch.

    Args:
        rule: The rule of the function.
        args: The arguments for one entry, as arrays.
        values: The arguments for all: those that are flagged have the leading axis.
        flags: A bool for each argument.
        kwargs: The keywords, with `Batched` values where these have the leading axis.
        size: The length of the leading axis.
        shape: That of the result for one entry, if it is known.

    Attributes:
        x: The first argument.
        ndim: How many axes each argument has without the leading one.
    """

    def __init__(
        self,
        rule: Rule,
        args: Sequence[Any],
        values: list[Any],
        flags: Sequence[bool],
        kwargs: dict[str, Any],
        size: int,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        self.rule, self.args, self.values, self.flags = rule, args, values, flags
        self.kwargs, self.size = kwargs, size
        self._shape = shape
        self.x: Any = values[0] if values else None
        self.ndim = [getattr(a, "ndim", 0) for a in args]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result, with the leading axis."""
        if self._shape is None:
            self._shape = np.shape(self.rule.run(*self.args, **self.kwargs))
        return self.size, *self._shape

    def map_flagged(self, change: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        """Return the values with those changed that have the leading axis."""
        return [change(v) if flag else v for v, flag in zip(values, self.flags, strict=True)]

    def run(self, values: Sequence[Any], /, **changes: Any) -> Any:
        """Run the function on these values, with other keywords where some are given."""
        kwargs = {**self.kwargs, **changes} if changes else self.kwargs
        for v in values:
            if isinstance(v, Tensor):
                return run(self.rule, tuple(values), kwargs)
        return self.rule.run(*values, **kwargs)


# How often each function was run one by one, by name: see `vmap.report`.
ONE_BY_ONE: Counter[str] = Counter()


def one_by_one(c: Call) -> Any:
    """Run a function once for each entry of the batch."""
    ONE_BY_ONE[c.rule.name] += 1
    rows = []
    for i in range(c.size):
        values = [
            v[i] if flag and hasattr(v, "ndim") else entry(v, i)
            for v, flag in zip(c.values, c.flags, strict=True)
        ]
        rows.append(c.run(values, **{name: entry(v, i) for name, v in c.kwargs.items()}))
    if not c.rule.multi:
        return _stack(c, rows)
    columns = [_stack(c, part) for part in zip(*rows, strict=True)]
    return rows[0]._make(columns) if hasattr(rows[0], "_make") else tuple(columns)


def _stack(c: Call, rows: Sequence[Any]) -> Any:
    shapes = {np.shape(row) for row in rows}
    if len(shapes) > 1:
        first, second, *_ = sorted(shapes)
        raise ValueError(
            f"{c.rule.name} gives results of different shapes in one batch, such as {first} and "
            f"{second}: their shape must not depend on values. np.where(condition, x, y) keeps "
            "the shape"
        )
    return np.stack(rows)


def entry(value: Any, i: int) -> Any:
    """Return what an argument, also one that has batched values inside, is for one entry."""
    if isinstance(value, Batched):
        one = value.value[i]
        return one._array if isinstance(one, Tensor) else one
    if isinstance(value, (tuple, list)):
        return type(value)(entry(v, i) for v in value)
    return value


def look_at(value: Any, find: Callable[[Any], Any]) -> tuple[Any, bool]:
    """Return an argument with `Batched` values for arrays in it that have them, and whether any do.

    Args:
        value: an argument, or a part of one.
        find: returns the batched value of an array, or None.
    """
    if isinstance(value, np.ndarray):
        batched = find(value)
        return (value, False) if batched is None else (Batched(batched), True)
    if isinstance(value, (tuple, list)):
        parts = [look_at(v, find) for v in value]
        if any(flag for _, flag in parts):
            return type(value)(part for part, _ in parts), True
    return value, False


def widen(x: Any, ndim: int) -> Any:
    """Put axes of length 1 behind the leading one, for `ndim` axes in all."""
    gap = (1,) * (ndim - x.ndim)
    return x.reshape((*x.shape[:1], *gap, *x.shape[1:])) if gap else x


def repeat(x: Any, size: int) -> Any:
    """Return an argument that has no leading axis with one, along which it is repeated."""
    return np.broadcast_to(x, (size, *x.shape))
