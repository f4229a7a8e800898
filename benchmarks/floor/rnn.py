"""The RNN's step as a flat program: only what depends on the step before stays in the loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import add, dot, multiply, subtract, tanh

from benchmarks.floor.flat import views
from benchmarks.works import Array, Work


def make(work: Work) -> Callable[[Array, Array], float]:
    """Return the step: x `(steps, batch, inputs)`, y `(batch, 1)`, to the loss."""
    steps, n, inputs = work.batches[0][0].shape
    dtype = work.batches[0][0].dtype
    hidden = len(work.weights["cell.wh"])
    params, parts = views([value.shape for value in work.weights.values()], dtype)
    for part, value in zip(parts, work.weights.values(), strict=True):
        part[...] = value
    wx, wh, b, wr, br = parts
    grads, (dwx, dwh, db, dwr, dbr) = views([part.shape for part in parts], dtype)

    z, dz, slope = (np.empty((steps, n, hidden), dtype) for _ in range(3))
    h = np.zeros((steps + 1, n, hidden), dtype)  # h[0] is the state before the first input
    dh, product = np.empty((n, hidden), dtype), np.empty((n, hidden), dtype)
    wx_t, wh_t, wr_t = wx.T, wh.T, wr.T
    long = (steps * n, hidden)
    z_long, dz_long, dz_long_t = z.reshape(long), dz.reshape(long), dz.reshape(long).T
    h_before, h_after, h_last = h[:-1].reshape(long), h[1:], h[-1]
    error = np.empty((n, 1), dtype)
    error_flat, error_t = error.reshape(n), error.T
    ones, long_ones = np.ones(n, dtype), np.ones(steps * n, dtype)
    one, scale, rate = (np.array(value, dtype) for value in (1, 2 / n, work.lr))
    forward = [(h[t], z[t], h[t + 1]) for t in range(steps)]
    backward = [(slope[t], dz[t]) for t in range(steps - 1, -1, -1)]

    def step(x: Array, y: Array) -> float:
        x_long = x.reshape(steps * n, inputs)
        dot(x_long, wx_t, z_long)
        add(z_long, b, z_long)
        for before, z_t, after in forward:
            dot(before, wh_t, product)
            add(product, z_t, product)
            tanh(product, after)
        dot(h_last, wr_t, error)
        add(error, br, error)
        subtract(error, y, error)
        loss = dot(error_flat, error_flat) / n

        multiply(error, scale, error)
        dot(error_t, h_last, dwr)
        dot(ones, error, dbr)
        multiply(h_after, h_after, slope)
        subtract(one, slope, slope)
        dot(error, wr, dh)
        for slope_t, dz_t in backward:
            multiply(dh, slope_t, dz_t)
            dot(dz_t, wh, dh)
        dot(dz_long_t, x_long, dwx)
        dot(dz_long_t, h_before, dwh)
        dot(long_ones, dz_long, db)

        multiply(grads, rate, grads)
        subtract(params, grads, params)
        return loss

    return step
