"""Cross entropy over logits `(classes, batch)`: the loss and, in place, its gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import add, divide, dot, exp, log, maximum, multiply, subtract

from benchmarks.works import Array


def make(z: Array) -> Callable[[Array], float]:
    """Return a call from integer labels `(batch,)` to the loss of the logits in buffer `z`.

    After the call `z` holds the gradient of the loss, over the batch's mean.
    """
    classes, n = z.shape
    dtype = z.dtype
    z_flat = z.reshape(-1)
    top, total, picked = np.empty(n, dtype), np.empty(n, dtype), np.empty(n, dtype)
    where, columns = np.empty(n, np.intp), np.arange(n)
    ones, class_ones = np.ones(n, dtype), np.ones(classes, dtype)
    inverse = np.array(1 / n, dtype)
    width = np.array(n)

    def call(y: Array) -> float:
        maximum.reduce(z, 0, out=top)
        subtract(z, top, z)
        multiply(y, width, where)
        add(where, columns, where)
        # Labels are in range, so "clip" only spares the copy that "raise" makes of `out`.
        z_flat.take(where, 0, picked, "clip")
        exp(z, z)
        dot(class_ones, z, total)
        # The gradient is exp / (n total), less 1 / n at the label.
        log(total, top)
        loss = (dot(ones, top) - dot(ones, picked)) / n
        divide(inverse, total, total)
        multiply(z, total, z)
        z_flat.take(where, 0, picked, "clip")
        subtract(picked, inverse, picked)
        z_flat[where] = picked
        return loss

    return call
