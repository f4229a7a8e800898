"""The ranks that work together, and what they do together: sums, copies from one to all, talks.

All goes through a `Group`, one call after the other in the same order on every rank. It counts
them, watches how long they take, and at first compares what the ranks are about to do.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.checks import ensure
from retrograd.engine import Array
from retrograd.parallel.exchange import SHARED_FROM, DifferentSums, Messages, SharedMemory
from retrograd.parallel.faults import Watch, abort_on_exceptions

# So many calls at first are compared, and later each sum when it is new: that costs one more
# message. It covers the first steps of deep nets.
COMPARED = 128
RECENT = 8  # so many of the last calls are remembered, for ranks that wait for each other
# The mark of a sum tells what it is, by a number below 1024, and the count of the call by multiples
# of that. The sum of the marks is exact in float32, for 2,048 ranks.
COUNTS = 1024
TIMEOUT = 1800.0  # seconds
# How launchers tell a process how many there are.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
# With what the names begin that launchers set: of MPICH and its kin, Open MPI, Slurm, Cray, Flux.
_LAUNCHERS = ("PMI", "OMPI_", "MV2_", "SLURM_PROCID", "PALS_", "ALPS_", "FLUX_TASK_")


class RanksDifferError(RuntimeError):
    """The ranks do not do the same: other parameters, options, shapes or calls.

    >>> issubclass(rg.parallel.RanksDifferError, RuntimeError)
    True
    """


class NotFiniteError(FloatingPointError):
    """A gradient or a loss of some rank is not finite, so that no rank can go on.

    >>> issubclass(rg.parallel.NotFiniteError, ArithmeticError)
    True
    """


class Group:
    """Ranks that work together.

    Args:
        comm: a communicator of mpi4py, which is this group's alone; None for one process.

    Attributes:
        rank: which of the ranks this process is, from 0.
        size: how many there are.
        count: how many calls there were of what all ranks do together.
        broken: tells which call has not come to its end on this rank; empty while all have.
        timeout: how many seconds a rank waits for the others.
    """

    def __init__(self, comm: Any = None) -> None:
        self._comm = comm
        self.rank: int = 0 if comm is None else comm.rank
        self.size: int = 1 if comm is None else comm.size
        self.count, self.broken = 0, ""
        self.timeout = TIMEOUT
        self._told: dict[float, str] = {}  # what a sum is, by its signature
        self._compared: set[tuple[Any, ...]] = set()  # the sums that have been compared
        self._recent: list[tuple[Any, ...]] = [()] * RECENT  # the last calls, by their count
        self._program: tuple[str, ...] | None = None  # that the next call is a part of
        self._heard_program = False
        self._watch: Watch | None = None
        if self.size > 1:
            # sums have messages of their own, never to take those of another kind for theirs
            sums = duplicate(comm)
            self._messages, self._memory = Messages(sums), SharedMemory(sums)
            self._watch = Watch(self, comm)

    def __repr__(self) -> str:
        return f"<rank {self.rank} of {self.size}>"

    # What has a group can be copied and pickled: it is the same one then

    def __deepcopy__(self, memo: dict[int, Any]) -> Group:
        return self

    def __reduce__(self) -> Any:
        if self.size > 1 and self is not world():
            raise TypeError("ranks of a communicator of one's own cannot be pickled")
        return (world if self is world() else Group, ())

    # Calls that all ranks make together

    def sum(self, x: Array, out: Array, signature: float) -> None:
        """Write the sum of the vectors of all ranks into `out`, the same on each, bit for bit.

        Args:
            x: this rank's vector.
            out: a vector like `x`.
            signature: what the sum is of, by `sign`.

        Raises:
            RanksDifferError: if the ranks add up other things.
        """
        self._add_up(x, out, signature, 1.0, False)

    def mean(self, x: Array, out: Array, signature: float, weight: float) -> bool:
        """Write the weighted mean of the vectors of all ranks into `out`, as `sum` does the sum.

        Args:
            x: this rank's vector.
            out: a vector like `x`.
            signature: what the mean is of, by `sign`.
            weight: how much this rank counts, a whole number; 0 for not at all, whatever `x` is.

        Returns:
            Whether all of the mean is finite, the same on all ranks.

        Raises:
            RanksDifferError: if the ranks add up other things.
        """
        square = self._add_up(x, out, signature, weight, True)
        # it may overflow
        return math.isfinite(square) or bool(np.isfinite(out).all())

    def _add_up(self, x: Array, out: Array, signature: float, weight: float, mean: bool) -> float:
        """Add up vectors, by one of the ways of `exchange`; return a number, finite if all is."""
        self._meet("allreduce", signature, x.size, x.dtype)
        mark = signature + COUNTS * (self.count % RECENT)
        try:
            square: float = self._wait("allreduce", self._exchange, x, out, mark, weight, mean)
        except DifferentSums:
            what = self._told.get(signature, "values")
            raise RanksDifferError(
                f"{self._name()} sums up {what}, call {self.count} of what the ranks do together, "
                "another rank something else: all must make the same calls, in one order"
            ) from None
        except Exception as error:
            what = self._told.get(signature, "values")
            raise RanksDifferError(f"{self._name()}: the sum of {what} failed: {error}") from error
        return square

    def _exchange(self, x: Array, *args: Any) -> float:
        """Add up vectors in shared memory, if they are long and the ranks have such memory."""
        is_shared = x.nbytes >= SHARED_FROM and self._memory.has_room(x.nbytes)
        return (self._memory if is_shared else self._messages)(x, *args)

    def gather(self, value: Any) -> list[Any]:
        """Return what each rank has, by rank; what can be pickled."""
        if self.size == 1:
            return [value]
        self._meet("gather", "values")
        found: list[Any] = self._wait("gather", self._comm.allgather, value)
        return found

    def broadcast(self, value: Any, root: int = 0) -> Any:
        """Return what one rank has, on all; what can be pickled."""
        if self.size == 1:
            return value
        self._meet("broadcast", f"values of rank {root}")
        return self._wait("broadcast", self._comm.bcast, value, root)

    def copy(self, array: Array, root: int = 0) -> None:
        """Write the values of one rank's array into those of the others."""
        if self.size == 1:
            return
        self._meet("broadcast", f"{array.size} numbers of {array.dtype} of rank {root}")
        buffer = np.ascontiguousarray(array)
        as_bytes = buffer.reshape(-1).view(np.uint8)
        self._wait("broadcast", self._comm.Bcast, as_bytes, root)
        if buffer is not array and self.rank != root:
            array[...] = buffer

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            self._meet("barrier")
            self._wait("barrier", self._comm.Barrier)

    # Whether they do the same

    def sign(self, what: str) -> float:
        """Return a number that stands for what a sum is of: its signature."""
        digest = 0
        for byte in what.encode():
            digest = (digest * 257 + byte) % 1021
        self._told[float(digest + 1)] = what
        return float(digest + 1)

    def hear_program(self, calls: Sequence[str]) -> None:
        """Take note of a new program, which the ranks compare when they first run one."""
        if not self._heard_program:
            self._heard_program, self._program = True, tuple(calls)

    def compare(self, what: str, value: Any) -> None:
        """Raise RanksDifferError, on all ranks, if they have different values of something."""
        found = self.gather(value)
        if any(other != found[0] for other in found):
            each = "; ".join(f"rank {i} has {other}" for i, other in enumerate(found))
            raise RanksDifferError(f"the ranks differ in {what}: {each}")

    def recent(self) -> dict[int, str]:
        """Return what this rank did together with the others in its last calls, by their count."""
        return {call[0]: self._describe(*call[1:]) for call in self._recent if call}

    def _describe(self, kind: str, *what: Any) -> str:
        if kind != "allreduce":
            return " of ".join((kind, *what))
        signature, size, dtype = what
        return f"{kind} of {self._told.get(signature, 'values')}: {size} numbers of {dtype}"

    def _meet(self, *call: Any) -> None:
        """Count a call, and compare it with those of the other ranks while it is new.

        Args:
            *call: its kind, and what it is of: of a sum the signature, the size and the dtype.
        """
        if self.broken:
            raise RanksDifferError(
                f"{self._name()} was interrupted in {self.broken}, which the others have gone on "
                "with: the ranks are not equal any more. Start them anew, from a checkpoint"
            )
        self.count += 1
        self._recent[self.count % RECENT] = (self.count, *call)
        is_known = call[0] != "allreduce" or call in self._compared
        if self.count > COMPARED and is_known:
            if self._watch is not None and self.count % 256 == 0:
                self._watch.hear()
            return
        self._compared.add(call)
        kind: str = call[0]
        program, self._program = self._program, None
        mine = (self.count, self._describe(*call), program)
        found = self._wait(kind, self._comm.allgather, mine)
        if all(other[:2] == mine[:2] for other in found):
            programs = {i: other[2] for i, other in enumerate(found) if other[2] is not None}
            self._compare_programs(programs)
            return
        each = "; ".join(f"rank {i}: {what}" for i, (_, what, _) in enumerate(found))
        raise RanksDifferError(
            f"the ranks do not do the same. {each}. All ranks must have the same model, and run "
            "the same calls in one order"
        )

    def _compare_programs(self, programs: dict[int, tuple[str, ...]]) -> None:
        if len({*programs.values()}) < 2:
            return
        first, mine = next(iter(programs.items()))
        for rank, other in programs.items():
            pairs = zip((*mine, "no call"), (*other, "no call"), strict=False)
            at, pair = next(((i, p) for i, p in enumerate(pairs) if p[0] != p[1]), (0, ("", "")))
            if pair[0] != pair[1]:
                raise RanksDifferError(
                    f"the ranks run other programs: rank {rank} calls {pair[1]} where rank {first} "
                    f"calls {pair[0]}, call {at + 1} of the recorded step"
                )

    # Waiting

    def _wait(self, what: str, call: Callable[..., Any], *args: Any) -> Any:
        watch = self._watch
        if watch is None:
            return call(*args)
        watch.began, watch.what = time.monotonic(), what
        try:
            return call(*args)
        except DifferentSums:  # on all ranks
            raise
        except BaseException:
            self.broken = f"{what}, call {self.count} of what the ranks do together"
            raise
        finally:
            watch.began = 0.0

    def _name(self) -> str:
        return f"rank {self.rank} of {self.size}"


@functools.cache
def world() -> Group:
    """Return the group of all ranks: of one where no MPI is, or no `mpiexec` has started this.

    MPI is not started without need: some machines allow it in jobs only. Whoever has a launcher
    that is not known here imports `mpi4py.MPI` before.

    Raises:
        ImportError: if this is one of several processes, and mpi4py is not installed.
        RuntimeError: if mpi4py belongs to another MPI than that which started this.
    """
    launched = max(int(os.environ.get(name) or 1) for name in _SIZES)
    is_launched = any(name.startswith(_LAUNCHERS) for name in os.environ)
    if not is_launched and "mpi4py.MPI" not in sys.modules:
        return Group()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        if launched > 1:
            raise ImportError(
                f"this is one of {launched} processes, which need mpi4py to work together: "
                'pip install "retrograd[mpi]"'
            ) from error
        return Group()
    comm = MPI.COMM_WORLD
    if comm.size == 1 < launched:
        raise RuntimeError(
            f"this is one of {launched} processes, but mpi4py knows only this one: it belongs to "
            "another MPI than mpiexec. Use the mpiexec beside this Python"
        )
    return _own_group(comm)


_groups: dict[int, Group] = {}  # by the handle of the communicator


def group_of(comm: Any = None) -> Group:
    """Return the group of a communicator of mpi4py, or that of all ranks for None."""
    if comm is None:
        return world()
    good = hasattr(comm, "Allreduce") and hasattr(comm, "handle")
    ensure(good, "comm", "a communicator of mpi4py, or None for all ranks", comm)
    return _groups.get(comm.handle) or _own_group(comm)


def _own_group(comm: Any) -> Group:
    """Return a group with a copy of a communicator."""
    if comm.size == 1:
        return _groups.setdefault(comm.handle, Group())
    abort_on_exceptions()
    return _groups.setdefault(comm.handle, Group(duplicate(comm)))


def duplicate(comm: Any) -> Any:
    """Return a copy of a communicator, whose messages no other can meet, and that raises errors."""
    from mpi4py import MPI

    own = comm.Dup()
    own.Set_errhandler(MPI.ERRORS_RETURN)
    return own
