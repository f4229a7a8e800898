"""The digits net's step with Adam as a flat program."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy import add, divide, dot, greater, maximum, multiply, sqrt, square, subtract

from benchmarks.floor import softmax
from benchmarks.floor.flat import views
from benchmarks.works import Array, Work


def adam(params: Array, grads: Array, lr: float) -> Callable[[], None]:
    """Return Adam over flat `params`; `grads` is scratch afterwards.

    The bias corrections go into the step and into eps, both computed once a step in Python.
    """
    m, v, t = np.zeros_like(params), np.zeros_like(params), 0
    scratch = np.empty_like(params)
    beta1, beta2, rest1, rest2 = (
        np.array(value, params.dtype) for value in (0.9, 0.999, 0.1, 0.001)
    )
    step, eps = np.zeros((), params.dtype), np.zeros((), params.dtype)

    def update() -> None:
        nonlocal t
        t += 1
        root = math.sqrt(1 - 0.999**t)
        step[()] = lr * root / (1 - 0.9**t)
        eps[()] = 1e-8 * root
        multiply(m, beta1, m)
        multiply(grads, rest1, scratch)
        add(m, scratch, m)
        multiply(v, beta2, v)
        square(grads, grads)
        multiply(grads, rest2, grads)
        add(v, grads, v)
        sqrt(v, scratch)
        add(scratch, eps, scratch)
        divide(m, scratch, scratch)
        multiply(scratch, step, scratch)
        subtract(params, scratch, params)

    return update


def make(work: Work) -> Callable[[Array, Array], float]:
    """Return the step: x `(batch, 64)`, integer y `(batch,)`, to the loss."""
    inputs, hidden, classes = work.sizes
    n, dtype = len(work.batches[0][0]), work.batches[0][0].dtype
    shapes = [(hidden, inputs), (hidden, 1), (classes, hidden + 1)]
    params, (w1, b1, w2) = views(shapes, dtype)
    grads, (dw1, db1, dw2) = views(shapes, dtype)
    w1[...], b1[:, 0] = work.weights["0.weight"], work.weights["0.bias"]
    w2[:, :-1], w2[:, -1] = work.weights["2.weight"], work.weights["2.bias"]

    z1, dz1 = np.empty((hidden, n), dtype), np.empty((hidden, n), dtype)
    mask, zero = np.empty((hidden, n), bool), np.array(0, dtype)
    zeros = np.zeros((hidden, n), dtype)
    h1 = np.ones((hidden + 1, n), dtype)  # the hidden units, and a row of ones for the bias
    h, h1_t, w2_t = h1[:-1], h1.T, w2[:, :-1].T
    z2 = np.empty((classes, n), dtype)
    ones, db1_flat = np.ones(n, dtype), db1.reshape(hidden)
    cross_entropy = softmax.make(z2)
    update = adam(params, grads, work.lr)

    def step(x: Array, y: Array) -> float:
        dot(w1, x.T, z1)
        add(z1, b1, z1)
        maximum(z1, zeros, out=h)
        dot(w2, h1, z2)
        loss = cross_entropy(y)
        dot(z2, h1_t, dw2)
        dot(w2_t, z2, dz1)
        greater(h, zero, mask)
        multiply(dz1, mask, dz1)
        dot(dz1, x, dw1)
        dot(dz1, ones, db1_flat)
        update()
        return loss

    return step
