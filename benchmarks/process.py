"""Run one measurement in a fresh process and get its result back."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Failed(RuntimeError):
    """A measurement whose process crashed, ran out of time or raised."""


def environment(threads: str) -> dict[str, str]:
    """Return the variables of a process that uses one BLAS thread, or the libraries' default."""
    variables = {k: v for k, v in os.environ.items() if k not in THREAD_VARIABLES}
    if threads == "1":
        variables |= dict.fromkeys(THREAD_VARIABLES, "1")
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return variables


def call_in_process(
    target: str,
    options: dict[str, Any],
    threads: str | None = None,
    timeout: float | None = None,
    extra: dict[str, str] | None = None,
) -> Any:
    """Call `module:function` of this package in a new process; return what it returns.

    The threads are set by the environment, because NumPy and torch read it when imported; with
    `threads=None` the new process has those of this one.
    """
    variables = (environment(threads) if threads else dict(os.environ)) | (extra or {})
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "benchmarks.process", target, json.dumps(options)]
        command.append(str(answer))
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=variables, timeout=timeout, capture_output=True, text=True
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"not finished after {timeout:.0f} s") from error
        if done.returncode < 0:
            raise Failed(f"crashed ({signal.Signals(-done.returncode).name})")
        if done.returncode or not answer.exists():
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise Failed(lines[-1][:200])
        return json.loads(answer.read_text())


def main(target: str, options: str, answer: str) -> None:
    """Serve `call_in_process` in the new process."""
    module, function = target.split(":")
    call = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    Path(answer).write_text(json.dumps(call(json.loads(options))))


if __name__ == "__main__":
    main(*sys.argv[1:])
