"""Sums and means over all ranks as recorded calls, which are lines of programs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from retrograd.engine import Array, Rule, Tensor, is_recording, is_rehearsal, primitive, run
from retrograd.engine import defvjp as _defvjp
from retrograd.parallel.group import Group, NotFiniteError


class SumOfRanks:
    """Adds up vectors of all ranks.

    While a program is recorded or compared, each rank goes on with its own numbers: see
    `retrograd.engine.is_rehearsal`. The gradient of the sum of a vector is the sum of the ranks'
    gradients.

    Args:
        group: the ranks.
    """

    def __init__(self, group: Group) -> None:
        # a function, which a program calls by its name
        def allreduce(x: Array, signature: float, out: Array | None = None) -> Array:
            out = np.empty(x.shape, x.dtype) if out is None else out
            if is_rehearsal():
                np.copyto(out, x)
            else:
                group.sum(x, out, signature)
            return out

        def vjp(g: Any, out: Any, x: Any, signature: float) -> Any:
            return self(g, signature)

        self._group, self._allreduce = group, allreduce
        self._rule = Rule(allreduce, (vjp,), on_program=group.hear_program)

    def __reduce__(self) -> Any:
        return type(self), (self._group,)

    def __call__(self, x: Any, signature: float) -> Any:
        """Return the sum over all ranks: of an array an array, of a Tensor a Tensor.

        Args:
            x: this rank's vector.
            signature: what it is, by the group's `sign`.
        """
        if isinstance(x, Tensor) or is_recording():
            return run(self._rule, (x,), {"signature": signature})
        return self._allreduce(x, signature)


class MeanOfRanks:
    """Averages vectors of all ranks, each with a weight.

    The mean must be finite: if it is not, all ranks raise NotFiniteError, which tells whose numbers
    were not. While a program is recorded, each rank goes on with its own numbers, as for a sum.

    Args:
        group: the ranks.
    """

    def __init__(self, group: Group) -> None:
        def allreduce(x: Array, weight: float, signature: float, out: Array | None = None) -> Array:
            out = np.empty(x.shape, x.dtype) if out is None else out
            if is_rehearsal():
                np.copyto(out, x if weight else 0.0)
            elif not group.mean(x, out, signature, weight):
                _tell_whose(group, x if weight else x[:0])
            return out

        self._group, self._allreduce = group, allreduce
        self._rule = Rule(allreduce, on_program=group.hear_program)

    def __reduce__(self) -> Any:
        return type(self), (self._group,)

    def __call__(self, x: Any, weight: float, signature: float) -> Any:
        """Return the mean over all ranks: of an array an array, of a Tensor a Tensor.

        Args:
            x: this rank's vector.
            weight: how much it counts.
            signature: what it is, by the group's `sign`.
        """
        if isinstance(x, Tensor) or is_recording():
            return run(self._rule, (x,), {"weight": weight, "signature": signature})
        return self._allreduce(x, weight, signature)


def _tell_whose(group: Group, mine: Array) -> None:
    """Raise NotFiniteError on all ranks, which are all here, since they have the same sum."""
    counts = group.gather(int(np.count_nonzero(~np.isfinite(mine))))
    each = [f"rank {rank} has {n}" for rank, n in enumerate(counts) if n]
    whose = ", ".join(each) or "no rank has one, but their sum overflows"
    raise NotFiniteError(
        f"gradients or losses are not finite: of {mine.size} numbers {whose}. Nothing was updated"
    )


@primitive
def weigh_gradient(x: Any, factor: float) -> Any:
    """Return `x`; its gradient is multiplied by a factor on its way back."""
    return np.copy(x)


_defvjp(weigh_gradient, lambda g, out, x, factor: g * factor)


def as_dtype(x: Any, dtype: Any) -> Any:
    """Return an array or a Tensor in a dtype, itself where it has that."""
    return x if x.dtype == dtype else x.astype(dtype)


def summed_dtype(dtype: Any) -> Any:
    """Return the dtype in which numbers of a dtype are summed: MPI has no halves."""
    return np.dtype(np.float32) if dtype.itemsize < 4 else dtype


@functools.cache
def constant(dtype: Any, *values: float) -> Array:
    """Return a vector of values, which is a constant of a program: the same in each run."""
    made = np.array(values, dtype)
    made.flags.writeable = False
    return made
