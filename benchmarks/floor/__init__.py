"""The works as flat NumPy programs over buffers made once: how fast a compiled step can be.

The programs share a few habits, each measured to pay at these sizes:

- `np.dot` with `out` for every product of one or two axes: it starts sooner than `np.matmul`;
- features along the first axis, so that a bias or a mask meets a long last axis;
- sums as products with a row of ones; a mean of a product as one `dot`;
- a bias as one more input that is always 1, where the input is a buffer of ours anyway;
- constants as 0-d arrays of the right dtype; `maximum` against a full array of zeros, because
  NumPy runs it with vector instructions only when both operands have the same strides;
- parameters and gradients as views of one flat array each, so that an update is a few calls.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.floor import digits, mlp, record, rnn
from benchmarks.rows import Row, over
from benchmarks.works import Work

BUILD: dict[str, Callable[[Work], Callable[..., float]]] = {
    "record": record.make,
    "mlp": mlp.make,
    "digits": digits.make,
    "rnn": rnn.make,
}


def rows(work: Work) -> list[Row]:
    """Return the floor's row of `work`, none where no program was written for it."""
    if work.name not in BUILD:
        return []
    return [Row("NumPy floor (out=)", over(work.batches, BUILD[work.name](work)))]
