"""The works in PyTorch, eager and through torch.compile."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from benchmarks.rows import Row, over
from benchmarks.works import Work

if os.environ.get("OMP_NUM_THREADS") == "1":
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)


def parts(work: Work) -> tuple[list[Any], Callable[[Any, Any], Any]]:
    """Return the parameters of `work` and its loss as a function of a batch."""
    start = {name: torch.from_numpy(value) for name, value in work.copy_weights().items()}
    if work.kind == "rnn":
        return recurrent([nn.Parameter(value) for value in start.values()])
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(work.sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    layers.pop()
    if work.kind == "record":
        layers.append(nn.Sigmoid())
    model = nn.Sequential(*layers).to(next(iter(start.values())).dtype)
    model.load_state_dict(start)
    criterion = nn.BCELoss() if work.kind == "record" else nn.CrossEntropyLoss()
    return list(model.parameters()), lambda x, y: criterion(model(x), y)


def recurrent(params: list[Any]) -> tuple[list[Any], Callable[[Any, Any], Any]]:
    """Return the RNN's parameters and its loss, cell after cell."""
    wx, wh, b, wr, br = params
    criterion = nn.MSELoss()

    def loss(x: Any, y: Any) -> Any:
        h = torch.zeros(x.shape[1], wh.shape[0], dtype=x.dtype)
        for x_t in x:
            h = torch.tanh(x_t @ wx.T + h @ wh.T + b)
        return criterion(h @ wr.T + br, y)

    return params, loss


def read(loss: Any) -> float:
    """Return the number in a loss."""
    return float(loss.item())


def step_of(work: Work, compiled: bool = False) -> Callable[[Any, Any], Any]:
    """Return the training step of `work`, its loss function compiled or not."""
    params, loss_of = parts(work)
    if compiled:
        loss_of = torch.compile(loss_of)
    if work.optimizer == "adam":
        optimizer: Any = torch.optim.Adam(params, lr=work.lr)
    else:
        optimizer = torch.optim.SGD(params, lr=work.lr, momentum=work.momentum)

    def train_step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return train_step


def batches(work: Work) -> list[tuple[Any, Any]]:
    """Return the batches of `work` as torch tensors."""
    return [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in work.batches]


def rows(work: Work, skipped: dict[str, str]) -> list[Row]:
    """Return the eager row of `work` and the compiled one, which compiles when first called."""
    data = batches(work)
    return [
        Row("PyTorch eager", over(data, step_of(work)), read),
        Row("torch.compile", over(data, step_of(work, compiled=True)), read),
    ]
