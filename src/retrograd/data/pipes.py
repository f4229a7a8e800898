"""Messages between a loader and its workers: a pickle, then the bytes of each array in it."""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np

from retrograd.engine import Array


def packed(message: Any) -> list[Any]:
    """Return a message as what `send` sends: the pickle, with the sizes of arrays, and each array.

    Args:
        message: anything that can be pickled.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(message, 5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    return [pickle.dumps((stream, [len(each) for each in raw]), 5), *raw]


def receive(results: Any) -> Any:
    """Return the next message of a pipe.

    Args:
        results: the pipe's end.

    Raises:
        EOFError: if the other end is closed.
        OSError: if it is closed in the middle of a message.
    """
    stream, sizes = pickle.loads(results.recv_bytes())
    buffers = [np.empty(size, np.uint8) for size in sizes]
    for buffer in buffers:
        _receive_into(results, buffer)
    return pickle.loads(stream, buffers=buffers)


def send(outbox: Any, message: list[Any]) -> None:
    """Send a message by a pipe.

    Args:
        outbox: the pipe's end.
        message: what `packed` has returned.

    Raises:
        OSError: if the other end is closed.
    """
    head, *buffers = message
    outbox.send_bytes(head)
    for buffer in buffers:
        _send_buffer(outbox, buffer)


def _send_buffer(outbox: Any, buffer: Any) -> None:
    """Send the bytes of an array: as they are where pipes are files, in a message elsewhere."""
    if not hasattr(os, "readv"):
        outbox.send_bytes(buffer)
        return
    at, file = 0, outbox.fileno()
    while at < len(buffer):
        at += os.write(file, buffer[at:])


def _receive_into(results: Any, buffer: Array) -> None:
    """Receive what `_send_buffer` sends: `Connection` would copy it twice."""
    if not hasattr(os, "readv"):
        results.recv_bytes_into(buffer)
        return
    at, file, view = 0, results.fileno(), buffer.data
    while at < len(view):
        count = os.readv(file, [view[at:]])
        if not count:
            raise EOFError
        at += count
