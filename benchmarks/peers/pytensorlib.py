"""The works in PyTensor: one compiled function that updates shared variables, by Numba."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.special import log_softmax

from benchmarks.rows import Row, over
from benchmarks.works import Array, Work


def loss_of(work: Work, params: dict[str, Any], x: Any, y: Any) -> Any:
    """Return the loss of `work` as a graph."""
    if work.kind == "rnn":
        return recurrent(work, params, x, y)
    a = x
    for index, (weight, bias) in enumerate(work.layers):
        a = pt.maximum(a, 0) if index else a
        a = a @ params[weight].T + params[bias]
    if work.kind == "record":
        p = pt.sigmoid(a)
        return -pt.mean(y * pt.log(p + 1e-8) + (1 - y) * pt.log(1 - p + 1e-8))
    rows = len(work.batches[0][1])
    return -pt.mean(log_softmax(a, axis=1)[np.arange(rows), y])


def recurrent(work: Work, params: dict[str, Any], x: Any, y: Any) -> Any:
    """Return the RNN's loss, cell after cell."""
    steps, batch, _ = work.batches[0][0].shape
    wx, wh, b, wr, br = params.values()
    h: Any = np.zeros((batch, work.weights["cell.wh"].shape[0]), np.float32)
    for t in range(steps):
        h = pt.tanh(x[t] @ wx.T + h @ wh.T + b)
    return pt.mean((h @ wr.T + br - y) ** 2)


def updates_of(work: Work, params: list[Any], grads: list[Any]) -> list[tuple[Any, Any]]:
    """Return what each shared variable becomes in a step."""
    kind = params[0].dtype
    found: list[tuple[Any, Any]] = []

    def zeros(p: Any) -> Any:
        return pytensor.shared(np.zeros_like(p.get_value()))

    def constant(value: float) -> Any:
        return np.asarray(value, kind)

    if work.optimizer == "adam":
        count = pytensor.shared(constant(0.0))
        t = count + constant(1.0)
        found.append((count, t))
        rate = constant(work.lr) / (1 - constant(0.9) ** t)
        root = pt.sqrt(1 - constant(0.999) ** t)
    for p, g in zip(params, grads, strict=True):
        if work.optimizer == "adam":
            first, second = zeros(p), zeros(p)
            m = constant(0.9) * first + constant(0.1) * g
            v = constant(0.999) * second + constant(0.001) * g**2
            found += [(first, m), (second, v)]
            found.append((p, p - rate * m / (pt.sqrt(v) / root + constant(1e-8))))
        elif work.momentum:
            velocity = zeros(p)
            new = constant(work.momentum) * velocity + g
            found += [(velocity, new), (p, p - constant(work.lr) * new)]
        else:
            found.append((p, p - constant(work.lr) * g))
    return found


def variable(name: str, array: Array) -> Any:
    """Return an input for arrays of the shape and dtype of one."""
    return pt.tensor(name, dtype=array.dtype.name, shape=array.shape)


def step_of(work: Work) -> Any:
    """Return the training step of `work`, compiled."""
    first, target = work.batches[0]
    x, y = variable("x", first), variable("y", target)
    params = {name: pytensor.shared(value) for name, value in work.copy_weights().items()}
    loss = loss_of(work, params, x, y)
    grads = pytensor.grad(loss, [*params.values()])
    updates = updates_of(work, [*params.values()], grads)
    step = pytensor.function([x, y], loss, updates=updates, mode="NUMBA")
    step.trust_input = True
    return step


def rows(work: Work, skipped: dict[str, str]) -> list[Row]:
    """Return the row of `work`; its first call compiles."""
    made = functools.cache(lambda: step_of(work))
    return [Row("PyTensor, Numba", over(work.batches, lambda x, y: made()(x, y)))]
