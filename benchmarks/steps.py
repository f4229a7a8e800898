"""The main table: microseconds a training step, every row from the same weights."""

from __future__ import annotations

from typing import Any

from benchmarks import floor, hand, peers
from benchmarks.clock import check_losses, interleave, summarize
from benchmarks.works import WORKS, Work

CONTROL, REFERENCE = "NumPy by hand", "PyTorch eager"
SETTLE = 0.02  # seconds; see `clock.interleave`


def time_work(work: Work, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the table of `work` and why any row is not in it."""
    skipped: dict[str, str] = {}
    built = hand.rows(work) + floor.rows(work) + peers.rows(work, skipped)
    rows, refused = check_losses(built, work.tolerance)
    times = interleave(rows, rounds, seconds, SETTLE)
    return {
        "title": work.title,
        "rows": summarize(times, CONTROL, REFERENCE),
        "not_timed": skipped | refused,
    }


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Time the works named in `options`; return a table for each."""
    return {
        name: time_work(WORKS[name](), options["rounds"], options["seconds"])
        for name in options["work"]
    }
