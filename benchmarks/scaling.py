"""How the time of a step grows with the width, the depth and the batch of a ReLU net."""

from __future__ import annotations

from typing import Any

from benchmarks import hand, peers
from benchmarks.clock import check_losses, interleave, summarize
from benchmarks.steps import CONTROL, REFERENCE, SETTLE
from benchmarks.works import Work, classifier

PEERS = ("retrograd", "torch", "jax")
LEFT_OUT = ("torch.compile",)
WIDTH, DEPTH, BATCH = 64, 2, 64
GRID = {
    "width": (8, 32, 128, 512),
    "depth": (1, 2, 4, 8, 16),
    "batch": (1, 8, 64, 512),
}


def work_at(axis: str, value: int) -> Work:
    """Return a net of middling size with one of its three measures changed to `value`."""
    size = {"width": WIDTH, "depth": DEPTH, "batch": BATCH} | {axis: value}
    sizes = [32] + [size["width"]] * size["depth"] + [10]
    return classifier("scaling", f"{axis} {value}", sizes, size["batch"], "sgd", 0.01)


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return the median microseconds of every row at every point of the grid."""
    points = sum(map(len, GRID.values()))
    table: dict[str, Any] = {}
    for axis, values in GRID.items():
        table[axis] = {}
        for value in values[:2] if options["quick"] else values:
            work = work_at(axis, value)
            skipped: dict[str, str] = {}
            built = hand.rows(work) + peers.rows(work, skipped, PEERS)
            kept = [row for row in built if row.name not in LEFT_OUT]
            rows, _ = check_losses(kept, work.tolerance)
            times = interleave(rows, options["rounds"], options["seconds"] * 4 / points, SETTLE)
            table[axis][str(value)] = summarize(times, CONTROL, REFERENCE)
    return {"middle": {"width": WIDTH, "depth": DEPTH, "batch": BATCH}, "axes": table}
