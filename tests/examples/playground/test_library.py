"""The library's own tests under Pyodide, in Node: a part of them, chosen to end in some minutes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ROOMS = {
    "rules": "test_axes test_elementwise test_nesting test_sorting",
    "nn": "test_golden test_layers test_losses test_module test_training",
    "optim": "test_every_optimizer test_golden test_optimizer test_sgd",
    "compiler": "readable test_differentiable test_export test_lower test_outside test_passes "
                "test_program test_step",
}  # fmt: skip
SECONDS = 400


@pytest.mark.parametrize("room", ROOMS)
def test_the_library_passes_its_tests_under_pyodide(cache, room):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node to run Pyodide in")
    if not (ROOT / "src").is_dir():
        pytest.skip("the library's source is not beside its tests")
    folder = Path("tests", room)
    names = [(folder / name).with_suffix(".py") for name in ROOMS[room].split()]
    paths = [path if (ROOT / path).exists() else path.with_suffix("") for path in names]
    done = subprocess.run(
        [node, HERE / "in_node.mjs", cache / "runtime", cache / "packages", ROOT,
         "-q", "-rs", "--tb=short", *paths],
        capture_output=True, text=True, timeout=SECONDS, check=False,
        env={**os.environ, "HYPOTHESIS_PROFILE": "dev"},
    )  # fmt: skip
    print(done.stdout[-6000:], done.stderr[-2000:])
    assert done.returncode == 0
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 100
