"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers


def cpu() -> str:
    """Return the processor's name, as far as the system tells it."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def blas() -> str:
    """Return the BLAS library NumPy was built with, and its version."""
    config: Any = np.show_config(mode="dicts")
    built = config["Build Dependencies"]["blas"]
    return f"{built['name']} {built.get('version', '')}".strip()


def describe() -> dict[str, Any]:
    """Return the machine, the versions, and which peers are missing."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": blas(),
        "peers": peers.versions(),
        "not_installed": peers.missing(),
    }
