"""Peak memory of the larger net's step, by hand, as a flat program, eager and compiled.

Two measures, each row in a process of its own. `tracemalloc` sees every array NumPy allocates:
the peak of the first call and of later calls, over what was live before the row was built (its
weights and buffers count, its batches do not). `ru_maxrss` is the whole process at its fullest,
interpreter and libraries included.
"""

from __future__ import annotations

import importlib
import importlib.util
import resource
import sys
import tracemalloc
from typing import Any

from benchmarks import floor, hand, peers
from benchmarks.process import Failed, call_in_process
from benchmarks.rows import Row, over
from benchmarks.works import WORKS, Work

NAMES = ("NumPy by hand", "NumPy floor (out=)", "retrograd eager", "retrograd compiled")


def row_named(name: str, work: Work) -> Row:
    """Return the row of that name alone, so that no other row's arrays are counted."""
    if name == NAMES[0]:
        return hand.rows(work)[0]
    if name == NAMES[1]:
        return floor.rows(work)[0]
    ours = importlib.import_module(peers.PEERS["retrograd"])
    step = ours.step_of(work)
    if name == NAMES[3]:
        import retrograd as rg

        step = rg.compile(step)
    return Row(name, over(ours.batches(work), step), ours.read)


def measure(options: dict[str, Any]) -> dict[str, float]:
    """Return the peaks of one row, in MiB."""
    work = WORKS["mlp"]()
    row_named(options["row"], work).step()  # what is imported on first use is not the row's
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    row = row_named(options["row"], work)
    row.read(row.step())
    _, first = tracemalloc.get_traced_memory()
    for _ in range(5):
        row.read(row.step())
    tracemalloc.reset_peak()
    for _ in range(5):
        row.read(row.step())
    _, later = tracemalloc.get_traced_memory()
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {
        "first_call_mib": (first - before) / 2**20,
        "later_calls_mib": (later - before) / 2**20,
        "process_mib": resident / 2**20,
    }


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return the peaks of every row that can run here."""
    table: dict[str, Any] = {}
    for name in NAMES:
        if "retrograd" in name and importlib.util.find_spec("retrograd") is None:
            continue
        try:
            table[name] = call_in_process("memory:measure", {"row": name}, timeout=300)
        except Failed as failure:
            table[name] = {"failed": str(failure)}
    return table
