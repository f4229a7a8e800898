"""The works in each framework, one module a framework.

A module offers `rows(work, only)`; it is imported only where its framework is wanted, since every
import costs memory and threads. `PEERS` gives the order of the tables.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Sequence

from benchmarks.rows import Row
from benchmarks.works import Work

PEERS = {
    "retrograd": "benchmarks.peers.ours",
    "torch": "benchmarks.peers.pytorch",
    "jax": "benchmarks.peers.jaxlib",
    "autograd": "benchmarks.peers.hips",
    "mygrad": "benchmarks.peers.mygradlib",
    "pytensor": "benchmarks.peers.pytensorlib",
    "casadi": "benchmarks.peers.casadilib",
}


def missing() -> list[str]:
    """Return the peers that are not installed here."""
    return [name for name in PEERS if importlib.util.find_spec(name) is None]


def versions() -> dict[str, str]:
    """Return the version of each peer that is installed."""
    found = {}
    for name in PEERS:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = getattr(importlib.import_module(name), "__version__", "from source")
    return found


def rows(work: Work, skipped: dict[str, str], only: Sequence[str] | None = None) -> list[Row]:
    """Return the rows of `work` in every installed peer of `only`; note in `skipped` the others."""
    built: list[Row] = []
    for name in only or PEERS:
        if importlib.util.find_spec(name) is None:
            skipped[name] = "not installed"
            continue
        try:
            built += importlib.import_module(PEERS[name]).rows(work, skipped)
        except Exception as error:
            # One framework that cannot run here must not cost the other rows.
            skipped[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
    return built
