"""The works in MyGrad."""

from __future__ import annotations

from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.hand.mlp import adam, momentum
from benchmarks.rows import Row, over
from benchmarks.works import Array, Work


def loss_of(work: Work, params: list[Any], x: Array, y: Array) -> Any:
    """Return the loss of `work` at `params` on a batch."""
    if work.kind == "rnn":
        wx, wh, b, wr, br = params
        h = np.zeros((x.shape[1], wh.shape[0]), x.dtype)
        for x_t in x:
            h = mg.tanh(mg.matmul(x_t, wx.T) + mg.matmul(h, wh.T) + b)
        return mg.mean((mg.matmul(h, wr.T) + br - y) ** 2)
    a: Any = x
    for index in range(0, len(params), 2):
        a = relu(a) if index else a
        a = mg.matmul(a, params[index].T) + params[index + 1]
    if work.kind == "record":
        p = sigmoid(a)
        return -mg.mean(y * mg.log(p + 1e-8) + (1 - y) * mg.log(1 - p + 1e-8))
    return softmax_crossentropy(a, y)


def rows(work: Work, skipped: dict[str, str]) -> list[Row]:
    """Return the row of `work`."""
    params = [mg.tensor(value) for value in work.copy_weights().values()]
    arrays = [param.data for param in params]
    if work.optimizer == "adam":
        update = adam(arrays, work.lr)
    elif work.momentum:
        update = momentum(arrays, work.lr, work.momentum)
    else:

        def update(grads: list[Array]) -> None:
            for p, g in zip(arrays, grads, strict=True):
                p -= work.lr * g

    def step(x: Array, y: Array) -> Any:
        loss = loss_of(work, params, x, y)
        loss.backward()
        update([param.grad for param in params])
        return loss

    return [Row("MyGrad", over(work.batches, step))]
