"""What reads batches fastest: `python -m benchmarks.loading`.

A compiled step of a small net trains on batches that come in different ways. The data sets:

- `array`: `TensorDataset` of arrays in memory, and `memmap`: of a file; a batch is one indexing.
- `text`: a class of one's own that parses a line of numbers in Python for each sample.
- `image`: one that crops, turns, blurs and normalizes an image by NumPy for each sample.

The ways: no prefetch, a thread (`prefetch=4`), and worker processes, 1 and 2 (`num_workers`) and as
many in a pool written by hand, `Pool.imap` over the batches' indices: the control. All ways of all
data sets are timed in every round, in an order of its own. A time is that from the first batch of
an epoch to its last one; the time until the first batch, in which processes start, is told apart.
Ratios are medians of those of the rounds, to the loop without prefetch.

Workers can pay only where cores are free, and clocks show that only on a machine that is: its load
is printed. Processor time is less moved by others. So beside the clock's samples a second stands
what a sample takes of the processor in this process, the step included, and in all of its workers.
With a core for each of them, n workers give the lesser of 1 / here and n / workers samples a
second: the last column, in times of the loop without prefetch.
"""

# ruff: noqa: E402, BLAS reads its number of threads when NumPy is imported
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import multiprocessing
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import retrograd as rg
from benchmarks import machine

FEATURES = 28 * 28
BATCH = 32
AHEAD = 4  # batches that the thread reads ahead

Loop = Callable[[], Iterator[Any]]


class Lines:
    """Lines of numbers, parsed, shifted and scaled in Python for each sample."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        self.lines = [",".join(f"{v:.4f}" for v in rng.random(FEATURES)) for _ in range(count)]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        values = [float(word) for word in self.lines[index].split(",")]
        mean = sum(values) / len(values)
        return np.array([2 * (v - mean) for v in values], np.float32), index % 10


class Images:
    """Images, cropped, turned, blurred and normalized by NumPy for each sample."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 256, (count, 64, 64), np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        rng = rg.random.generator()
        top, left = rng.integers(0, 8, 2)
        image = self.images[index, top : top + 56, left : left + 56].astype(np.float32)
        if rng.random() < 0.5:
            image = image[:, ::-1]
        image = np.rot90(image, rng.integers(4))
        for axis in (0, 1):
            for _ in range(2):
                image = (np.roll(image, 1, axis) + 2 * image + np.roll(image, -1, axis)) / 4
        image = image + rng.normal(size=image.shape).astype(np.float32)
        image = (image - image.mean()) / image.std()
        return np.ascontiguousarray(image[::2, ::2]).reshape(-1), index % 10


def array(count: int) -> rg.data.TensorDataset:
    """Return samples in memory."""
    x = np.random.default_rng(0).random((count, FEATURES), np.float32)
    return rg.data.TensorDataset(x, np.arange(count) % 10)


def memmap(count: int) -> rg.data.TensorDataset:
    """Return samples on a file, which goes when the process ends."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, array(count).arrays[0])
        x = np.load(file.name, mmap_mode="r")
    return rg.data.TensorDataset(x, np.arange(count) % 10)


# a factory, and how many samples an epoch has
DATA: dict[str, tuple[Callable[[int], Any], int]] = {
    "array": (array, 32_768), "memmap": (memmap, 32_768), "text": (Lines, 4096),
    "image": (Images, 4096),
}  # fmt: skip


def by_hand(dataset: Any, workers: int) -> Iterator[Any]:
    """Yield batches that a pool of forked processes reads."""
    order = np.random.default_rng(0).permutation(len(dataset))
    with multiprocessing.get_context("fork").Pool(workers, _keep, (dataset,)) as pool:
        yield from pool.imap(_read, np.split(order, len(order) // BATCH))


_kept: list[Any] = []


def _keep(dataset: Any) -> None:
    _kept[:] = [dataset]


def _read(indices: Any) -> Any:
    dataset = _kept[0]
    if isinstance(dataset, rg.data.TensorDataset):
        return dataset[indices]
    return rg.data.collate([dataset[int(i)] for i in indices])


def ways(dataset: Any, counts: list[int]) -> dict[str, Loop]:
    """Return what begins an epoch of a data set, for each way of reading it."""

    def loader(**options: Any) -> Loop:
        made = rg.data.DataLoader(dataset, BATCH, shuffle=True, rng=0, **options)
        return lambda: iter(made)

    found = {"no prefetch": loader(), "thread": loader(prefetch=AHEAD)}
    for n in counts:
        plural = "s" * (n > 1)
        found[f"{n} process{'es' * (n > 1)} by hand"] = lambda n=n: by_hand(dataset, n)  # type: ignore[misc]
        if WORKERS:
            found[f"{n} worker{plural}"] = loader(num_workers=n)
    return found


WORKERS = "num_workers" in rg.data.DataLoader.__init__.__annotations__


def make_step() -> Callable[[Any, Any], Any]:
    """Return a compiled training step of the MLP 784-64-10."""
    model = rg.nn.Sequential(
        rg.nn.Linear(FEATURES, 64, rng=0), rg.nn.ReLU(), rg.nn.Linear(64, 10, rng=1)
    ).to(np.float32)
    optimizer = rg.optim.SGD(model.parameters(), lr=0.001)
    loss_fn = rg.nn.CrossEntropyLoss()

    @rg.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def processor() -> tuple[float, float]:
    """Return the processor's seconds of this process, and of its children that have ended."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own, children = (usage.ru_utime + usage.ru_stime for usage in found)
    return own, children


def epoch(begin: Loop, step: Callable[[Any, Any], Any]) -> dict[str, float]:
    """Return the seconds until the first batch, and those a sample: of the clock, here, workers."""
    own, children = processor()
    start = time.perf_counter()
    batches = begin()
    step(*next(batches))
    first = time.perf_counter()
    count = 0
    for x, y in batches:
        step(x, y)
        count += len(y)
    end = time.perf_counter()
    own_end, children_end = processor()
    return {
        "first": first - start, "sample": (end - first) / count,
        "here": (own_end - own) / (count + BATCH),
        "workers": (children_end - children) / (count + BATCH),
    }  # fmt: skip


def measure(rounds: int, counts: list[int], names: list[str], share: float) -> dict[str, Any]:
    """Time all ways of all data sets in every round; return the times by data set and way."""
    step = make_step()
    rows: list[tuple[str, str, Loop]] = []
    found: dict[str, Any] = {}
    for name in names:
        make, size = DATA[name]
        dataset = make(max(BATCH * 8, int(size * share) // BATCH * BATCH))
        begin = time.perf_counter()
        for i in range(100):
            dataset[i]
        cost = (time.perf_counter() - begin) / 100
        found[name] = {"item_us": cost * 1e6, "ways": {}}
        for way, loop in ways(dataset, counts).items():
            rows.append((name, way, loop))
            found[name]["ways"][way] = {"first": [], "sample": [], "here": [], "workers": []}
    shuffle = random.Random(0).shuffle
    for turn in range(rounds + 1):
        shuffle(rows)
        for name, way, loop in rows:
            for key, seconds in epoch(loop, step).items():
                if turn:  # the first one warms up
                    found[name]["ways"][way][key].append(seconds)
    return found


def report(found: dict[str, Any]) -> str:
    """Return what was measured as Markdown."""
    here = machine.describe()
    lines = [
        f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, NumPy {here['numpy']}; "
        f"load at the end {os.getloadavg()[0]:.1f}",
    ]
    for name, entry in found.items():
        lines += [
            f"\n{name}: an item takes {entry['item_us']:.0f} us\n",
            "| batches from | samples a second | times no prefetch | first batch, ms | "
            "processor here, us | in workers, us | times, with free cores |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        base = entry["ways"]["no prefetch"]
        for way, times in entry["ways"].items():
            ratio = statistics.median(
                b / t for b, t in zip(base["sample"], times["sample"], strict=True)
            )
            speed, first, here_us, workers_us = (
                statistics.median(times[key]) * scale
                for key, scale in (("sample", 1.0), ("first", 1e3), ("here", 1e6), ("workers", 1e6))
            )
            count = int(way[0]) if way[0].isdigit() else 0
            most = statistics.median(base["here"]) * 1e6 / max(here_us, workers_us / max(count, 1))
            lines.append(
                f"| {way} | {1 / speed:,.0f} | {ratio:.2f} | {first:.1f} | {here_us:.0f} | "
                f"{workers_us:.0f} | {f'{most:.2f}' if count else ''} |"
            )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading")
    parser.add_argument("--rounds", type=int, default=7, help="how often all are timed")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of them")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--share", type=float, default=1.0, help="of an epoch's samples")
    parser.add_argument("--json", type=Path, help="a file for the times of all rounds")
    args = parser.parse_args(argv)
    found = measure(args.rounds, args.workers, args.data, args.share)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
