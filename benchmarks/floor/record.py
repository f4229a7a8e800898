"""The lab record's step as a flat program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import add, copyto, divide, dot, exp, log, maximum, multiply, negative, sign, subtract

from benchmarks.floor.flat import views
from benchmarks.works import Array, Work


def make(work: Work) -> Callable[[Array, Array], float]:
    """Return the step: x `(200, 2)`, y `(200, 1)`, to the loss before the update.

    The loss is taken from `s = 1 + exp(-z)`, at hand since the sigmoid is `1 / s`:
    `mean(log(s) + (1 - y) * z)`.
    """
    n = len(work.batches[0][0])
    dtype = np.dtype(np.float64)
    params, (w1, w2) = views([(4, 3), (5,)], dtype)
    grads, (dw1, dw2) = views([(4, 3), (5,)], dtype)
    w1[:, :2], w1[:, 2] = work.weights["0.weight"], work.weights["0.bias"]
    w2[:4], w2[4:] = work.weights["2.weight"][0], work.weights["2.bias"]

    x1 = np.ones((3, n))  # the inputs, and a row of ones for the bias
    x, x1_t = x1[:2], x1.T
    h1 = np.ones((5, n))  # the hidden units, and a row of ones for the bias
    h = h1[:4]
    z1, dz1, mask, zeros = np.empty((4, n)), np.empty((4, n)), np.empty((4, n)), np.zeros((4, n))
    y, not_y, z2, s, logs, dz2 = (np.empty(n) for _ in range(6))
    ones = np.ones(n)
    w2_column, dz2_row = w2[:4].reshape(4, 1), dz2.reshape(1, n)
    one, scale = np.array(1.0), np.array(work.lr / n)

    def step(x_new: Array, y_new: Array) -> float:
        copyto(x, x_new.T)
        copyto(y, y_new.reshape(n))

        dot(w1, x1, z1)
        maximum(z1, zeros, out=h)
        dot(w2, h1, z2)
        negative(z2, s)
        exp(s, s)
        add(s, one, s)
        log(s, logs)
        subtract(one, y, not_y)
        loss = (dot(ones, logs) + dot(not_y, z2)) / n

        divide(one, s, dz2)
        subtract(dz2, y, dz2)
        dot(h1, dz2, dw2)
        dot(w2_column, dz2_row, dz1)
        sign(h, mask)
        multiply(dz1, mask, dz1)
        dot(dz1, x1_t, dw1)

        multiply(grads, scale, grads)
        subtract(params, grads, params)
        return loss

    return step
