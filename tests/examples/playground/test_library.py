"""The library's own tests under Pyodide, in Node. What cannot run there is skipped by name."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# those of one run share the seconds that Pyodide takes to start; the longest run comes first
RUNS = ("nn", "rules engine", "compiler optim func special")
SECONDS = 1200  # for one run, which takes an eighth of that where nothing else runs


@pytest.mark.parametrize("rooms", RUNS)
def test_the_library_passes_its_tests_under_pyodide(cache, rooms):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node to run Pyodide in")
    if not (cache / "packages").is_dir():
        pytest.skip(f"no pytest for Pyodide in {cache}")
    if not (ROOT / "src").is_dir():
        pytest.skip("the library's source is not beside its tests")
    done = subprocess.run(
        [node, HERE / "in_node.mjs", cache / "runtime", cache / "packages", ROOT,
         "-q", "-rs", "--tb=short", *(Path("tests", room) for room in rooms.split())],
        capture_output=True, text=True, timeout=SECONDS, check=False,
        env={**os.environ, "HYPOTHESIS_PROFILE": "few"},
    )  # fmt: skip
    print(done.stdout, done.stderr[-2000:])
    assert done.returncode == 0
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 1000
