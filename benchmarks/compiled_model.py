"""A compiled model in a loss that is not: `model = rg.compile(model)`, and all else is as it was.

Nets that take points of the plane, as those that learn an energy, a value or a solution of an
equation do, with the mean square of their errors and Adam, float64, 64 points a step. They differ
in how many calls of NumPy a layer is. `python -m benchmarks --part compiled_model`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import retrograd as rg
from benchmarks.clock import check_losses, interleave, summarize
from benchmarks.rows import Row, over

POINTS, RATE = 64, 1e-3
EAGER, MODEL, STEP = "eager", "compiled model", "compiled step"


def dense(hidden: int, depth: int, *between: Callable[[int], Any]) -> Any:
    """Return layers of one width, behind each but the last those that `between` makes."""
    layers = []
    widths = [2, *[hidden] * depth]
    for inputs, outputs in pairwise(widths):
        layers += [rg.nn.Linear(inputs, outputs), *(make(outputs) for make in between)]
    return rg.nn.Sequential(*layers, rg.nn.Linear(hidden, 1))


def tanh(_: int) -> Any:
    """Return the layer that the first nets have in between."""
    return rg.nn.Tanh()


def gelu(_: int) -> Any:
    """Return the layer that the last net has in between."""
    return rg.nn.GELU()


NETS: dict[str, Callable[[], Any]] = {
    "2-32-32-1, tanh": lambda: dense(32, 2, tanh),
    "2-20-20-20-20-1, tanh": lambda: dense(20, 4, tanh),
    "2-32-32-1, LayerNorm, GELU": lambda: dense(32, 2, rg.nn.LayerNorm, gelu),
}


def make_step(make: Callable[[], Any], how: str) -> Callable[[Any, Any], Any]:
    """Return the training step of a net, from the same weights each time."""
    rg.manual_seed(0)
    rg.set_default_dtype(np.float64)
    model = make()
    optimizer = rg.optim.Adam(model.parameters(), lr=RATE)
    criterion = rg.nn.MSELoss()
    if how == MODEL:
        model = rg.compile(model)

    def step(x: Any, y: Any) -> Any:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return rg.compile(step) if how == STEP else step


def make_batches() -> list[tuple[Any, Any]]:
    """Return eight batches of points `(64, 2)` and of what is to be learned of them, `(64, 1)`."""
    rng = np.random.default_rng(0)
    points = [rng.uniform(-2.0, 2.0, (POINTS, 2)) for _ in range(8)]
    return [(x, x[:, 1:] ** 2 / 2 - np.cos(x[:, :1])) for x in points]


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return the microseconds a step of each row, to eager, for each net."""
    found, not_timed = {}, {}
    batches = make_batches()
    for name, make in NETS.items():
        built = [
            Row(how, over(batches, make_step(make, how)), lambda loss: float(loss.item()))
            for how in (EAGER, MODEL, STEP)
        ]
        rows, refused = check_losses(built, 1e-9)
        times = interleave(rows, options["rounds"], options["seconds"] / len(NETS))
        found[name] = summarize(times, EAGER)
        not_timed.update({f"{name}, {row}": why for row, why in refused.items()})
    return {"nets": found, "not_timed": not_timed}
