"""Interleaved timing: every row runs a short batch in every round, in a new order."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.rows import Row

CHECKED_STEPS = 5
BURN_IN_ROUNDS = 1


def check_losses(rows: Sequence[Row], tolerance: float) -> tuple[list[Row], dict[str, str]]:
    """Run the first steps of every row; return those that agree with the first row.

    The others come back with the reason. This is also each row's warm-up.
    """
    agreeing: list[Row] = []
    refused: dict[str, str] = {}
    expected: list[float] = []
    for row in rows:
        try:
            losses = [row.read(row.step()) for _ in range(CHECKED_STEPS)]
        except Exception as error:
            # A framework that fails on one work must not cost the other rows.
            refused[row.name] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
            continue
        expected = expected or losses
        apart = max(
            abs(loss - right) / abs(right) for loss, right in zip(losses, expected, strict=True)
        )
        if apart <= tolerance:
            agreeing.append(row)
        else:
            refused[row.name] = f"its losses differ from the control's by {apart:.1e} (relative)"
    return agreeing, refused


def batch_time(row: Row, steps: int) -> float:
    """Return the seconds a step of `row` takes over `steps` steps, their last result awaited."""
    step = row.step
    start = time.perf_counter()
    for _ in range(steps):
        loss = step()
    row.read(loss)
    return (time.perf_counter() - start) / steps


def interleave(
    rows: Sequence[Row], rounds: int, seconds: float, settle: float = 0.0
) -> dict[str, list[float]]:
    """Return the microseconds a step took, for each row and round.

    `seconds` is the time for all rows and rounds together. `settle` seconds pass before each
    batch: thread pools keep spinning for some milliseconds after their last task, and would slow
    the next row.
    """
    share = seconds / (rounds + BURN_IN_ROUNDS) / len(rows)
    steps = {row.name: max(1, round(share / batch_time(row, 3))) for row in rows}
    times: dict[str, list[float]] = {row.name: [] for row in rows}
    order = list(rows)
    shuffle = random.Random(0).shuffle
    gc.collect()
    # Frameworks own millions of objects; frozen, they cost neither their own row nor another.
    gc.freeze()
    try:
        for turn in range(rounds + BURN_IN_ROUNDS):
            shuffle(order)
            for row in order:
                gc.collect()
                time.sleep(settle)
                batch_time(row, max(1, steps[row.name] // 10))
                taken = batch_time(row, steps[row.name])
                if turn >= BURN_IN_ROUNDS:
                    times[row.name].append(taken * 1e6)
    finally:
        gc.unfreeze()
    return times


def summarize(
    times: dict[str, list[float]], control: str, reference: str | None = None
) -> dict[str, dict[str, float]]:
    """Return each row's median, quartiles, and median per-round ratio to `control`.

    The ratio to `reference` (PyTorch eager, say) is added where that row was run.
    """
    table = {}
    for name, taken in times.items():
        low, median, high = np.percentile(taken, [25, 50, 75])
        entry = {"median": median, "q1": low, "q3": high}
        entry["ratio"] = float(np.median(np.divide(taken, times[control])))
        if reference in times:
            entry["ratio_torch"] = float(np.median(np.divide(taken, times[reference])))
        table[name] = {key: float(value) for key, value in entry.items()}
    return table
