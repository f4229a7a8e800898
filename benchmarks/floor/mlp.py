"""The larger net's step with momentum as a flat program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import add, dot, greater, maximum, multiply, subtract

from benchmarks.floor import softmax
from benchmarks.floor.flat import views
from benchmarks.works import Array, Work

CHUNK = 65536  # elements: four float32 arrays of this length stay in a second-level cache


def momentum(params: Array, grads: Array, lr: float, mu: float) -> Callable[[], None]:
    """Return SGD with momentum over flat arrays, a cache-sized piece at a time."""
    velocity = np.zeros_like(params)
    scratch = np.empty(CHUNK, params.dtype)
    rate, keep = np.array(lr, params.dtype), np.array(mu, params.dtype)
    pieces = []
    for start in range(0, params.size, CHUNK):
        piece = slice(start, start + CHUNK)
        p = params[piece]
        pieces.append((p, grads[piece], velocity[piece], scratch[: p.size]))

    def update() -> None:
        for p, g, v, s in pieces:
            multiply(v, keep, v)
            add(v, g, v)
            multiply(v, rate, s)
            subtract(p, s, p)

    return update


def make(work: Work) -> Callable[[Array, Array], float]:
    """Return the step: x `(batch, 784)`, integer y `(batch,)`, to the loss."""
    inputs, hidden, middle, classes = work.sizes
    n, dtype = len(work.batches[0][0]), work.batches[0][0].dtype
    shapes = [(hidden, inputs), (hidden, 1), (middle, hidden), (middle, 1), (classes, middle + 1)]
    params, (w1, b1, w2, b2, w3) = views(shapes, dtype)
    grads, (dw1, db1, dw2, db2, dw3) = views(shapes, dtype)
    w1[...], b1[:, 0] = work.weights["0.weight"], work.weights["0.bias"]
    w2[...], b2[:, 0] = work.weights["2.weight"], work.weights["2.bias"]
    w3[:, :-1], w3[:, -1] = work.weights["4.weight"], work.weights["4.bias"]

    a1 = np.empty((hidden, n), dtype)
    h2 = np.ones((middle + 1, n), dtype)  # the second hidden layer, and a row of ones for the bias
    a2, a1_t, h2_t, w2_t, w3_t = h2[:-1], a1.T, h2.T, w2.T, w3[:, :-1].T
    d1, d2 = np.empty((hidden, n), dtype), np.empty((middle, n), dtype)
    mask1, mask2 = np.empty((hidden, n), bool), np.empty((middle, n), bool)
    zeros1, zeros2 = np.zeros((hidden, n), dtype), np.zeros((middle, n), dtype)
    z3 = np.empty((classes, n), dtype)
    zero, ones = np.array(0, dtype), np.ones(n, dtype)
    db1_flat, db2_flat = db1.reshape(hidden), db2.reshape(middle)
    cross_entropy = softmax.make(z3)
    update = momentum(params, grads, work.lr, work.momentum)

    def step(x: Array, y: Array) -> float:
        dot(w1, x.T, d1)
        add(d1, b1, d1)
        maximum(d1, zeros1, out=a1)
        dot(w2, a1, d2)
        add(d2, b2, d2)
        maximum(d2, zeros2, out=a2)
        dot(w3, h2, z3)
        loss = cross_entropy(y)
        dot(z3, h2_t, dw3)
        dot(w3_t, z3, d2)
        greater(a2, zero, mask2)
        multiply(d2, mask2, d2)
        dot(d2, a1_t, dw2)
        dot(d2, ones, db2_flat)
        dot(w2_t, d2, d1)
        greater(a1, zero, mask1)
        multiply(d1, mask1, d1)
        dot(d1, x, dw1)
        dot(d1, ones, db1_flat)
        update()
        return loss

    return step
