"""The works as a competent person writes them in NumPy: the control rows."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.hand import mlp, record, rnn
from benchmarks.rows import Row, over
from benchmarks.works import Work

BUILD: dict[str, Callable[[Work], Callable[..., float]]] = {
    "record": record.make,
    "mlp": mlp.make,
    "rnn": rnn.make,
}


def rows(work: Work) -> list[Row]:
    """Return the control row of `work`."""
    return [Row("NumPy by hand", over(work.batches, BUILD[work.kind](work)))]
