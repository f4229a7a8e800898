"""The works in autograd (HIPS): NumPy code, its gradients by `value_and_grad`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
from autograd import value_and_grad

from benchmarks.hand.mlp import adam, momentum
from benchmarks.rows import Row, over
from benchmarks.works import Array, Work


def loss_of(work: Work) -> Callable[..., Any]:
    """Return the loss of `work` as a function of a list of parameters and a batch."""
    if work.kind == "rnn":
        return recurrent

    def loss(params: Any, x: Array, y: Array) -> Any:
        a = x
        for index in range(0, len(params), 2):
            a = anp.maximum(a, 0) if index else a
            a = anp.dot(a, params[index].T) + params[index + 1]
        if work.kind == "record":
            p = 1 / (1 + anp.exp(-a))
            return -anp.mean(y * anp.log(p + 1e-8) + (1 - y) * anp.log(1 - p + 1e-8))
        shifted = a - anp.max(a, axis=1, keepdims=True)
        picked = shifted[anp.arange(len(y)), y]
        return anp.mean(anp.log(anp.sum(anp.exp(shifted), axis=1)) - picked)

    return loss


def recurrent(params: Any, x: Array, y: Array) -> Any:
    """Return the RNN's loss, cell after cell."""
    wx, wh, b, wr, br = params
    h = anp.zeros((x.shape[1], wh.shape[0]), x.dtype)
    for x_t in x:
        h = anp.tanh(anp.dot(x_t, wx.T) + anp.dot(h, wh.T) + b)
    return anp.mean((anp.dot(h, wr.T) + br - y) ** 2)


def rows(work: Work, skipped: dict[str, str]) -> list[Row]:
    """Return the row of `work`."""
    params = list(work.copy_weights().values())
    gradient = value_and_grad(loss_of(work))
    if work.optimizer == "adam":
        update = adam(params, work.lr)
    elif work.momentum:
        update = momentum(params, work.lr, work.momentum)
    else:

        def update(grads: list[Array]) -> None:
            for p, g in zip(params, grads, strict=True):
                p -= work.lr * g

    def step(x: Array, y: Array) -> float:
        loss, grads = gradient(params, x, y)
        update(grads)
        return loss

    return [Row("autograd", over(work.batches, step))]
