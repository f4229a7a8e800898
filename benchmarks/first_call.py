"""Seconds to the first result of the record's step, compilation included."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.process import Failed, call_in_process
from benchmarks.rows import Row
from benchmarks.works import WORKS

COMPILED = (
    ("retrograd", "retrograd compiled"),
    ("retrograd", "retrograd in C"),
    ("jax", "JAX jit"),
    ("torch", "torch.compile"),
    ("pytensor", "PyTensor, Numba"),
)


def row_of(peer: str, name: str) -> Row:
    """Return a compiled row of `peer`, not called yet."""
    work = WORKS["record"]()
    module = importlib.import_module(peers.PEERS[peer])
    skipped: dict[str, str] = {}
    for row in module.rows(work, skipped):
        if row.name == name:
            return row
    raise RuntimeError("; ".join(skipped.values()))


def measure(options: dict[str, Any]) -> list[float]:
    """Return the milliseconds of the first five steps; imports and construction come before."""
    row = row_of(options["peer"], options["row"])
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        row.read(row.step())
        taken.append((time.perf_counter() - start) * 1e3)
    return taken


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return, for each installed compiler, the median milliseconds of its first five steps."""
    table: dict[str, Any] = {}
    for peer, name in COMPILED:
        if importlib.util.find_spec(peer) is None:
            continue
        samples = []
        try:
            for _ in range(1 if options["quick"] else 3):
                with tempfile.TemporaryDirectory() as cache:
                    # A cache of compiled kernels would hide what the first call costs.
                    names = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "XDG_CACHE_HOME")
                    extra = dict.fromkeys(names, cache)
                    extra["PYTENSOR_FLAGS"] = f"base_compiledir={cache}"
                    asked = {"peer": peer, "row": name}
                    samples.append(
                        call_in_process("first_call:measure", asked, timeout=300, extra=extra)
                    )
        except Failed as failure:
            table[name] = {"failed": str(failure)}
            continue
        table[name] = {"milliseconds": [float(value) for value in np.median(samples, axis=0)]}
    return table
