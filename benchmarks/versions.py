"""Compare two checkouts of the library in one run: `python -m benchmarks.versions OTHER`.

OTHER is the root of another checkout, such as one of the commit before. Both are loaded into this
process, train from the same weights and are timed in interleaved rounds, with one BLAS thread.
"""

# ruff: noqa: E402, BLAS reads its number of threads when NumPy is imported
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clock import CHECKED_STEPS, check_losses, interleave, summarize
from benchmarks.rows import Row
from benchmarks.works import WORKS

HERE = Path(__file__).resolve().parent.parent
OURS = ("retrograd", "benchmarks.peers.ours", "benchmarks.nets")


def load(root: Path) -> dict[str, Any]:
    """Import the library of a checkout whole, and what is measured with it, apart from others."""
    for name in [name for name in sys.modules if name.startswith(OURS)]:
        del sys.modules[name]
    source = str(root / "src")
    sys.path.insert(0, source)
    try:
        library = importlib.import_module("retrograd")
        assert str(library.__file__).startswith(source), library.__file__
        for module in pkgutil.walk_packages(library.__path__, "retrograd."):
            if "scipy" not in module.name:
                importlib.import_module(module.name)
        for name in OURS:
            importlib.import_module(name)
        return {name: module for name, module in sys.modules.items() if name.startswith(OURS)}
    finally:
        sys.path.remove(source)


def warm(step: Callable[[], Any], modules: dict[str, Any]) -> None:
    """Run the first steps, which may import more, while imports find the version they are of."""
    for _ in range(CHECKED_STEPS):
        sys.modules.update(modules)
        step()


def rows(name: str, versions: dict[str, dict[str, Any]]) -> list[Row]:
    """Return the rows of one work, those of a version together."""
    found = []
    for version, modules in versions.items():
        sys.modules.update(modules)
        library, ours, nets = (modules[name] for name in OURS)
        if name in WORKS:
            # a compiled model in an eager loss is no row of older versions
            made = [row for row in ours.rows(WORKS[name](), {}) if "model" not in row.name]
        else:
            library.set_default_dtype(np.float32)
            made = [
                Row(f"retrograd {kind}", nets.our_step(name, kind == "compiled"))
                for kind in ("eager", "compiled")
            ]
            library.set_default_dtype(np.float64)
        for row in made:
            warm(row.step, modules)
        found += [Row(f"{version} {row.name.split()[1]}", row.step, row.read) for row in made]
    return found


def main() -> None:
    """Print a table: microseconds a step, and this checkout's over the other's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=__doc__)
    parser.add_argument("other", type=Path, help="the root of the other checkout")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=12.0, help="for each work")
    parser.add_argument("--work", nargs="+", help="works and nets (default: all)")
    options = parser.parse_args()
    versions = {"other": load(options.other.resolve()), "this": load(HERE)}
    versions["this"]["retrograd"].nn.utils.retain_memory()  # for the whole process, so for both
    works = options.work or [*WORKS, *versions["this"]["benchmarks.nets"].works()]
    print("| work | | other, us | this, us | this / other |\n| --- | --- | ---: | ---: | ---: |")
    for name in works:
        agreeing, refused = check_losses(rows(name, versions), 1e-4)
        if refused:
            sys.exit(f"{name}: {refused}")
        times = interleave(agreeing, options.rounds, options.seconds)
        for kind in ("eager", "compiled"):
            other, this = f"other {kind}", f"this {kind}"
            table = summarize({k: times[k] for k in (other, this)}, other)
            print(
                f"| {name} | {kind} | {table[other]['median']:,.1f} | {table[this]['median']:,.1f} "
                f"| {table[this]['ratio']:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
