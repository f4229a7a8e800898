"""A row of a table: one way to run a training step, ready to be called."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Row:
    """A training step to call again and again, and how to wait for and read its loss."""

    name: str
    step: Callable[[], Any]
    read: Callable[[Any], float] = float


def over(batches: Iterable[tuple[Any, Any]], step: Callable[[Any, Any], Any]) -> Callable[[], Any]:
    """Return `step` as a call without arguments that takes the next batch, round and round."""
    turn = itertools.cycle(batches)

    def call() -> Any:
        x, y = next(turn)
        return step(x, y)

    return call
