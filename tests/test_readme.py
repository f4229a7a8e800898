"""The README's Python runs as it stands, in order, and prints what the README says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import retrograd as rg

HERE = Path(__file__).resolve().parents[1]
README = HERE / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "=== the next block"  # between the outputs of two blocks

pytestmark = pytest.mark.skipif(not README.exists(), reason="these tests run without a README")


def blocks():
    """Return each Python block with the text block that follows it, or an empty text."""
    found = BLOCK.findall(README.read_text())
    pairs = zip(found, [*found[1:], ("", "")], strict=True)
    return [(code, text if kind == "text" else "")
            for (language, code), (kind, text) in pairs if language == "python"]  # fmt: skip


def test_python_blocks_print_what_the_blocks_below_them_say(tmp_path):
    script = f"print({MARK!r})\n".join(code for code, _ in blocks())
    done = subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input=script,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(rg.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(MARK + "\n") == [text for _, text in blocks()]


def test_the_lines_shown_as_derived_are_in_the_program(capsys):
    example = HERE / "examples" / "read_the_backward_pass.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example), "--steps", "3"],
        env={**os.environ, "PYTHONPATH": str(Path(rg.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table = README.read_text().partition("| derived |")[2].partition("\n\n")[0]
    derived = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(derived) >= 10
    assert [line for line in derived if line not in done.stdout] == []


def test_files_and_pictures_that_it_names_are_there():
    text = README.read_text()
    named = {*re.findall(r"\]\(([^)#:]+)\)", text), *re.findall(r"`(examples/[\w./]+)`", text)}
    assert "examples/pictures/result.png" in named
    assert [name for name in named if not (HERE / name).exists()] == []
