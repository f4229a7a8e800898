"""Functions that move and repeat elements, or put zeros between them: tiles, diagonals, windows."""

from typing import Any

import numpy as np

from retrograd.engine import adapted, composed, defvjp
from retrograd.engine.rule import defaults
from retrograd.rules.indexing import element_numbers, put


def _defvjp_by_places(fn: Any) -> None:
    """Give its rule to a function that only moves and repeats elements, or adds zeros.

    Run on the numbers 1, 2, ... it tells where each element comes from, and 0 for a zero.
    """

    def vjp(g: Any, out: Any, x: Any, **options: Any) -> Any:
        places = fn(1 + element_numbers(x.shape), **options).ravel()
        return put(g.reshape(-1), places, (1 + x.size,))[1:].reshape(x.shape)

    defvjp(fn, vjp, names=[name for name in defaults(fn) if name != "out"])


for _fn in (
    np.tile, np.repeat, np.resize, np.delete, np.diag, np.diagflat, np.diagonal,
    np.rollaxis, np.lib.stride_tricks.sliding_window_view,
):  # fmt: skip
    _defvjp_by_places(_fn)


def _is_below(m: Any, k: int) -> Any:
    """Return where a matrix is on or below diagonal `k`; of a vector, where its square would be."""
    rows, columns = (m.shape * 2)[-2:]
    return np.tri(rows, columns, k, dtype=bool)


# fmt: off
adapted(np.linalg.diagonal)(lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1))
composed(np.trace)(lambda a, offset=0, axis1=0, axis2=1, dtype=None, out=None:
    np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype))
composed(np.linalg.trace)(lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype))
composed(np.tril)(lambda m, k=0: np.where(_is_below(m, k), m, 0))
composed(np.triu)(lambda m, k=0: np.where(_is_below(m, k - 1), 0, m))
# fmt: on
