import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parallel.launch import LIMIT, environment, mpiexec, needs_mpi

EXAMPLE = Path(__file__).parents[2] / "examples" / "data_parallel.py"
needs_images = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None,
    reason="the images come with scikit-learn: python -m pip install scikit-learn",
)


@needs_images
@needs_mpi
def test_two_ranks_print_the_losses_of_one_process(check):
    first, *alone, accuracy = check("data_parallel", "--epochs", "5")
    assert first == "1 rank, 1438 images to train on, batches of 64"
    command = [mpiexec(), "-n", "2", sys.executable, "-W", "error", str(EXAMPLE), "--epochs", "5"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=LIMIT,
        env=environment() | {"PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "")},
    )  # fmt: skip
    first, *both, same = done.stdout.splitlines()
    assert first == "2 ranks, 1438 images to train on, batches of 64"
    assert both == alone == ["epoch 5: loss 0.182239"]
    assert same == accuracy


@needs_images
def test_in_one_process_it_learns(check):
    *_, accuracy = check("data_parallel", "--epochs", "3")
    assert float(accuracy.split()[-1].rstrip("%")) > 90


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit):
        load("data_parallel").main(["--epochs", "0"])
