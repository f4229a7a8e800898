"""What ends all ranks when one cannot go on: else the others would wait for it for ever.

- A rank that is killed: `mpiexec` ends the others.
- An exception that nobody catches: it is printed with the rank's number, and ends all.
- A rank that has ended, whatever its exit code, while others wait for it: these find its farewell.
- Ranks that wait for each other in different calls: they tell each other in which.
- A rank that does not come, for as long as the group's timeout: those that wait end all.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
import time
from types import TracebackType
from typing import Any

import numpy as np

FAREWELL = 77  # the tag of the message by which a rank says that it has ended
WAITING = 78  # that of the message by which a rank says in what it waits, and what it did before
LOOKS = 0.25  # seconds between two looks of the watch
PATIENCE = 1.0  # seconds of waiting before it asks whether somebody has ended


class Watch:
    """Looks, in a thread of its own, how long this rank has been waiting for the others.

    Args:
        group: the group, for its rank, count and timeout.
        comm: its communicator.

    Attributes:
        began: when the rank began to wait, 0 while it does not.
        what: what it waits in.
    """

    def __init__(self, group: Any, comm: Any) -> None:
        from mpi4py import MPI

        self.began, self.what = 0.0, ""
        self._group = group
        self._comm = comm.Dup()  # whose messages are these only
        self._new_status = MPI.Status
        self._any = MPI.ANY_SOURCE
        # a farewell can be looked for in one thread, while another waits, where MPI allows it
        self._hears = MPI.Query_thread() == MPI.THREAD_MULTIPLE
        self._gone: dict[int, int] = {}  # the count at which a rank has ended
        self._waiting: dict[int, dict[int, str]] = {}  # the last calls of ranks that wait
        self._sent: list[Any] = []  # messages under way
        self._farewells: list[Any] = []  # these with their memory
        atexit.register(self._say_farewell)
        threading.Thread(target=self._look, name="retrograd watch", daemon=True).start()

    def _say_farewell(self) -> None:
        from mpi4py import MPI

        if MPI.Is_finalized():
            return
        # the calls that have come to their end
        count = np.array([self._group.count - bool(self._group.broken)])
        send = self._comm.Isend
        self._farewells = [(count, send(count, rank, FAREWELL)) for rank in self._others()]

    def _others(self) -> list[int]:
        return [rank for rank in range(self._group.size) if rank != self._group.rank]

    def _look(self) -> None:
        told = 0.0  # the wait that the others have been told of
        while True:
            time.sleep(LOOKS)
            began = self.began
            waited = time.monotonic() - began
            if not began or waited < PATIENCE:
                continue
            group = self._group
            if self._hears:
                if told != began:
                    told = began
                    calls = group.recent()
                    self._sent = [request for request in self._sent if not request.Test()]
                    self._sent += [self._comm.isend(calls, r, WAITING) for r in self._others()]
                self.hear()
            for rank, calls in self._waiting.items():
                self._compare(began, rank, calls)
            for rank, count in self._gone.items():
                if count < group.count and self.began == began:
                    self._end(f"rank {rank} has ended, and rank {group.rank} waits for it")
            if waited > group.timeout and self.began == began:
                self._end(f"rank {group.rank} has waited {waited:.0f} s for the other ranks")

    def hear(self) -> None:
        """Read the messages of the others. Both threads may do it: each message goes to one."""
        status = self._new_status()
        while self._hears and (message := self._comm.Improbe(self._any, FAREWELL, status)):
            count = np.array([0])
            message.Recv(count)
            self._gone[status.Get_source()] = int(count[0])
        while self._hears and (said := self._comm.improbe(self._any, WAITING, status)):
            self._waiting[status.Get_source()] = said.recv()

    def _compare(self, began: float, rank: int, calls: dict[int, str]) -> None:
        """End all if another rank, which waits too, has done something else in the same place."""
        mine = self._group.recent()
        for count in sorted(calls.keys() & mine.keys()):
            if calls[count] != mine[count] and self.began == began:
                self._end(
                    f"the ranks wait for each other: rank {self._group.rank} in {mine[count]}, "
                    f"rank {rank} in {calls[count]}"
                )

    def _end(self, why: str) -> None:
        count = self._group.count
        end_all(self._comm, f"{why} (in {self.what}, call {count} of what the ranks do together)")


def end_all(comm: Any, message: str) -> None:
    """Print a message and end the processes of all ranks."""
    print(f"retrograd: {message}: all ranks end", file=sys.stderr, flush=True)
    sys.stdout.flush()
    comm.Abort(1)
    os._exit(1)  # where the other thread holds MPI


@functools.cache
def abort_on_exceptions() -> None:
    """Let an exception that nobody catches end all ranks, after it is printed."""
    from mpi4py import MPI

    comm, before = MPI.COMM_WORLD, sys.excepthook

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.stdout.flush()
        print(f"retrograd: rank {comm.rank} of {comm.size} fails:", file=sys.stderr)
        before(kind, error, trace)
        sys.stderr.flush()
        time.sleep(0.1)  # mpiexec is to hand the message on before it hears of the end
        comm.Abort(1)

    sys.excepthook = end
