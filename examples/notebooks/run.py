"""Run the notebooks of this folder from the first cell to the last, and keep what they show.

A notebook here is stored with its outputs, so that it can be read where nothing runs. After a
change to a notebook or to the library this script runs it anew; `--check` changes nothing, and
says where a stored output is not that of the code. Numbers are compared; pictures, and the outputs
of cells that are tagged "varies", such as times, only have to be there.

Run:    python examples/notebooks/run.py            (--check, or names of notebooks)
Needs:  pip install -e ".[notebooks]"
Prints: a line for each notebook:

    1_what_a_tensor_is.ipynb: 12 cells, 3 pictures, 57 KB
"""

import argparse
import itertools
import math
import os
import re
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
PICTURES = ("image/png", "image/svg+xml")
ADDRESS = re.compile(r"<[^<>]*\bat 0x[0-9a-f]+>|<\w+ size [\dx]+ with [^<>]*>")
NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")
TOLERANCE = 2e-3  # numbers are printed with four digits, and other machines round otherwise


def run(path):
    """Return a notebook with the outputs of its code, run in a folder that is empty."""
    notebook = nbformat.read(path, as_version=4)
    # the kernel is this Python's own, finds what this one finds, and shows pictures in cells
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, kernel_name="python3", timeout=300, coalesce_streams=True,
            resources={"metadata": {"path": folder}}, extra_arguments=["--log-level=ERROR"],
        )  # fmt: skip
        client.execute(env=environment)
    return tidy(notebook)


def tidy(notebook):
    """Take out what is another thing in each run, and what a picture has beside itself."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for i, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{i:02}"
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not is_blank(output)]
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if ADDRESS.fullmatch(data.get("text/plain", "").strip()) and len(data) > 1:
                del data["text/plain"]  # matplotlib's picture says `<Figure size 640x480 ...>` too
    return notebook


def is_blank(output):
    """Tell whether an output is what a bar leaves when it is done: nothing that can be seen."""
    lines = output.get("text", "-").split("\n")
    return not any(line.rpartition("\r")[2].strip() for line in lines)


def outputs_of(notebook):
    """Yield the number, the cell and the outputs of each cell with code."""
    for i, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code":
            yield i, cell, cell.outputs


def text_of(output):
    """Return what an output says: of a drawing the texts in it, of another picture nothing."""
    data = output.get("data", {})
    found = [output.get("text", "")]
    for kind, value in sorted(data.items()):
        if kind == "image/svg+xml":
            root = ElementTree.fromstring(value)
            found += [element.text or "" for element in root.iter() if element.tag.endswith("text")]
        elif kind not in PICTURES:
            found.append(value)
    return "\n".join(found)


def differences(stored, fresh):
    """Yield where a stored notebook does not show what its code gives."""
    for (i, cell, old), (_, _, new) in zip(outputs_of(stored), outputs_of(fresh), strict=True):
        kinds = [
            [sorted(output.get("data", ["text"])) for output in outputs] for outputs in (old, new)
        ]
        if kinds[0] != kinds[1]:
            yield f"cell {i}: stored is {kinds[0]}, the code gives {kinds[1]}"
        elif "varies" not in cell.metadata.get("tags", ()):
            before, after = (("\n".join(map(text_of, outputs))) for outputs in (old, new))
            yield from (f"cell {i}: {text}" for text in _text_differences(before, after))


def _text_differences(before, after):
    lines = itertools.zip_longest(before.splitlines(), after.splitlines(), fillvalue="")
    for one, two in lines:
        numbers = [
            [float(number.replace(",", "")) for number in NUMBER.findall(line)]
            for line in (one, two)
        ]
        same = NUMBER.sub("0", one) == NUMBER.sub("0", two) and all(
            math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=1e-12)
            for a, b in zip(*numbers, strict=True)
        )
        if not same:
            yield f"stored is {one!r}, the code gives {two!r}"


def faults(notebook):
    """Yield what no notebook here may show: addresses, warnings, cells out of order."""
    for count, (i, cell, outputs) in enumerate(outputs_of(notebook), 1):
        if cell.execution_count != count:
            yield f"cell {i} was run out of order"
        for output in outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"cell {i} shows an error or a warning"
            said = "\n".join([text_of(output), *map(str, output.get("data", {}).values())])
            if found := ADDRESS.search(said):
                yield f"cell {i} shows {found.group()}"


def describe(path, notebook):
    cells = list(outputs_of(notebook))
    pictures = sum(
        any(kind in output.get("data", {}) for kind in PICTURES)
        for _, _, outputs in cells
        for output in outputs
    )
    size = len(nbformat.writes(notebook).encode()) / 1000
    return f"{path.name}: {len(cells)} cells, {pictures} pictures, {size:.0f} KB"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", type=Path, help="notebooks (default: all here)")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    args = parser.parse_args(argv)
    wrong = 0
    for path in args.names or sorted(HERE.glob("*.ipynb")):
        notebook = run(path)
        found = list(faults(notebook))
        if args.check:
            found += differences(nbformat.read(path, as_version=4), notebook)
        elif not found:
            nbformat.write(notebook, path)
        print(describe(path, notebook))
        print("".join(f"    {text}\n" for text in found), end="")
        wrong += bool(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
