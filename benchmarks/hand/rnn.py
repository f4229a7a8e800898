"""A tanh RNN over time by hand: back-propagation through time, one cell after another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.works import Array, Work


def make(work: Work) -> Callable[[Array, Array], float]:
    """Return the step: x `(steps, batch, inputs)`, y `(batch, 1)`, to the loss."""
    Wx, Wh, b, Wr, br = work.copy_weights().values()
    lr = work.lr

    def step(x: Array, y: Array) -> float:
        h = np.zeros((x.shape[1], len(Wh)), x.dtype)
        hidden = [h]
        for x_t in x:
            h = np.tanh(x_t @ Wx.T + h @ Wh.T + b)
            hidden.append(h)
        error = h @ Wr.T + br - y
        loss = np.mean(error**2)

        derror = 2 * error / error.size
        dWr, dbr = derror.T @ h, derror.sum(axis=0)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh = derror @ Wr
        for t in range(len(x) - 1, -1, -1):
            dz = dh * (1 - hidden[t + 1] ** 2)
            dWx += dz.T @ x[t]
            dWh += dz.T @ hidden[t]
            db += dz.sum(axis=0)
            dh = dz @ Wh

        for p, g in zip((Wx, Wh, b, Wr, br), (dWx, dWh, db, dWr, dbr), strict=True):
            p -= lr * g
        return loss

    return step
