"""Sums and means over all ranks as recorded calls, which are lines of programs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from retrograd.engine import Array, Rule, Tensor, is_recording, is_rehearsal, primitive, run
from retrograd.engine import defvjp as _defvjp
from retrograd.parallel.group import Group, NotFiniteError


class SumOfRanks:
    """Adds up flat vectors of all ranks, the last element of which is a signature.

    While a program is recorded or compared, each rank goes on with its own numbers: see
    `retrograd.engine.is_rehearsal`. The gradient of the sum of a vector is the sum of the ranks'
    gradients.

    Args:
        group: the ranks.
    """

    def __init__(self, group: Group) -> None:
        # a function, which a program calls by its name
        def allreduce(x: Array, out: Array | None = None) -> Array:
            out = np.array(x, order="C") if out is None else out
            np.copyto(out, x)
            if not is_rehearsal():
                group.sum(out)
            return out

        def vjp(g: Any, out: Any, x: Any) -> Any:
            return self(g)

        self._group, self._allreduce = group, allreduce
        self._rule = Rule(allreduce, (vjp,), on_program=group.hear_program)

    def __reduce__(self) -> Any:
        return type(self), (self._group,)

    def __call__(self, x: Any) -> Any:
        """Return the sum over all ranks: of an array an array, of a Tensor a Tensor."""
        if isinstance(x, Tensor) or is_recording():
            return run(self._rule, (x,), {})
        return self._allreduce(x)


class MeanOfRanks:
    """Averages flat vectors of all ranks, each with a weight.

    The last elements are 1, which becomes the sum of the weights, and a signature. The mean must
    be finite: if it is not, all ranks raise NotFiniteError, which tells whose numbers were not.

    Args:
        group: the ranks.
    """

    def __init__(self, group: Group) -> None:
        def allreduce(x: Array, weight: float, out: Array | None = None) -> Array:
            out = np.empty_like(x) if out is None else out
            if weight:
                np.multiply(x, weight, out=out)
            else:  # whatever the numbers of a rank that has no part in it: nan, perhaps
                out[:-1] = 0.0
            out[-1] = x[-1]
            if not is_rehearsal():
                group.sum(out)
                # the dot product takes one pass and no array; it may overflow
                if not np.isfinite(out.dot(out)) and not np.isfinite(out).all():
                    _tell_whose(group, x[:-2] if weight else x[:0])
            mean = out[:-2]
            mean *= 1 / max(out[-2], 1)
            return out

        self._group, self._allreduce = group, allreduce
        self._rule = Rule(allreduce, on_program=group.hear_program)

    def __reduce__(self) -> Any:
        return type(self), (self._group,)

    def __call__(self, x: Any, weight: float) -> Any:
        """Return the mean over all ranks: of an array an array, of a Tensor a Tensor."""
        if isinstance(x, Tensor) or is_recording():
            return run(self._rule, (x,), {"weight": weight})
        return self._allreduce(x, weight)


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
