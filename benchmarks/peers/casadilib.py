"""The works in CasADi: a function of parameters and batch, in its machine and as its C."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import casadi as ca
import numpy as np

from benchmarks.rows import Row, over
from benchmarks.works import Array, Work

C = {"jit": True, "compiler": "shell", "jit_options": {"compiler": "cc", "flags": ["-O3"]}}


def loss_of(work: Work, params: dict[str, Any], x: Any, y: Any) -> Any:
    """Return the loss of `work` as a graph; `y` of classes has a 1 for each row's class."""
    a = x
    for index, (weight, bias) in enumerate(work.layers):
        a = ca.fmax(a, 0) if index else a
        a = a @ params[weight].T + ca.repmat(params[bias].T, a.shape[0], 1)
    count = a.shape[0]
    if work.kind == "record":
        p = 1 / (1 + ca.exp(-a))
        return -ca.sum1(y * ca.log(p + 1e-8) + (1 - y) * ca.log(1 - p + 1e-8)) / count
    top = ca.mmax(a)  # one for all rows, which is as good at these scores
    logs = ca.log(ca.sum2(ca.exp(a - top))) + top
    return (ca.sum1(logs) - ca.sum1(ca.sum2(a * y))) / count


def function_of(work: Work, options: dict[str, Any]) -> Any:
    """Return the step as a function of parameters, what the optimizer keeps, and a batch."""
    x_shape, y_shape = (a.shape for a in targets(work)[0])
    x, y = ca.MX.sym("x", *x_shape), ca.MX.sym("y", *y_shape)
    params = {n: ca.MX.sym(n, *w.shape) for n, w in work.weights.items()}
    loss = loss_of(work, params, x, y)
    given = [*params.values()]
    grads = [ca.gradient(loss, p) for p in given]
    kept: list[Any] = []
    if work.momentum:
        kept = [ca.MX.sym("v", *p.shape) for p in given]
        new = [work.momentum * v + g for v, g in zip(kept, grads, strict=True)]
        outs = [p - work.lr * v for p, v in zip(given, new, strict=True)]
    elif work.optimizer == "adam":
        first, second = ([ca.MX.sym("m", *p.shape) for p in given] for _ in range(2))
        count = ca.MX.sym("t")
        kept, t = [*first, *second, count], count + 1
        m = [0.9 * a + 0.1 * g for a, g in zip(first, grads, strict=True)]
        v = [0.999 * a + 0.001 * g**2 for a, g in zip(second, grads, strict=True)]
        rate, root = work.lr / (1 - 0.9**t), ca.sqrt(1 - 0.999**t)
        new = [*m, *v, t]
        outs = [
            p - rate * a / (ca.sqrt(b) / root + 1e-8) for p, a, b in zip(given, m, v, strict=True)
        ]
    else:
        new, outs = [], [p - work.lr * g for p, g in zip(given, grads, strict=True)]
    return ca.Function("step", [*given, *kept, x, y], [*outs, *new, loss], options)


def targets(work: Work) -> list[tuple[Array, Array]]:
    """Return the batches, class numbers as rows with a 1."""
    if work.kind == "record":
        return work.batches
    classes = work.sizes[-1]
    return [(x, np.eye(classes)[y]) for x, y in work.batches]


def step_of(work: Work, options: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """Return the training step of `work`, which keeps what it trains in arrays of CasADi's."""
    function = function_of(work, options)
    values = [ca.DM(w) for w in work.copy_weights().values()]
    values += [ca.DM.zeros(*function.size_in(i)) for i in range(len(values), function.n_in() - 2)]

    def step(x: Any, y: Any) -> Any:
        *values[:], loss = function.call([*values, x, y])
        return loss

    return step


def rows(work: Work, skipped: dict[str, str]) -> list[Row]:
    """Return the rows of `work`, where it is of float64 and in matrices."""
    if work.kind == "rnn" or work.batches[0][0].dtype != np.float64:
        skipped["casadi"] = "it computes with float64 alone, and has no arrays of three axes"
        return []
    batches = [(ca.DM(x), ca.DM(y)) for x, y in targets(work)]
    found = [Row("CasADi", over(batches, step_of(work, {})))]
    if shutil.which("cc"):
        found.append(Row("CasADi, its C", over(batches, step_of(work, C))))
    return found
