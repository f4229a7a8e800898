"""What ends all ranks when one cannot go on: else the others would wait for it for ever.

- A rank that is killed: `mpiexec` ends the others.
- An exception that nobody catches: it is printed with the rank's number, and ends all.
- A rank that has ended, whatever its exit code, while others wait for it: these find its farewell.
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
        self._comm = comm.Dup()  # whose messages are farewells only
        self._status = MPI.Status()
        self._any = MPI.ANY_SOURCE
        # a farewell can be looked for in one thread, while another waits, where MPI allows it
        self._hears = MPI.Query_thread() == MPI.THREAD_MULTIPLE
        self._gone: dict[int, int] = {}  # the count at which a rank has ended
        self._sent: list[Any] = []  # messages under way need their memory
        atexit.register(self._say_farewell)
        threading.Thread(target=self._look, name="retrograd watch", daemon=True).start()

    def _say_farewell(self) -> None:
        from mpi4py import MPI

        if MPI.Is_finalized():
            return
        count = np.array([self._group.count])
        others = (rank for rank in range(self._group.size) if rank != self._group.rank)
        self._sent = [(count, self._comm.Isend(count, rank, FAREWELL)) for rank in others]

    def _look(self) -> None:
        while True:
            time.sleep(LOOKS)
            began = self.began
            waited = time.monotonic() - began
            if not began or waited < PATIENCE:
                continue
            if self._hears:
                self._hear_farewells()
            group = self._group
            for rank, count in self._gone.items():
                if count < group.count and self.began == began:
                    self._end(f"rank {rank} has ended, and rank {group.rank} waits for it")
            if waited > group.timeout and self.began == began:
                self._end(f"rank {group.rank} has waited {waited:.0f} s for the other ranks")

    def _hear_farewells(self) -> None:
        while self._comm.Iprobe(self._any, FAREWELL, self._status):
            count = np.array([0])
            rank = self._status.Get_source()
            self._comm.Recv(count, rank, FAREWELL)
            self._gone[rank] = int(count[0])

    def _end(self, why: str) -> None:
        group = self._group
        text = f"{why} (in {self.what}, the {group.count}th thing that the ranks do together)"
        end_all(self._comm, text)


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
