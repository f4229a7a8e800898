"""What more ranks would give: `python -m benchmarks.scaling_out`, which starts `mpiexec` itself.

Two ranks are measured, each on one core with one BLAS thread: how long an Allreduce of n bytes
takes, and a training step of an MLP and of a transformer with and without another rank. A model of
two numbers, the time t0 that a message takes and the bytes B a second that follow, is fitted to the
Allreduce of two ranks, which is one exchange: t0 + n / B. It then says what p ranks would take, by
a ring, 2 (p - 1) t0 + 2 (p - 1) / p n / B, and by a tree (recursive doubling),
log2(p) (t0 + n / B). MPI takes the faster of the two.

The assumptions: all ranks are as fast, none waits for another, and any two of them exchange as
these two do; then the same with a network of 25 us and 10 Gbit/s in the place of this memory.
Weak scaling: each rank has the batch of the table. Strong scaling: p ranks share one batch; the
batch from which two pay is that where half of it takes less than the whole by more than an
Allreduce. Gradient accumulation: k batches for each Allreduce, so that it takes at most a tenth of
the time.
"""

# ruff: noqa: E402, BLAS reads its number of threads when NumPy is imported
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import itertools
import json
import math
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import retrograd as rg
from benchmarks import machine

BYTES = [8 << i for i in range(0, 22, 3)]
RANKS = (2, 8, 64, 1024)
NETWORK = (25e-6, 10e9 / 8)  # seconds, bytes a second
ROUNDS = 15

Make = Callable[[int], tuple[Any, Any, Any]]


def mlp(batch: int) -> tuple[Any, Any, Any]:
    """Return the MLP 784-256-256-10 with a batch."""
    rng = np.random.default_rng(0)
    sizes = (784, 256, 256, 10)
    layers: list[Any] = []
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        layers += [rg.nn.Linear(n, m, rng=i), rg.nn.ReLU()]
    model = rg.nn.Sequential(*layers[:-1]).to(np.float32)
    x = rng.normal(size=(batch, 784)).astype(np.float32)
    return model, x, rng.integers(0, 10, batch)


def transformer(batch: int) -> tuple[Any, Any, Any]:
    """Return the transformer of `benchmarks.nets` with a batch of sentences of 32 words."""
    from benchmarks import nets

    rng = np.random.default_rng(0)
    model = nets.transformer(rg).to(np.float32)
    return model, rng.integers(0, 50, (batch, 32)), rng.integers(0, 50, batch * 32)


WORKS: dict[str, tuple[Make, int]] = {
    "MLP 784-256-256-10": (mlp, 256), "transformer, 2 blocks of 64": (transformer, 16),
}  # fmt: skip


def training_step(make: Make, batch: int, parallel: bool) -> tuple[Callable[[], Any], int]:
    """Return a compiled step on this rank's batch, and the bytes of its gradients."""
    model, x, y = make(batch)
    optimizer: Any = rg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    if parallel:
        optimizer = rg.parallel.DataParallel(optimizer, model)
    loss_fn = rg.nn.CrossEntropyLoss()

    @rg.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        if parallel:
            optimizer.step(batch_size=batch)
        else:
            optimizer.step()
        return loss

    return lambda: step(x, y), sum(p.nbytes for p in model.parameters())


def seconds_of(call: Callable[[], Any], seconds: float = 0.05) -> float:
    """Return how long a call takes, the mean over about so many seconds."""
    start = time.perf_counter()
    call()
    calls = max(1, int(seconds / max(time.perf_counter() - start, 1e-7)))
    # all ranks must make the same number of calls
    calls = int(rg.parallel.broadcast(calls))
    rg.parallel.barrier()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def measure() -> dict[str, Any]:
    """Measure on two ranks; a rank by itself is one while the other waits in a sleep."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    found: dict[str, Any] = {"allreduce": {}, "steps": {}}
    for n in BYTES:
        x, out = np.ones(n // 4, np.float32), np.empty(n // 4, np.float32)
        times = [seconds_of(lambda: comm.Allreduce(x, out), 0.01) for _ in range(ROUNDS)]  # noqa: B023
        found["allreduce"][n] = min(times)
    for name, (make, batch) in WORKS.items():
        plain, size = training_step(make, batch, False)
        half, _ = training_step(make, batch // 2, False)
        parallel, _ = training_step(make, batch, True)
        rows: dict[str, list[float]] = {"alone": [], "half": [], "apart": [], "both": []}
        for _ in range(20):
            plain(), half(), parallel()
        for _ in range(ROUNDS):
            rows["both"].append(seconds_of(parallel))
            rows["apart"].append(seconds_of(plain))
            for key, call in (("alone", plain), ("half", half)):
                mine = time_on_first(call)
                rows[key].append(mine)
        # what two cores give that share memory and caches, but exchange nothing, is the most
        throughput, ceiling = (
            statistics.median(2 * a / b for a, b in zip(rows["alone"], rows[key], strict=True))
            for key in ("both", "apart")
        )
        found["steps"][name] = {
            "batch": batch, "bytes": size, "throughput": throughput, "ceiling": ceiling,
            "best": 2 * min(rows["alone"]) / min(rows["both"]),
            **{key: min(times) for key, times in rows.items()},
        }  # fmt: skip
    return found


def time_on_first(call: Callable[[], Any]) -> float:
    """Return how long a call takes on rank 0, while the others sleep."""
    taken = 0.0
    if rg.parallel.rank() == 0:
        start = time.perf_counter()
        calls = 0
        while time.perf_counter() - start < 0.05:
            call()
            calls += 1
        taken = (time.perf_counter() - start) / calls
    else:
        time.sleep(0.06)
    return float(rg.parallel.broadcast(taken))


# The model


def fit_line(allreduce: dict[int, float]) -> tuple[float, float]:
    """Return the time of a message and the bytes a second, that fit best relatively."""
    n, t = (np.array([*column]) for column in zip(*allreduce.items(), strict=True))
    design = np.stack([1 / t, n / t], axis=1)
    (start, per_byte), *_ = np.linalg.lstsq(design, np.ones(len(t)), rcond=None)
    return float(start), float(1 / per_byte)


def allreduce_seconds(p: int, n: float, line: tuple[float, float]) -> dict[str, float]:
    """Return what an Allreduce of n bytes over p ranks takes, by a ring and by a tree."""
    start, rate = line
    if p == 1:
        return {"ring": 0.0, "tree": 0.0}
    return {
        "ring": 2 * (p - 1) * start + 2 * (p - 1) / p * n / rate,
        "tree": math.ceil(math.log2(p)) * (start + n / rate),
    }


def batch_that_pays(alone: float, half: float, batch: int, cost: float) -> int:
    """Return the batch from which two ranks with half of it each are faster than one.

    Args:
        alone: the seconds of a step with the batch.
        half: those of a step with half of it.
        batch: the batch.
        cost: the seconds of an Allreduce.
    """
    per_sample = max((alone - half) / (batch - batch // 2), 1e-12)
    return max(2, math.ceil(2 * cost / per_sample))


def accumulation(alone: float, cost: float, share: float = 0.1) -> int:
    """Return for how many batches there is one Allreduce that takes at most a share of the time."""
    return max(1, math.ceil(cost * (1 - share) / share / alone))


def table(name: str, row: dict[str, Any], line: tuple[float, float], where: str) -> list[str]:
    """Return the lines of Markdown for one net and one kind of connection."""
    lines = [
        f"\n{name}, batch {row['batch']} a rank, {row['bytes'] / 1e6:.2f} MB of gradients, "
        f"{where}\n",
        "| ranks | ring, us | tree, us | speed, weak | speed, strong | batches an Allreduce |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    alone, half, batch = row["alone"], row["half"], row["batch"]
    per_sample = (alone - half) / (batch - batch // 2)
    fixed = max(alone - per_sample * batch, 0.0)
    for p in RANKS:
        both = allreduce_seconds(p, row["bytes"], line)
        cost = min(both.values())
        weak = p * alone / (alone + cost)
        strong = alone / (fixed + per_sample * batch / p + cost)
        k = accumulation(alone, cost)
        lines.append(
            f"| {p} | {both['ring'] * 1e6:,.0f} | {both['tree'] * 1e6:,.0f} | {weak:,.1f} | "
            f"{strong:.2f} | {k} |"
        )
    cost = min(allreduce_seconds(2, row["bytes"], line).values())
    pays = batch_that_pays(alone, half, batch, cost)
    lines.append(f"\nTwo ranks pay from a batch of {pays} that they share.")
    return lines


def report(found: dict[str, Any]) -> str:
    """Return all that was measured and what the model says, as Markdown."""
    line = fit_line(found["allreduce"])
    here = machine.describe()
    lines = [
        f"{here['cpu']}, {here['cores']} cores, NumPy {here['numpy']}; load at the end "
        f"{os.getloadavg()[0]:.1f}\n",
        "| Allreduce of 2 ranks, bytes | us | model |",
        "|---:|---:|---:|",
    ]
    for n, t in found["allreduce"].items():
        lines.append(f"| {n:,} | {t * 1e6:.1f} | {(line[0] + n / line[1]) * 1e6:.1f} |")
    lines.append(f"\nThe model: {line[0] * 1e6:.1f} us and {line[1] / 1e9:.2f} GB/s.")
    for name, row in found["steps"].items():
        lines.append(
            f"\n{name}: a step takes {row['alone'] * 1e3:.2f} ms on one rank, "
            f"{row['both'] * 1e3:.2f} ms on each of two: {row['throughput']:.2f} times the "
            f"samples (median of rounds; {row['best']:.2f} of the best); without the Allreduce "
            f"{row['apart'] * 1e3:.2f} ms, {row['ceiling']:.2f} times the samples"
        )
    for name, row in found["steps"].items():
        lines += table(name, row, line, "this memory")
        lines += table(name, row, NETWORK, "a network of 25 us and 10 Gbit/s")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Start two ranks that measure, and print what they have found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling_out")
    parser.add_argument("--measure", action="store_true", help="measure on this rank")
    if parser.parse_args(argv).measure:
        found = measure()
        if rg.parallel.rank() == 0:
            print(json.dumps(found))
        return 0
    beside = Path(sys.prefix, "bin", "mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        parser.error('it needs MPI: python -m pip install "retrograd[mpi]"')
    command = [sys.executable, "-m", "benchmarks.scaling_out", "--measure"]
    done = subprocess.run(
        [launcher, "-n", "2", *command], stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout)
    found["allreduce"] = {int(n): t for n, t in found["allreduce"].items()}
    print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
