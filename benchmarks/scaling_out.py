"""What more ranks give: `python -m benchmarks.scaling_out`, which starts `mpiexec` itself.

Two ranks are measured, each on one core with one BLAS thread: how long it takes to add up n bytes
of each, by MPI's Allreduce and as `rg.parallel` does it, in shared memory where they are many; and
a training step of an MLP and of a transformer, on one rank while the other sleeps, on both with
nothing exchanged, and on both with gradients averaged in each of the two ways. These take turns, in
an order drawn anew in each round, and each runs for some time before it is measured: a core that
has slept is slow at first. How many samples two ranks train on in the time in which one trains on
one is the median over the rounds. What the exchange costs is set beside what it takes by itself,
again and again, and the time for which a rank waits for the other within.

A model of two numbers, the time t0 that a message takes and the bytes B a second that follow, is
fitted to the sums of two ranks, which are one exchange: t0 + n / B. It then says what p ranks would
take, by a ring, 2 (p - 1) t0 + 2 (p - 1) / p n / B, and by a tree (recursive doubling),
log2(p) (t0 + n / B), whichever is faster.

The assumptions: all ranks are as fast, none waits for another, and any two of them exchange as
these two do; then the same with a network of 25 us and 10 Gbit/s in the place of this memory.
Weak scaling: each rank has the batch of the table. Strong scaling: p ranks share one batch; the
batch from which two pay is that where half of it takes less than the whole by more than an
exchange. Gradient accumulation: k batches for each exchange, so that it takes at most a tenth of
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
from retrograd.parallel import exchange
from retrograd.parallel import group as ranks

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
    """Return how long a call takes, the mean over the ranks and about so many seconds."""
    start = time.perf_counter()
    call()
    calls = max(2, int(seconds / max(time.perf_counter() - start, 1e-7)))
    # all ranks must make the same number of calls
    calls = int(rg.parallel.broadcast(calls))
    for _ in range(calls // 2):
        call()
    rg.parallel.barrier()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return float(rg.parallel.allreduce((time.perf_counter() - start) / calls))


def seconds_on_first(call: Callable[[], Any]) -> float:
    """Return how long a call takes on rank 0, while the others sleep."""
    taken = 0.0
    if rg.parallel.rank() == 0:
        for seconds in (0.025, 0.05):
            start = time.perf_counter()
            calls = 0
            while time.perf_counter() - start < seconds:
                call()
                calls += 1
            taken = (time.perf_counter() - start) / calls
    else:
        time.sleep(0.09)
    return float(rg.parallel.broadcast(taken))


WAYS = {"messages": math.inf, "memory": 0}  # from how many bytes on memory is shared


def by(way: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """Return a call that adds up vectors of the ranks in one of two ways."""

    def run() -> Any:
        ranks.SHARED_FROM = WAYS[way]
        return call()

    return run


def measure() -> dict[str, Any]:
    """Measure on two ranks; a rank by itself is one while the other sleeps."""
    from mpi4py import MPI

    comm, group, given = MPI.COMM_WORLD, ranks.world(), ranks.SHARED_FROM
    waited = [0.0]
    wait_for = exchange.wait_for

    def timed(request: Any) -> None:
        start = time.perf_counter()
        wait_for(request)
        waited[0] += time.perf_counter() - start

    def sums(n: int) -> Callable[[], Any]:
        x, out = np.ones(n // 4, np.float32), np.empty(n // 4, np.float32)
        return lambda: group.mean(x, out, 1.0, 1.0)

    found: dict[str, Any] = {"allreduce": {}, "sums": {}, "steps": {}}
    for n in BYTES:
        x, out = np.ones(n // 4, np.float32), np.empty(n // 4, np.float32)
        times = [seconds_of(lambda: comm.Allreduce(x, out), 0.01) for _ in range(ROUNDS)]  # noqa: B023
        found["allreduce"][n] = min(times)
        call = sums(n)
        found["sums"][n] = min(seconds_of(call, 0.01) for _ in range(ROUNDS))
    for name, (make, batch) in WORKS.items():
        plain, size = training_step(make, batch, False)
        half, _ = training_step(make, batch // 2, False)
        parallel, _ = training_step(make, batch, True)
        together = {"apart": plain, **{way: by(way, parallel) for way in WAYS}}
        alone = {"alone": plain, "half": half}
        rows: dict[str, list[float]] = {key: [] for key in (*together, *alone, "waiting")}
        for _ in range(ranks.COMPARED):  # sums are compared that often
            parallel()
        for call in (*together.values(), half):
            for _ in range(5):
                call()
        rng = np.random.default_rng(0)  # the same on all ranks
        for _ in range(ROUNDS):
            for key in rng.permutation([*together, *alone]):
                once = seconds_of if key in together else seconds_on_first
                rows[key].append(once({**together, **alone}[key]))
            exchange.wait_for, waited[0], calls = timed, 0.0, 10
            for _ in range(calls):
                together["memory"]()
            exchange.wait_for = wait_for
            rows["waiting"].append(float(rg.parallel.allreduce(waited[0] / calls)))
        # what two cores give that share memory and caches, but exchange nothing, is the most
        throughput = {
            key: statistics.median(2 * a / b for a, b in zip(rows["alone"], rows[key], strict=True))
            for key in together
        }
        call = sums(size)
        found["steps"][name] = {
            "batch": batch, "bytes": size, "throughput": throughput,
            "itself": {
                way: min(seconds_of(by(way, call), 0.02) for _ in range(ROUNDS)) for way in WAYS
            },
            **{key: statistics.median(times) for key, times in rows.items()},
        }  # fmt: skip
        ranks.SHARED_FROM = given
    return found


# The model


def fit_line(sums: dict[int, float]) -> tuple[float, float]:
    """Return the time of a message and the bytes a second, that fit best relatively."""
    n, t = (np.array([*column]) for column in zip(*sums.items(), strict=True))
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
    line = fit_line(found["sums"])
    here = machine.describe()
    lines = [
        f"{here['cpu']}, {here['cores']} cores, NumPy {here['numpy']}; load at the end "
        f"{os.getloadavg()[0]:.1f}\n",
        "| sum of 2 ranks, bytes | Allreduce, us | here, us | model |",
        "|---:|---:|---:|---:|",
    ]
    for n, t in found["sums"].items():
        model = line[0] + n / line[1]
        reduce = found["allreduce"][n]
        lines.append(f"| {n:,} | {reduce * 1e6:.1f} | {t * 1e6:.1f} | {model * 1e6:.1f} |")
    lines.append(f"\nThe model: {line[0] * 1e6:.1f} us and {line[1] / 1e9:.2f} GB/s.\n")
    lines += [
        "| a step, ms, and what two ranks give | one rank | two, apart | messages | memory |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in found["steps"].items():
        cells = [
            f"{row[key] * 1e3:.2f}, {row['throughput'][key]:.2f}"
            for key in ("apart", "messages", "memory")
        ]
        lines.append(f"| {name} | {row['alone'] * 1e3:.2f} | {' | '.join(cells)} |")
    for name, row in found["steps"].items():
        lines.append(
            f"\n{name}: the exchange costs {(row['memory'] - row['apart']) * 1e6:.0f} us of a step "
            f"in shared memory, of which a rank waits {row['waiting'] * 1e6:.0f}, and by messages "
            f"{(row['messages'] - row['apart']) * 1e6:.0f}; by itself it takes "
            f"{row['itself']['memory'] * 1e6:.0f} and {row['itself']['messages'] * 1e6:.0f}."
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
    for key in ("allreduce", "sums"):
        found[key] = {int(n): t for n, t in found[key].items()}
    print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
