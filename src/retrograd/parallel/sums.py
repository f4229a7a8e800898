"""The sum over all ranks as a recorded call: it has a gradient, and is a line of programs."""

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
        needs_finite: whether a sum that is not finite is an error, NotFiniteError on all ranks,
            which tells whose numbers were not.
    """

    def __init__(self, group: Group, needs_finite: bool = False) -> None:
        self.group, self._needs_finite = group, needs_finite

        # a function, which a program calls by its name
        def allreduce(x: Array, out: Array | None = None) -> Array:
            return self._fill(x, np.empty_like(x) if out is None else out)

        def vjp(g: Any, out: Any, x: Any) -> Any:
            return self(g)

        vjp.__module__ = __name__
        self._rule = Rule(allreduce, (vjp,), on_program=group.hear_program)

    def __call__(self, x: Any) -> Any:
        """Return the sum over all ranks: of an array an array, of a Tensor a Tensor."""
        if isinstance(x, Tensor) or is_recording():
            return run(self._rule, (x,), {})
        return self._fill(x, np.empty_like(x))

    def _fill(self, x: Array, out: Array) -> Array:
        if is_rehearsal():
            np.copyto(out, x)
            return out
        sent = np.ascontiguousarray(x)
        self.group.sum(sent, out)
        # the dot product takes one pass and no array; it may overflow
        if self._needs_finite and not np.isfinite(out.dot(out)) and not np.isfinite(out).all():
            self._tell_whose(sent)
        return out

    def _tell_whose(self, sent: Array) -> None:
        # all ranks have the same sum, so that all are here
        counts = self.group.gather(int(np.count_nonzero(~np.isfinite(sent))))
        each = [f"rank {rank} has {n}" for rank, n in enumerate(counts) if n]
        whose = ", ".join(each) or "no rank has one, but their sum overflows"
        raise NotFiniteError(
            f"gradients or losses are not finite: of {sent.size - 2} numbers {whose}. Nothing was "
            "updated"
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
def constant(value: float, dtype: Any, count: int = 1) -> Array:
    """Return a vector of one value, which is a constant of a program: the same in each run."""
    made = np.full(count, value, dtype)
    made.flags.writeable = False
    return made


@functools.cache
def no_part(size: int, signature: float, dtype: Any) -> Array:
    """Return what a rank adds to a sum that has nothing to add: zeros, and the signature."""
    made = np.append(np.zeros(size, dtype), np.array(signature, dtype))
    made.flags.writeable = False
    return made
