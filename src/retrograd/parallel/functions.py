"""What the ranks do together, as functions: who is who, sums, copies."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.checks import one_of, whole
from retrograd.engine import Tensor, TensorLike, escape, get_default_dtype, is_recording
from retrograd.parallel.group import Group, group_of
from retrograd.parallel.sums import SumOfRanks, as_dtype, summed_dtype, weigh_gradient

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def rank(comm: Any = None) -> int:
    """Return which of the ranks this process is: 0 for the first, or the only one.

    Args:
        comm: a communicator of mpi4py (default: all processes that `mpiexec` has started).

    Returns:
        A number from 0 to `size() - 1`.

    >>> if rg.parallel.rank() == 0:
    ...     print("only once")
    only once
    """
    return group_of(comm).rank


def size(comm: Any = None) -> int:
    """Return how many ranks there are: 1 without `mpiexec`.

    Args:
        comm: a communicator of mpi4py (default: all processes that `mpiexec` has started).

    Returns:
        A number from 1.

    >>> rg.parallel.size()
    1
    """
    return group_of(comm).size


@functools.cache
def sum_of(group: Group) -> SumOfRanks:
    """Return the sum over the ranks of a group."""
    return SumOfRanks(group)


def allreduce(x: ArrayLike | Tensor, op: str = "average", comm: Any = None) -> TensorLike:
    """Return the average, or the sum, of what all ranks have: the same on each.

    All ranks must call it. It differentiates, and in a compiled step it is a line of the program:
    the gradient that a rank gets is the average, or the sum, of all ranks' gradients.

    Args:
        x: an array, a Tensor or a number, floating, of one shape on all ranks.
        op: "average" (default) or "sum".
        comm: a communicator of mpi4py (default: all ranks).

    Returns:
        A Tensor of the shape of `x` for a Tensor, else an array.

    Raises:
        ValueError: for another `op`.
        TypeError: if `x` is not floating.
        RanksDifferError: if the shapes or dtypes differ.

    >>> correct, count = 93.0, 100.0  # of this rank's samples
    >>> right, of = rg.parallel.allreduce([correct, count], op="sum")
    >>> print(f"accuracy {right / of}")
    accuracy 0.93
    """
    one_of("op", op, "average", "sum")
    group = group_of(comm)
    given: Any = x if isinstance(x, Tensor) else np.asarray(x)
    if given.dtype.kind in "iub" and not isinstance(x, (np.ndarray, Tensor)):
        given = given.astype(get_default_dtype())
    if given.dtype.kind != "f":
        instead = "its .real and .imag" if given.dtype.kind == "c" else ".astype(float)"
        raise TypeError(f"allreduce takes floating numbers, not {given.dtype}: {instead}")
    if group.size == 1:
        return np.copy(given)
    total: TensorLike = sum_over_ranks(given, group)
    return total / group.size if op == "average" else total


def sum_over_ranks(x: Any, group: Group, weight: float = 1.0) -> Any:
    """Return the sum of arrays or Tensors of all ranks, each of floats.

    Args:
        x: this rank's.
        group: the ranks.
        weight: what the gradients of this rank are to be multiplied by before they are added up;
            the sum of them is divided by it.
    """
    kind = summed_dtype(x.dtype)
    signature = group.sign(f"{x.shape} of {x.dtype}")
    flat = weigh_gradient(as_dtype(x.reshape(-1), kind), 1 / weight)
    total = weigh_gradient(sum_of(group)(flat, signature), weight)
    return as_dtype(total.reshape(x.shape), x.dtype)


def broadcast(value: Any, root: int = 0, comm: Any = None) -> Any:
    """Return what one rank has, on all ranks.

    All ranks must call it.

    Args:
        value: anything that can be pickled; only that of the rank `root` matters.
        root: whose value it is (default 0).
        comm: a communicator of mpi4py (default: all ranks).

    Returns:
        The value of that rank, on the others a copy.

    Raises:
        ValueError: if there is no such rank.

    >>> rg.parallel.broadcast({"lr": 0.1})
    {'lr': 0.1}
    """
    _outside_of_programs("broadcast")
    group = group_of(comm)
    whole(at_least=0, root=root)
    if root >= group.size:
        raise ValueError(f"there are {group.size} ranks from 0, no rank {root!r}")
    return group.broadcast(value, root)


def barrier(comm: Any = None) -> None:
    """Wait until all ranks are here.

    Args:
        comm: a communicator of mpi4py (default: all ranks).

    >>> rg.parallel.barrier()
    """
    _outside_of_programs("barrier")
    group_of(comm).barrier()


def _outside_of_programs(name: str) -> None:
    if is_recording():
        escape(f"parallel.{name}", None, "call it before or after the step.")
