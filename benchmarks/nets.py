"""A conv net, a transformer and an LSTM against PyTorch eager: `python -m benchmarks.nets`.

All float32, from the same weights, with one BLAS thread unless the environment says otherwise; the
first three losses are checked equal before timing. Interleaved rounds, medians, ratios by round.
"""

# ruff: noqa: E402, BLAS reads its number of threads when NumPy is imported
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before NumPy and torch read them

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import retrograd as rg

ROUNDS, CALLS = 25, 10
Step = Callable[[], float]


def conv(lib: Any) -> Any:
    """Return conv 8@5x5, pool, conv 16@5x5, pool, linear, for 1x28x28."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 4 * 4, 10),
    )  # fmt: skip


def transformer(lib: Any) -> Any:
    """Return two blocks of width 64 with 4 heads over 50 words."""
    nn = lib.nn

    class Transformer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(50, 64)
            layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
            self.blocks = nn.TransformerEncoder(layer, 2)
            self.out = nn.Linear(64, 50)

        def forward(self, x: Any) -> Any:
            return self.out(self.blocks(self.words(x))).reshape((-1, 50))

    return Transformer()


def lstm_loop(lib: Any) -> Any:
    """Return an LSTM cell looped over 50 steps by hand, as PyTorch's cell is used."""
    nn, zeros = lib.nn, np.zeros((16, 32), np.float32)

    class Looped(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(8, 32)
            self.out = nn.Linear(32, 1)

        def forward(self, x: Any) -> Any:
            h = c = zeros if lib is rg else lib.from_numpy(zeros)
            for t in range(50):
                h, c = self.cell(x[t], (h, c))
            return self.out(h)

    return Looped()


def works() -> dict[str, tuple[Any, str, float, Any, Any]]:
    """Return for each work the net, optimizer, rate and batch."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(32, 1, 28, 28)).astype(np.float32)
    words = rng.integers(0, 50, (16, 32))
    series = rng.normal(size=(50, 16, 8)).astype(np.float32)
    return {
        "conv net": (conv, "SGD", 0.01, images, rng.integers(0, 10, 32)),
        "transformer": (transformer, "Adam", 0.001, words, rng.integers(0, 50, 16 * 32)),
        "LSTM cell loop": (
            lstm_loop, "SGD", 0.01, series, rng.normal(size=(16, 1)).astype(np.float32),
        ),
    }  # fmt: skip


def our_step(
    name: str, compiled: bool, weights: Any = None, only_model: bool = False, target: str = "numpy"
) -> Step:
    """Return the library's training step of one work, from given weights or from a seed.

    With `only_model` the model alone is compiled, and loss and optimizer are as they are.
    """
    make, optimizer, rate, x, y = works()[name]
    rg.manual_seed(0)
    model = make(rg)
    if weights is not None:
        model.load_state_dict(weights)
    update = getattr(rg.optim, optimizer)(model.parameters(), lr=rate)
    loss_fn = rg.nn.MSELoss() if y.ndim == 2 else rg.nn.CrossEntropyLoss()
    if compiled and only_model:
        model = rg.compile(model)

    def step(x: Any, y: Any) -> Any:
        update.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        update.step()
        return loss

    if compiled and not only_model:
        # versions before there was C are timed too
        step = rg.compile(step) if target == "numpy" else rg.compile(step, target=target)
    return lambda: float(step(x, y).item())


def steps(name: str) -> dict[str, Step]:
    """Return the training steps of one work: PyTorch's, ours, ours compiled in whole or in part."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    make, optimizer, rate, x, y = works()[name]
    theirs = make(torch)
    weights = {k: v.detach().numpy() for k, v in theirs.state_dict().items()}

    eager, compiled = (our_step(name, compiled, weights) for compiled in (False, True))
    update = getattr(torch.optim, optimizer)(theirs.parameters(), lr=rate)
    loss_fn = torch.nn.MSELoss() if y.ndim == 2 else torch.nn.CrossEntropyLoss()
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)

    def torch_step() -> float:
        update.zero_grad()
        loss = loss_fn(theirs(tx), ty)
        loss.backward()
        update.step()
        return float(loss.item())

    return {
        "PyTorch eager": torch_step,
        "retrograd eager": eager,
        "retrograd compiled": compiled,
        "retrograd in C": our_step(name, True, weights, target="c"),
        "retrograd compiled model": our_step(name, True, weights, only_model=True),
    }


def timed(step: Step) -> float:
    """Return microseconds a call."""
    start = time.perf_counter()
    for _ in range(CALLS):
        step()
    return (time.perf_counter() - start) / CALLS * 1e6


def main() -> None:
    """Print a Markdown table."""
    rg.set_default_dtype(np.float32)
    rg.nn.utils.retain_memory()  # as large intermediates ask for, and PyTorch does by itself
    print("| work | row | us a step | to PyTorch eager |\n| --- | --- | ---: | ---: |")
    for name in works():
        rows = steps(name)
        for _ in range(3):
            losses = [step() for step in rows.values()]
            if not np.allclose(losses, losses[0], rtol=1e-4):
                sys.exit(f"{name}: the losses differ: {losses}")
        for step in rows.values():
            timed(step)
        rounds = [{row: timed(step) for row, step in rows.items()} for _ in range(ROUNDS)]
        for row in rows:
            us = statistics.median(r[row] for r in rounds)
            ratio = statistics.median(r[row] / r["PyTorch eager"] for r in rounds)
            print(f"| {name} | {row} | {us:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
