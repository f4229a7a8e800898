"""A ReLU net with cross entropy by hand, with momentum or Adam."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.works import Array, Work

Update = Callable[[list[Array]], None]


def momentum(params: list[Array], lr: float, mu: float) -> Update:
    """Return SGD with momentum over `params`, written in place."""
    velocity = [np.zeros_like(p) for p in params]

    def update(grads: list[Array]) -> None:
        for p, g, v in zip(params, grads, velocity, strict=True):
            v *= mu
            v += g
            p -= lr * v

    return update


def adam(params: list[Array], lr: float, beta1: float = 0.9, beta2: float = 0.999) -> Update:
    """Return Adam over `params`, written in place; eps 1e-8 outside the root."""
    first = [np.zeros_like(p) for p in params]
    second = [np.zeros_like(p) for p in params]
    t = 0

    def update(grads: list[Array]) -> None:
        nonlocal t
        t += 1
        for p, g, m, v in zip(params, grads, first, second, strict=True):
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * g * g
            p -= lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-8)

    return update


def make(work: Work) -> Callable[[Array, Array], float]:
    """Return the step: x `(batch, inputs)`, integer y `(batch,)`, to the loss."""
    start = work.copy_weights()
    weights = [np.ascontiguousarray(start[weight].T) for weight, _ in work.layers]
    biases = [start[bias] for _, bias in work.layers]
    params = weights + biases
    if work.optimizer == "adam":
        update = adam(params, work.lr)
    else:
        update = momentum(params, work.lr, work.momentum)
    last = len(weights) - 1

    def step(x: Array, y: Array) -> float:
        inputs = []
        a = x
        for i, (W, b) in enumerate(zip(weights, biases, strict=True)):
            inputs.append(a)
            z = a @ W + b
            a = np.maximum(z, 0) if i < last else z

        rows = np.arange(len(x))
        shifted = a - a.max(axis=1, keepdims=True)
        exps = np.exp(shifted)
        totals = exps.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(totals[:, 0]) - shifted[rows, y])

        dz = exps / totals
        dz[rows, y] -= 1
        dz /= len(x)
        dweights, dbiases = [], []
        for i in range(last, -1, -1):
            dweights.append(inputs[i].T @ dz)
            dbiases.append(dz.sum(axis=0))
            if i > 0:
                dz = (dz @ weights[i].T) * (inputs[i] > 0)
        update(dweights[::-1] + dbiases[::-1])
        return loss

    return step
