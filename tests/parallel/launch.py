"""Starts scripts on several ranks, in bounded time."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

import retrograd as rg
from retrograd.parallel import exchange

HERE = Path(__file__).resolve().parent
LIMIT = 60.0  # seconds: a script that hangs is a failure


def mpiexec():
    """Return the launcher beside this Python, or else the first on the path; None for none."""
    beside = Path(sys.prefix, "bin", "mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


needs_mpi = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or mpiexec() is None,
    reason='they need MPI: python -m pip install "retrograd[mpi]"',
)

needs_shared_memory = pytest.mark.skipif(
    not Path(exchange.FOLDER).is_dir(), reason=f"they need {exchange.FOLDER}, which Linux has"
)


class Done(NamedTuple):
    """How a script ended."""

    code: int
    out: str
    err: str
    seconds: float


def environment():
    """Return the variables for a process that finds this library, on one thread."""
    paths = [str(Path(rg.__file__).parents[1]), str(HERE.parent)]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip


def launch(ranks, script, *arguments, check=True):
    """Run a script of this folder, or code, on so many ranks; fail if it does not end in time."""
    program = [str(HERE / script)] if script.endswith(".py") else ["-c", script]
    command = [mpiexec(), "-n", str(ranks), sys.executable, "-W", "error", *program]
    start = time.monotonic()
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=LIMIT, env=environment(),
    )  # fmt: skip
    if check:
        assert done.returncode == 0, done.stderr[-4000:]
    return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - start)
