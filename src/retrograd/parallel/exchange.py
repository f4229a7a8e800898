"""How vectors of all ranks are added up: in memory that the ranks share, or by messages.

**Messages.** MPI's Allreduce adds up arrays of any ranks, wherever they run. On one machine it
copies what it sends into buffers of its own and out again, piece by piece.

**Shared memory.** Ranks on one machine can do with less: they map one file that lies in memory,
so that each reads at once what another has written there. The vector is cut into as many parts as
there are ranks, and each rank adds up one part. The memory is a table of boxes, each for one part:

                 part 0                part 1
    rank 0   | sum of part 0    | part 1 of rank 0 |
    rank 1   | part 0 of rank 1 | sum of part 1    |

1. Each rank writes into its row the parts that others add up.
2. They meet: nobody goes on before all have come. Each tells its weight.
3. Each adds up its part, that of its own vector and those in its column, in the box that is left.
4. They meet again. Each tells the sum of squares of its part, which is finite if that is.
5. Each reads the sums of the others.

The next vector, of whatever length, needs no third meeting in between. What a rank writes in step 1
has been read in step 3, before the second meeting; and it writes a sum only after the next first
meeting, to which everybody comes with the old sums read. Each sum is made by one rank alone, so
that all have the same, bit for bit. A meeting is a message of two numbers to everybody; and what a
rank wrote before its message, others see after it.

The file has no name any more as soon as all have mapped it: it goes when the last process does that
maps it, however that ends.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.engine import Array

FOLDER = "/dev/shm"  # whose files lie in memory, on Linux; elsewhere there are messages only
# Bytes: fewer are added up by messages in less time. What two ranks took for it in a step, in five
# runs: for 0.29 MB 100 to 265 us by messages and 203 to 341 in shared memory; for 1.08 MB 524 to
# 627 and 383 to 532.
SHARED_FROM = 1 << 19
LINE = 64  # bytes of a line of a processor's cache, which is to be written by one rank only
SPIN = 1e-3  # seconds for which a rank asks without a pause whether the others have come
PAUSE = 0.01  # seconds of the longest pause


class DifferentSums(Exception):
    """The ranks add up different things."""


class Messages:
    """Adds up vectors of all ranks by messages, one Allreduce for each vector.

    Args:
        comm: a communicator of mpi4py, for these messages only.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._comm, self._in_place = comm, MPI.IN_PLACE
        self._memory = np.empty(0, np.uint8)

    @np.errstate(over="ignore", invalid="ignore")
    def __call__(self, x: Array, out: Array, mark: float, weight: float, mean: bool) -> float:
        """Write the weighted sum, or the mean, of the vectors of all ranks into `out`.

        Args:
            x: this rank's vector, of floats; whatever it is where `weight` is 0.
            out: a vector like `x`.
            mark: a whole number above 0 that tells one sum from others.
            weight: a whole number from 0 on.
            mean: whether the sum is divided by that of the weights, if that is not 0.

        Returns:
            A number, the same on all ranks, which is finite only if all of `out` is.

        Raises:
            DifferentSums: if the ranks have different marks.
        """
        n = x.size
        message = self._message(n + 2, x.dtype)
        total = message[:n]
        if weight:
            np.multiply(x, weight, out=total)
        else:  # nan, perhaps
            total.fill(0.0)
        message[n:] = weight, mark
        self._comm.Allreduce(self._in_place, message)
        if message[n + 1] != self._comm.size * mark:
            raise DifferentSums
        np.multiply(total, 1 / max(message[n].item(), 1) if mean else 1, out=out)
        return float(out.dot(out))  # one pass and no array

    def _message(self, size: int, dtype: Any) -> Array:
        nbytes = size * dtype.itemsize
        if self._memory.size < nbytes:
            self._memory = np.empty(nbytes, np.uint8)
        return self._memory[:nbytes].view(dtype)


class SharedMemory:
    """Adds up vectors of all ranks in memory that they share, if they can.

    Args:
        comm: a communicator of mpi4py, for the messages of the meetings only.
    """

    def __init__(self, comm: Any) -> None:
        self._comm, self._rank = comm, comm.rank
        self._size: int = comm.size
        self._boxes = np.empty((self._size, self._size, 0), np.uint8)
        self._length = 0  # of a box, in bytes
        self._refused = float("inf")  # from so many bytes on there is none

    def has_room(self, nbytes: int) -> bool:
        """Tell whether vectors of so many bytes can be added up, the same on all ranks.

        All ranks must ask for the same, since they make the memory larger together.
        """
        length = self._length_for(nbytes)
        if self._length < length and nbytes < self._refused:
            memory = share_memory(self._comm, self._size**2 * length)
            if memory is None:
                self._refused = nbytes
            else:
                self._boxes, self._length = memory.reshape(self._size, self._size, length), length
        return length <= self._length

    def _length_for(self, nbytes: int) -> int:
        """Return the bytes of a part of a vector, whole lines."""
        return -(-nbytes // (self._size * LINE)) * LINE

    @np.errstate(over="ignore", invalid="ignore")
    def __call__(self, x: Array, out: Array, mark: float, weight: float, mean: bool) -> float:
        """Write the weighted sum, or the mean, of the vectors of all ranks into `out`.

        It does what `Messages` does, for vectors for which it has room.
        """
        rank, step = self._rank, self._length_for(x.nbytes) // x.itemsize
        parts = [slice(i * step, (i + 1) * step) for i in range(self._size)]
        others = [i for i in range(self._size) if i != rank]
        for i in others:
            part = x[parts[i]]
            np.copyto(self._box(rank, i, part), part)
        weights = self._hear(mark, self._tell(mark, weight))
        mine = x[parts[rank]]
        total = self._box(rank, rank, mine)
        terms = [(self._box(i, rank, mine), weights[i]) for i in others]
        factor = add_up([(mine, weight), *terms], total)
        if mean:
            factor /= max(sum(weights), 1)
        if factor != 1:
            total *= factor
        message = self._tell(-mark, total.dot(total))  # one pass and no array
        np.copyto(out[parts[rank]], total)  # before the others are there
        squares = self._hear(-mark, message)
        for i in others:
            part = out[parts[i]]
            np.copyto(part, self._box(i, i, part))
        return sum(squares)

    def _box(self, rank: int, part: int, like: Array) -> Array:
        """Return the place in a box for a part of a vector."""
        found: Array = self._boxes[rank, part, : like.nbytes].view(like.dtype)
        return found

    def _tell(self, mark: float, value: float) -> tuple[Any, Array]:
        """Tell all ranks that this one is there, with a value, and return what `_hear` needs."""
        found = np.empty((self._size, 2))
        return self._comm.Iallgather(np.array([mark, value]), found), found

    def _hear(self, mark: float, message: tuple[Any, Array]) -> list[float]:
        """Wait until all ranks are there, and return the value of each."""
        request, found = message
        wait_for(request)
        marks, values = found.T.tolist()
        if any(other != mark for other in marks):
            raise DifferentSums
        return values  # type: ignore[no-any-return]


def add_up(terms: Sequence[tuple[Array, float]], out: Array) -> float:
    """Write the weighted sum of some vectors into `out`, but for a factor, which is returned.

    Mostly all weights are equal, and nothing is multiplied: the largest weight is the factor.

    Args:
        terms: vectors, each with its weight from 0 on; all but the first may be written to.
        out: a vector like each of them.
    """
    largest = max(weight for _, weight in terms)
    total = None
    for term, weight in terms:
        if not weight:  # whatever the numbers are: nan, perhaps
            continue
        if weight != largest:
            term = np.multiply(term, weight / largest, out=out if total is None else term)
        total = term if total is None else np.add(total, term, out=out)
    if total is None:
        out.fill(0.0)
    elif total is not out:
        np.copyto(out, total)
    return float(largest)


def wait_for(request: Any) -> None:
    """Wait for a request of mpi4py, at first without a pause, then asking less and less often.

    So a rank that comes late is met at once, and one that comes very late has kept no core busy.
    """
    start = time.perf_counter()
    while not request.Test():
        waited = time.perf_counter() - start
        if waited < SPIN:
            os.sched_yield()  # to a rank that has no core of its own
        else:
            time.sleep(min(waited / 8, PAUSE))


def share_memory(comm: Any, nbytes: int) -> Array | None:
    """Return memory that all ranks share, as bytes; on all ranks None where that cannot be."""
    path = ""
    try:
        if comm.rank == 0:
            path = make_file(nbytes)
        path = comm.bcast(path)
        memory = map_file(path, nbytes) if path else None
        # ranks on another machine do not find the file
        return memory if all(comm.allgather(memory is not None)) else None
    finally:
        if comm.rank == 0 and path:
            os.unlink(path)


def make_file(nbytes: int) -> str:
    """Return the path of a new file in memory, or "" where there is no room for it."""
    path = os.path.join(FOLDER, f"retrograd-{os.urandom(8).hex()}")
    try:
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except OSError:
        return ""
    try:
        # not only a length: to write where no memory is left would end the process
        os.posix_fallocate(number, 0, nbytes)
    except OSError:
        os.unlink(path)
        return ""
    finally:
        os.close(number)
    return path


def map_file(path: str, nbytes: int) -> Array | None:
    """Return a file as bytes, which are written to it; None if it cannot be opened."""
    try:
        with open(path, "r+b") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), nbytes), np.uint8)
    except OSError:
        return None
