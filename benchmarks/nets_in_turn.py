"""Nets of `benchmarks.nets` beside JAX: `python -m benchmarks.nets_in_turn`.

Each library is in a process of its own, with as many threads as there are cores (or with one,
`--threads 1`). The processes wait for each other: while one computes, the pools of the others
sleep. The first three losses are checked equal before timing. Interleaved rounds, medians, ratios
by round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.process import ROOT, environment

ROWS = ("JAX jit", "PyTorch eager", "retrograd compiled", "retrograd in C")
NETS = ("conv net", "transformer")
SETTLE = 0.15  # seconds: pools of threads spin on after their last task
STEPS = 10


def make_step(row: str, net: str) -> Callable[[], float]:
    """Return the training step of a net in one library, all from the same weights."""
    from benchmarks import nets

    make, optimizer, rate, x, y = nets.works()[net]
    import retrograd as rg

    rg.set_default_dtype(np.float32)
    rg.manual_seed(0)
    weights = {k: v.data.copy() for k, v in make(rg).named_parameters()}
    if row.startswith("retrograd"):
        rg.nn.utils.retain_memory()
        return nets.our_step(net, True, weights, target="c" if row.endswith("C") else "numpy")
    if row == "JAX jit":
        from benchmarks.peers import jaxnets

        return jaxnets.step_of(net, weights, rate, x, y, optimizer == "Adam")
    import torch

    theirs = make(torch)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    update = getattr(torch.optim, optimizer)(theirs.parameters(), lr=rate)
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)

    def step() -> float:
        update.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(tx), ty)
        loss.backward()
        update.step()
        return float(loss.item())

    return step


def serve(row: str, net: str) -> None:
    """Print the first three losses; then, for each line of input, the microseconds of a step."""
    step = make_step(row, net)
    print(*(repr(step()) for _ in range(3)), flush=True)
    for _ in range(30):
        step()
    for _ in sys.stdin:
        step()
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        print((time.perf_counter() - start) / STEPS * 1e6, flush=True)


class Server:
    """A process that runs the steps of one library when it is asked to.

    Args:
        row: the library.
        net: the net.
        threads: "1" or "default".
    """

    def __init__(self, row: str, net: str, threads: str) -> None:
        variables = environment(threads)
        if threads == "default":  # `benchmarks.nets` would set it to one
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
                variables[name] = str(os.cpu_count())
        command = [sys.executable, "-m", "benchmarks.nets_in_turn", "--serve", row, net]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=variables, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip

    def read(self) -> list[float]:
        """Return the numbers of the next line."""
        assert self.process.stdout is not None
        return [float(word) for word in self.process.stdout.readline().split()]

    def time(self) -> float:
        """Return the microseconds of a step."""
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        return self.read()[0]

    def stop(self) -> None:
        """Let the process end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(net: str, threads: str, seconds: float) -> None:
    """Print the lines of one net."""
    servers = {row: Server(row, net, threads) for row in ROWS}
    losses = {row: server.read() for row, server in servers.items()}
    for row, found in losses.items():
        if not np.allclose(found, losses["JAX jit"], rtol=1e-3):
            sys.exit(f"{net}: the losses of {row} differ: {losses}")
    rounds: list[dict[str, float]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = {}
        for row, server in servers.items():
            time.sleep(SETTLE)
            found[row] = server.time()
        rounds.append(found)
    for server in servers.values():
        server.stop()
    for row in ROWS:
        us = statistics.median(r[row] for r in rounds)
        ratio = statistics.median(r[row] / r["JAX jit"] for r in rounds)
        print(f"| {net} | {row} | {us:,.0f} | {ratio:.2f} |")


def main() -> None:
    """Print a Markdown table, or serve one process of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nets_in_turn", description=__doc__)
    parser.add_argument("--threads", choices=["1", "default"], default="default")
    parser.add_argument("--seconds", type=float, default=20.0, help="for the rounds of a net")
    parser.add_argument("--net", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return
    print("| net | row | us a step | to JAX jit |\n| --- | --- | ---: | ---: |")
    for net in options.net:
        measure(net, options.threads, options.seconds)


if __name__ == "__main__":
    main()
