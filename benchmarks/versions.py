"""Compare two checkouts of the library in one run: `python -m benchmarks.versions OTHER`.

OTHER is the root of another checkout, such as one of the commit before. Each step runs in a
process of its own, as users have it, with one BLAS thread, from the same weights; the processes are
timed in turn, in interleaved rounds. Where in memory a process finds itself makes some percent of
difference for as long as it lives, so there are several pairs of processes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process import ROOT, environment

KINDS = ("eager", "compiled")
# what `rg.nn.utils.retain_memory` does, as older versions cannot
RETAINED = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
TOLERANCE = 1e-4  # between the losses of the first steps


class Worker:
    """A process with the library of a checkout, which times steps of one work when asked."""

    def __init__(self, root: Path, work: str, kind: str) -> None:
        variables = environment("1") | RETAINED
        # the library of the checkout, and the works of this one
        variables["PYTHONPATH"] = os.pathsep.join([str(root / "src"), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.versions", "--serve", work, kind, str(root)],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **question: Any) -> Any:
        """Return what the process answers, once it has."""
        to, back = self.process.stdin, self.process.stdout
        assert to is not None
        assert back is not None
        print(json.dumps(question), file=to, flush=True)
        answer = back.readline()
        if not answer:
            sys.exit(f"the process with {self.process.args} ended")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


@contextmanager
def workers(roots: dict[str, Path], work: str, kind: str) -> Iterator[dict[str, Worker]]:
    """Start a process for each checkout, and end them afterwards."""
    started = {name: Worker(root, work, kind) for name, root in roots.items()}
    try:
        yield started
    finally:
        for worker in started.values():
            worker.close()


def serve(work: str, kind: str, root: Path) -> None:
    """Answer questions about one work from standard input: its losses, or the time of steps."""
    import retrograd as rg
    from benchmarks import nets
    from benchmarks.clock import CHECKED_STEPS, batch_time
    from benchmarks.peers import ours
    from benchmarks.rows import Row, over
    from benchmarks.works import WORKS

    assert str(rg.__file__).startswith(str(root)), rg.__file__
    if work in WORKS:
        made = WORKS[work]()
        step = ours.step_of(made)
        step = rg.compile(step) if kind == "compiled" else step
        row = Row(f"retrograd {kind}", over(ours.batches(made), step), ours.read)
    else:
        rg.set_default_dtype(np.float32)
        row = Row(f"retrograd {kind}", nets.our_step(work, kind == "compiled"))
    for line in sys.stdin:
        question = json.loads(line)
        if steps := question.get("steps"):
            batch_time(row, max(1, steps // 10))
            answer: Any = np.median([batch_time(row, 1) for _ in range(steps)])
        else:
            answer = [row.read(row.step()) for _ in range(CHECKED_STEPS)]
        print(json.dumps(answer), flush=True)


def compare(
    roots: dict[str, Path], work: str, kind: str, pairs: int, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Return the microseconds a step of one work took, for each checkout and round."""
    times: dict[str, list[float]] = {name: [] for name in roots}
    shuffle = random.Random(0).shuffle
    for _ in range(pairs):
        with workers(roots, work, kind) as started:
            losses = {name: worker.ask() for name, worker in started.items()}
            if not np.allclose(*losses.values(), rtol=TOLERANCE):
                sys.exit(f"{work}, {kind}: the losses differ: {losses}")
            share = seconds / pairs / rounds / len(roots)
            steps = max(1, round(share / started["this"].ask(steps=10)))
            order = list(roots)
            for _ in range(rounds):
                shuffle(order)
                for name in order:
                    times[name].append(started[name].ask(steps=steps) * 1e6)
    return times


def main() -> None:
    """Print a table: microseconds a step, and this checkout's over the other's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=__doc__)
    parser.add_argument("other", type=Path, help="the root of the other checkout")
    parser.add_argument("--pairs", type=int, default=6, help="of processes, for each work")
    parser.add_argument("--rounds", type=int, default=8, help="for each pair")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each work and kind")
    parser.add_argument("--work", nargs="+", help="works and nets (default: all)")
    parser.add_argument("--serve", nargs=2, metavar=("WORK", "KIND"), help="be such a process")
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve, options.other)
        return
    from benchmarks import nets
    from benchmarks.works import WORKS

    roots = {"other": options.other.resolve(), "this": ROOT}
    print("| work | | other, us | this, us | this / other |\n| --- | --- | ---: | ---: | ---: |")
    for work in options.work or [*WORKS, *nets.works()]:
        for kind in KINDS:
            times = compare(roots, work, kind, options.pairs, options.rounds, options.seconds)
            ratio = np.median(np.divide(times["this"], times["other"]))
            other, this = np.median(times["other"]), np.median(times["this"])
            print(f"| {work} | {kind} | {other:,.1f} | {this:,.1f} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    main()
