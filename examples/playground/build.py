"""Make a folder that any web server can serve: the page, the library's wheel, perhaps the runtime.

The page runs the library under Pyodide, which is CPython for browsers. Without `--runtime` the
browser takes Pyodide and NumPy from Pyodide's public CDN; with it they lie in the folder too, and
the page needs no other server.

Run:    python examples/playground/build.py FOLDER [--runtime FOLDER] [--wheel FILE]
Prints: what the folder holds, and how many bytes a browser loads at the first visit
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = (
    "index.html", "style.css", "pictures.js", "telling.js", "page.js", "worker.js", "recipe.py",
    "session.py", "lesson.py",
)  # fmt: skip
VERSION = "0.27.7"  # of Pyodide: Python 3.12, NumPy 2.0.2
CDN = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"
RUNTIME = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
LOCK = "pyodide-lock.json"


class BuildError(Exception):
    """A folder that cannot be made, said for whoever runs this."""


def build(folder, runtime=None, wheel=None):
    """Fill a folder; return the names of its files with their sizes in bytes."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGE:
        shutil.copy(HERE / name, folder / name)
    wheel = copy_wheel(folder, wheel)
    if runtime is not None:
        copy_runtime(Path(runtime), folder / "pyodide")
    place = {"wheel": wheel, "runtime": CDN if runtime is None else "pyodide/"}
    Path(folder, "config.js").write_text(f"self.PLAYGROUND = {json.dumps(place)};\n")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def copy_wheel(folder, wheel):
    """Copy the library's wheel, or make it from this clone; return its name."""
    if wheel is not None:
        if not Path(wheel).is_file():
            raise BuildError(f"there is no wheel {wheel}")
        return Path(shutil.copy(wheel, folder)).name
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", made]
        try:
            subprocess.run([*command, str(HERE.parents[1])], check=True)
        except subprocess.CalledProcessError:
            raise BuildError("pip could not make the wheel; --wheel FILE takes one") from None
        (path,) = Path(made).glob("retrograd-*.whl")
        return Path(shutil.copy(path, folder)).name


def copy_runtime(source, target):
    """Copy Pyodide and NumPy's wheel for it, and of Pyodide's list of packages NumPy's entry."""
    for name in (*RUNTIME, LOCK):
        if not (source / name).is_file():
            raise BuildError(f"{source} holds no {name}: it takes Pyodide {VERSION}'s own files")
    lock = json.loads((source / LOCK).read_text())
    numpy = lock["packages"]["numpy"]
    if not (source / numpy["file_name"]).is_file():
        raise BuildError(f"{source} holds no {numpy['file_name']}, which is NumPy for Pyodide")
    target.mkdir(exist_ok=True)
    for name in (*RUNTIME, numpy["file_name"]):
        shutil.copyfile(source / name, target / name)
    lock["packages"] = {"numpy": numpy}
    (target / LOCK).write_text(json.dumps(lock))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="is made, or filled")
    parser.add_argument("--runtime", type=Path, help="a folder with Pyodide and NumPy's wheel")
    parser.add_argument("--wheel", type=Path, help="the library's; otherwise made by pip")
    args = parser.parse_args(argv)
    try:
        sizes = build(args.folder, args.runtime, args.wheel)
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    for name, size in sizes.items():
        print(f"{size:>12,}  {name}")
    print(f"{sum(sizes.values()):>12,}  bytes at the first visit"
          + (", and Pyodide from its CDN" if args.runtime is None else ""))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
