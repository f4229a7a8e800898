"""A Hamiltonian net: its step takes a gradient inside, with respect to a leaf made in the step.

The net gives the energy H of a pendulum at (q, p); its derivatives are to be how it moves:
dq/dt = dH/dp, dp/dt = -dH/dq (Greydanus et al. 2019, "Hamiltonian neural networks"). Input 64x2,
two hidden layers of 32, float64, Adam. `python -m benchmarks --part hamiltonian`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

import retrograd as rg
from benchmarks.clock import check_losses, interleave, summarize
from benchmarks.rows import Row, over

POINTS, HIDDEN, RATE = 64, 32, 1e-3
EAGER, COMPILED, REFERENCE = "retrograd eager", "retrograd compiled", "PyTorch eager"
Batches = list[tuple[Any, Any]]


def make_data() -> tuple[Batches, dict[str, Any]]:
    """Return eight batches of states `(64, 2)` and how they move, and starting weights."""
    rng = np.random.default_rng(0)
    batches = []
    for _ in range(8):
        state = rng.uniform(-2.0, 2.0, (POINTS, 2))
        batches.append((state, np.stack([state[:, 1], -np.sin(state[:, 0])], axis=1)))
    weights = {}
    for k, (inputs, outputs) in enumerate([(2, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1)]):
        bound = 1 / np.sqrt(inputs)
        weights[f"{2 * k}.weight"] = rng.uniform(-bound, bound, (outputs, inputs))
        weights[f"{2 * k}.bias"] = rng.uniform(-bound, bound, outputs)
    return batches, weights


def make_model(nn: Any) -> Any:
    """Return the net, of this library or of PyTorch."""
    return nn.Sequential(
        nn.Linear(2, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1)
    )


def make_step(weights: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """Return the training step."""
    model = make_model(rg.nn)
    model.load_state_dict(weights)
    optimizer = rg.optim.Adam(model.parameters(), lr=RATE)

    def step(x: Any, motion: Any) -> Any:
        x = rg.Tensor(x, requires_grad=True)
        (slope,) = rg.autograd.grad(model(x).sum(), x, create_graph=True)
        found = np.stack([slope[:, 1], -slope[:, 0]], axis=1)
        loss = np.mean((found - motion) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def make_torch_row(batches: Batches, weights: dict[str, Any]) -> Row:
    """Return the same in PyTorch."""
    import torch

    torch.set_num_threads(1)
    model = make_model(torch.nn).double()
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)

    def step(x: Any, motion: Any) -> Any:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        loss = ((torch.stack([slope[:, 1], -slope[:, 0]], dim=1) - motion) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    data = [(torch.tensor(x), torch.tensor(y)) for x, y in batches]
    return Row(REFERENCE, over(data, step), lambda loss: float(loss.item()))


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return the microseconds a step of each row, to eager, and how many programs there are."""
    batches, weights = make_data()
    compiled = rg.compile(make_step(weights))
    built = [
        Row(EAGER, over(batches, make_step(weights)), lambda loss: float(loss.item())),
        Row(COMPILED, over(batches, compiled), lambda loss: float(loss.item())),
    ]
    if importlib.util.find_spec("torch") is not None:
        built.append(make_torch_row(batches, weights))
    rows, refused = check_losses(built, 1e-9)
    times = interleave(rows, options["rounds"], options["seconds"])
    return {
        "rows": summarize(times, EAGER),
        "programs": len(compiled.programs),
        "not_timed": refused,
    }
