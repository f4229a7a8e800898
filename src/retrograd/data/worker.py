"""What a worker process does: it reads batches, and sends them in the order of the tasks."""

from __future__ import annotations

import contextlib
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

from retrograd.data.draws import Draws
from retrograd.data.pipes import packed, send
from retrograd.data.reading import Reader
from retrograd.engine import set_default_dtype


def work(job: Any, seed: int, inbox: Any, outbox: Any, at: Any, not_mine: list[Any]) -> None:
    """Read batches until nobody asks for more; tell all the time at which sample it is.

    Args:
        job: the reader; or a pickle of it and the default dtype.
        seed: that of the epoch's draws.
        inbox: the end of a pipe by which indices come.
        outbox: that of one by which batches, or what has failed, go.
        at: shared memory for the index of the sample that is being read, -1 for none.
        not_mine: ends of pipes that a fork has, but does not need.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for end in not_mine:
        end.close()
    answers: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
    # so that a batch that nobody takes yet does not keep the next one from being read
    threading.Thread(target=_send, args=(answers, outbox), daemon=True).start()
    reader: Any = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            indices = inbox.recv()
            try:
                if reader is None:
                    reader = _loaded(job) if isinstance(job, bytes) else job
                    reader.before = _before(Draws(seed, reader.dataset, reader.make), at)
                answer = _packed_batch(reader(indices))
            except BaseException as error:
                answer = _packed_failure(error, None if reader is None else reader.at)
            at.value = -1
            answers.put(answer)


def _loaded(job: bytes) -> Reader:
    try:
        reader, dtype = pickle.loads(job)
    except Exception as error:
        raise TypeError(
            "the data set cannot be made anew in a worker, which imports the modules, and the "
            f"script but not what was typed or stands in a notebook: {type(error).__name__}: "
            f"{error}. Put its class into a module, or give multiprocessing_context='fork'"
        ) from error
    set_default_dtype(dtype)
    found: Reader = reader
    return found


def _before(draws: Draws, at: Any) -> Callable[[int], None]:
    def begin(index: int) -> None:
        at.value = index
        draws(index)

    return begin


def _send(answers: queue.SimpleQueue[list[Any]], outbox: Any) -> None:
    with contextlib.suppress(OSError):
        while True:
            send(outbox, answers.get())


def _packed_batch(batch: Any) -> list[Any]:
    try:
        return packed(("batch", batch))
    except Exception as error:
        raise TypeError(
            f"a batch cannot be sent from its worker: {type(error).__name__}: {error}. Samples are "
            "arrays, numbers, and what else can be pickled"
        ) from error


def _packed_failure(error: BaseException, at: int | None) -> list[Any]:
    text = "".join(traceback.format_exception(error))
    whole = None
    with contextlib.suppress(Exception):
        whole = pickle.dumps(error)
        again = pickle.loads(whole)
        if type(again) is not type(error) or str(again) != str(error):
            whole = None
    return packed(("failure", whole, text, at))
