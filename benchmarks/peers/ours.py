"""The works in retrograd, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import retrograd as rg
from benchmarks.rows import Row, over
from benchmarks.works import Work

Step = Callable[[Any, Any], Any]


def parts(work: Work, compiled: bool = False) -> tuple[list[Any], Callable[[Any, Any], Any]]:
    """Return the parameters of `work` and its loss as a function of a batch.

    With `compiled` the model is, while the loss and what follows are as they are.
    """
    if work.kind == "rnn":
        return recurrent(work, compiled)
    layers: list[Any] = []
    for inputs, outputs in pairwise(work.sizes):
        layers += [rg.nn.Linear(inputs, outputs), rg.nn.ReLU()]
    layers.pop()
    if work.kind == "record":
        layers.append(rg.nn.Sigmoid())
    model = rg.nn.Sequential(*layers)
    dtype = work.batches[0][0].dtype
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(dtype)
    model.load_state_dict(work.copy_weights())
    criterion = rg.nn.BCELoss() if work.kind == "record" else rg.nn.CrossEntropyLoss()
    params = list(model.parameters())
    forward = rg.compile(model) if compiled else model
    return params, lambda x, y: criterion(forward(x), y)


def recurrent(work: Work, compiled: bool) -> tuple[list[Any], Callable[[Any, Any], Any]]:
    """Return the RNN's parameters and its loss, cell after cell; see `parts`."""
    params = [rg.Tensor(value, requires_grad=True) for value in work.copy_weights().values()]
    wx, wh, b, wr, br = params
    criterion = rg.nn.MSELoss()
    _, batch, _ = work.batches[0][0].shape
    start = np.zeros((batch, wh.shape[0]), wh.dtype)

    def predict(x: Any) -> Any:
        h = start
        for t in range(x.shape[0]):
            h = np.tanh(x[t] @ wx.T + h @ wh.T + b)
        return h @ wr.T + br

    forward = rg.compile(predict) if compiled else predict
    return params, lambda x, y: criterion(forward(x), y)


def step_of(work: Work, compiled: bool = False) -> Step:
    """Return the training step of `work`, ready to be called or compiled; see `parts`."""
    params, loss_of = parts(work, compiled)
    if work.optimizer == "adam":
        optimizer = rg.optim.Adam(params, lr=work.lr)
    else:
        optimizer = rg.optim.SGD(params, lr=work.lr, momentum=work.momentum)

    def train_step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return train_step


def read(loss: Any) -> float:
    """Return the number in a loss, be it a Tensor or an array."""
    return float(loss.item())


def batches(work: Work) -> list[tuple[Any, Any]]:
    """Return the batches of `work`, their inputs as Tensors."""
    return [(rg.Tensor(x), y) for x, y in work.batches]


def in_c(work: Work, data: list[tuple[Any, Any]], skipped: dict[str, str]) -> list[Row]:
    """Return the row of the step in C, where there is a compiler for it."""
    try:
        step = rg.compile(step_of(work), target="c")
    except (RuntimeError, TypeError) as error:
        skipped["retrograd in C"] = str(error).splitlines()[0][:160]
        return []
    return [Row("retrograd in C", over(data, step), read)]


def rows(work: Work, skipped: dict[str, str]) -> list[Row]:
    """Return the eager row of `work` and, where the library has it, the compiled one."""
    data = batches(work)
    found = []
    if work.optimizer == "adam" and not hasattr(rg.optim, "Adam"):
        skipped["retrograd"] = "no Adam in this version"
        return []
    found.append(Row("retrograd eager", over(data, step_of(work)), read))
    if hasattr(rg, "compile"):
        found.append(Row("retrograd compiled", over(data, rg.compile(step_of(work))), read))
        found += in_c(work, data, skipped)
        found.append(Row("retrograd compiled model", over(data, step_of(work, True)), read))
    else:
        skipped["retrograd compiled"] = "no compile in this version"
    return found
