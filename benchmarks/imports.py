"""Import time over NumPy, and the size of what is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.process import ROOT

CLOCK = "import time, numpy; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
COMPANIONS = {"jax": ("jax", "jaxlib")}


def import_time(name: str) -> float:
    """Return the milliseconds `import name` takes in a fresh process that has NumPy already."""
    command = [sys.executable, "-c", CLOCK.format(name)]
    # with byte code on disk, as an installed package has it
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=variables
    )
    return float(done.stdout.split()[-1]) * 1e3


def installed_bytes(name: str) -> int:
    """Return the bytes of the files of a distribution, without what it depends on."""
    total = 0
    for distribution in COMPANIONS.get(name, (name,)):
        for file in importlib.metadata.files(distribution) or []:
            path = Path(str(file.locate()))
            if path.suffix != ".pyc" and path.is_file():
                total += path.stat().st_size
    return total


def package_bytes(name: str) -> tuple[int, int]:
    """Return the bytes of a package's own files: as they are, and deflated as in a wheel."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    folder = Path(spec.origin).parent
    buffer, total = io.BytesIO(), 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total += path.stat().st_size
                archive.write(path, path.relative_to(folder.parent))
    return total, buffer.tell()


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return the import time in milliseconds and the sizes in bytes, for every installed peer."""
    names = list(peers.versions())
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        import_time(name)  # the first import writes byte code and fills the disk's cache
    for _ in range(2 if options["quick"] else 9):
        for name in names:
            times[name].append(import_time(name))
    table: dict[str, Any] = {}
    for name in names:
        low, median, high = (float(value) for value in np.percentile(times[name], [25, 50, 75]))
        table[name] = {"import_ms": median, "q1": low, "q3": high}
        if name == "retrograd":
            # An editable install owns no files, so ours is counted from the package itself.
            table[name]["installed"], table[name]["wheel"] = package_bytes(name)
        else:
            table[name]["installed"] = installed_bytes(name)
    return table
