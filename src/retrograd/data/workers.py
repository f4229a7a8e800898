"""Worker processes that read batches: `DataLoader(..., num_workers=n)`.

Batch k is read by worker k modulo n. Each worker has two pipes: indices come in by one, batches go
out by the other, arrays as their bytes. A worker has a fixed number of batches to read at a time,
which bounds the memory. What ends a worker:

- the loop is over, left or fails, or the process that has the loader is gone: its pipes are closed,
  which it sees before the next sample batch; where it does not come to that in time, it is killed;
- Ctrl-C is for the process that has the loader alone.

Where a worker is gone, the process that waits for it sees its end at once, and raises.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.reduction import ForkingPickler
from typing import Any

from retrograd.data.pipes import receive
from retrograd.data.reading import Reader
from retrograd.data.worker import work
from retrograd.engine import Array, get_default_dtype

AHEAD = 2  # batches that each worker reads ahead, unless the loader is told how many
PATIENCE = 1.0  # seconds that workers have to end by themselves

# forks of other threads must not get the ends of pipes that are being handed over
_starting = threading.Lock()


def context_of(given: str | BaseContext | None) -> Any:
    """Return what makes processes.

    Args:
        given: a way of starting them, a context, or None for the system's.

    Raises:
        ValueError: if there is no such way here.
    """
    if isinstance(given, BaseContext):
        return given.get_context()
    ways = multiprocessing.get_all_start_methods()
    if given is not None and given not in ways:
        names = ", ".join(map(repr, ways))
        raise ValueError(f"multiprocessing_context must be one of {names} here, not {given!r}")
    return multiprocessing.get_context(given)


def read_in_workers(
    reader: Reader, parts: Iterable[Array], count: int, *, ahead: int, seed: int, context: Any
) -> Iterator[Any]:
    """Yield batches, in order, that worker processes read.

    What a worker raises is raised in its place.

    Args:
        reader: reads a batch.
        parts: the indices of the samples of each batch.
        count: how many workers there are.
        ahead: how many batches they read ahead together; 0 for 2 each.
        seed: decides what is drawn while samples are read.
        context: makes the processes.
    """
    team = _Team(reader, count, seed, context)
    try:
        team.start()
        yield from team.batches(enumerate(parts), -(-ahead // count) or AHEAD)
    finally:
        team.close()


class _Worker:
    """A worker, as the process that has the loader sees it."""

    def __init__(self, process: Any, tasks: Any, results: Any, at: Any) -> None:
        self.process, self.tasks, self.results = process, tasks, results
        self.at = at  # shared memory: the index of the sample that it reads, or -1
        self.asked: deque[Array] = deque()  # the indices of the batches that it is to read
        self.has_answered = False


class _Team:
    def __init__(self, reader: Reader, count: int, seed: int, context: Any) -> None:
        self._context, self._count, self._seed = context, count, seed
        self._is_forked = context.get_start_method() == "fork"
        self._job = reader if self._is_forked else _pickled(reader, context)
        self._workers: list[_Worker] = []
        self._owner = os.getpid()

    # Starting and ending

    def start(self) -> None:
        for number in range(self._count):
            with _starting, _without_interrupts(), _without_warning_of_forks():
                self._start_one(number)

    def _start_one(self, number: int) -> None:
        inbox, tasks = self._context.Pipe(duplex=False)
        results, outbox = self._context.Pipe(duplex=False)
        # a fork has all that is open here: an end that it kept would never be closed
        ours = [end for each in self._workers for end in (each.tasks, each.results)]
        ours = [*ours, tasks, results] if self._is_forked else []
        at = self._context.RawValue("q", -1)
        process = self._context.Process(
            target=work, args=(self._job, self._seed, inbox, outbox, at, ours), daemon=True,
            name=f"retrograd worker {number}",
        )  # fmt: skip
        self._workers.append(_Worker(process, tasks, results, at))
        try:
            process.start()
        finally:
            inbox.close()
            outbox.close()

    def close(self) -> None:
        """End the workers, and wait until they have ended."""
        if os.getpid() != self._owner:
            return
        started = [each.process for each in self._workers if each.process.pid is not None]
        try:
            for worker in self._workers:
                worker.tasks.close()
                worker.results.close()
            end = time.monotonic() + PATIENCE
            for process in started:
                process.join(max(0.0, end - time.monotonic()))
        finally:
            for process in started:
                process.kill()
            for process in started:
                process.join()
                process.close()

    # Batches

    def batches(self, parts: Iterator[tuple[int, Array]], ahead: int) -> Iterator[Any]:
        for place, part in itertools.islice(parts, ahead * self._count):
            self._ask(self._workers[place % self._count], part)
        for worker in itertools.cycle(self._workers):
            if not worker.asked:
                return
            answer = self._answer(worker)
            worker.asked.popleft()
            for _, part in itertools.islice(parts, 1):
                self._ask(worker, part)
            yield answer

    def _ask(self, worker: _Worker, part: Array) -> None:
        worker.asked.append(part)
        # where it has ended, what it has answered comes first
        with contextlib.suppress(OSError):
            worker.tasks.send(part)

    def _answer(self, worker: _Worker) -> Any:
        if os.getpid() != self._owner:
            raise RuntimeError(
                "the workers of this iteration are those of another process, which was forked "
                "within an epoch: begin a new iteration of the loader"
            )
        ends = {each.process.sentinel: each for each in self._workers}
        ready = wait([worker.results, *ends])
        if worker.results not in ready:
            raise self._ended(next(each for end, each in ends.items() if end in ready))
        try:
            kind, *answer = receive(worker.results)
        except (EOFError, OSError):
            raise self._ended(worker) from None
        worker.has_answered = True
        if kind == "batch":
            return answer[0]
        raise self._failure(worker, *answer)

    def _name(self, worker: _Worker) -> str:
        return f"worker {self._workers.index(worker)} of {self._count}"

    def _failure(
        self, worker: _Worker, packed: bytes | None, text: str, at: int | None
    ) -> BaseException:
        indices = worker.asked[0]
        what = f"the sample at index {at}" if at is not None else f"the samples {_some(indices)}"
        note = f"{self._name(worker)} failed at {what}:\n\n{text}"
        error = None
        if packed is not None:
            with contextlib.suppress(Exception):
                error = pickle.loads(packed)
        if not isinstance(error, BaseException):
            return RuntimeError(note)
        error.add_note(note)
        return error

    def _ended(self, worker: _Worker) -> RuntimeError:
        process = worker.process
        process.join(PATIENCE)
        code = process.exitcode
        how = f"has ended with exit code {code}"
        if code is not None and code < 0:
            known = [each.name for each in signal.Signals if each == -code]
            how = f"was ended by {known[0] if known else f'signal {-code}'}"
        at = worker.at.value
        reads = f" while it read the sample at index {at}" if at >= 0 else ""
        hint = "the system ends processes where memory is short: try fewer workers"
        if not worker.has_answered and not self._is_forked:
            hint = (
                "it imports the script anew, whose own work must stand under "
                "`if __name__ == '__main__':`"
            )
        elif code is not None and code >= 0:
            hint = "num_workers=0 reads in this process, where a debugger sees it"
        return RuntimeError(f"{self._name(worker)} (process {process.pid}) {how}{reads}; {hint}")


def _some(indices: Array) -> str:
    shown = ", ".join(str(int(i)) for i in indices[:8])
    return f"[{shown}{', ...' if len(indices) > 8 else ''}]"


def _pickled(reader: Reader, context: Any) -> bytes:
    try:
        return bytes(ForkingPickler.dumps((reader, get_default_dtype())))
    except Exception as error:
        parts = {"dataset": reader.dataset, "collate": reader.make}
        name = next((name for name, part in parts.items() if not _can_pickle(part)), "dataset")
        way = context.get_start_method()
        raise TypeError(
            f"DataLoader: {name} cannot be sent to a worker started by {way!r}: "
            f"{type(error).__name__}: {error}. Functions and classes must stand at the top of a "
            "module, rather than be lambdas or inside functions; files are to be opened in "
            "__getitem__. Where the system forks, multiprocessing_context='fork' sends nothing"
        ) from error


def _can_pickle(value: Any) -> bool:
    try:
        ForkingPickler.dumps(value)
    except Exception:
        return False
    return True


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let processes start that Ctrl-C does not reach."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_warning_of_forks() -> Iterator[None]:
    """Be silent about forks beside threads where these are only those of BLAS and of this library.

    They stand forks; newer Pythons warn of forks beside any thread.
    """
    others = [t for t in threading.enumerate() if not t.name.startswith("retrograd")]
    with warnings.catch_warnings():
        if len(others) <= 1:
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
        yield
