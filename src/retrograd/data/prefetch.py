"""Reading ahead in a thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

_END = object()


def read_ahead(items: Iterator[Any], ahead: int) -> Iterator[Any]:
    """Yield items that a thread has got in advance, at most so many.

    What fails in the thread fails here, in its place. The thread ends when this iterator is closed.

    Args:
        items: the items.
        ahead: how many of them may wait.
    """
    waiting: queue.Queue[Any] = queue.Queue(ahead)
    is_over = threading.Event()

    def put(item: Any) -> None:
        while not is_over.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=0.05)
                return

    def fetch() -> None:
        try:
            for item in items:
                put((item, None))
                if is_over.is_set():
                    return
            put((_END, None))
        except BaseException as error:
            put((_END, error))

    thread = threading.Thread(target=fetch, name="retrograd prefetch", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error = waiting.get(timeout=1.0)
            except queue.Empty:
                if thread.is_alive():
                    continue
                raise RuntimeError(
                    "the thread that reads ahead is not in this process, which was forked within "
                    "an epoch: begin a new iteration of the loader"
                ) from None
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        is_over.set()
        thread.join()
