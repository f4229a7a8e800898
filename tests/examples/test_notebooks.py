"""Each notebook runs from its first cell to its last, and shows what is stored in it."""

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))

nbformat = pytest.importorskip("nbformat", reason="needs the extra 'notebooks'")
pytest.importorskip("nbclient", reason="needs the extra 'notebooks'")
pytest.importorskip("ipykernel", reason="needs the extra 'notebooks'")
pytest.importorskip("matplotlib", reason="needs the extra 'notebooks'")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("run_notebooks", HERE / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# the event loop of the client warns of what it uses itself
@pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")
def test_what_is_stored_is_what_the_code_shows(script, path):
    fresh = script.run(path)
    assert list(script.faults(fresh)) == []
    stored = nbformat.read(path, as_version=4)
    assert list(script.differences(stored, fresh)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_can_be_read_where_nothing_runs(script, path):
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    assert path.stat().st_size < 300_000
    assert list(script.faults(stored)) == []
    outputs = [output for _, _, outputs in script.outputs_of(stored) for output in outputs]
    pictures = [output for output in outputs if {*script.PICTURES} & {*output.get("data", {})}]
    assert len(pictures) >= 2


def test_there_are_six():
    assert len(NOTEBOOKS) == 6


def notebook(*outputs, source="1 + 1", tags=()):
    from nbformat.v4 import new_code_cell, new_notebook

    cell = new_code_cell(source, outputs=list(outputs), execution_count=1)
    cell.metadata["tags"] = list(tags)
    return new_notebook(cells=[cell])


def shown(**data):
    from nbformat.v4 import new_output

    named = {name.replace("_", "/", 1): value for name, value in data.items()}
    return new_output("execute_result", named, execution_count=1)


def test_what_a_bar_leaves_is_no_output(script):
    from nbformat.v4 import new_output

    left, said = (new_output("stream", name="stderr", text=text) for text in (
        "10%|#   | 3/30\r                \r", "10%\r a warning\n"
    ))  # fmt: skip
    assert len(script.tidy(notebook(left, said)).cells[0].outputs) == 1
    assert list(script.faults(notebook(said)))


def test_another_number_word_or_picture_is_a_difference(script):
    stored = notebook(shown(text_plain="loss 0.6932, 2 of 3"))
    for text in ("loss 0.6933, 2 of 3", "loss 0.693199, 2 of 3"):  # to rounding the same
        assert not list(script.differences(stored, notebook(shown(text_plain=text))))
    for text in ("loss 0.70, 2 of 3", "loss 0.6932, 2 of 4", "Loss 0.6932, 2 of 3", ""):
        assert len(list(script.differences(stored, notebook(shown(text_plain=text))))) == 1
    other = notebook(shown(text_plain="loss 0.6932, 2 of 3", image_png="iVBO"))
    assert len(list(script.differences(stored, other))) == 1


def test_of_a_cell_that_varies_only_the_kinds_of_its_outputs_are_compared(script):
    one, two = (notebook(shown(text_plain=text), tags=["varies"]) for text in ("3 us", "five us"))
    assert not list(script.differences(one, two))
    assert list(script.differences(one, notebook(shown(text_html="3 us"), tags=["varies"])))


@pytest.mark.parametrize(
    "text",
    ["<Figure size 640x480 with 1 Axes>", "<a.b object at 0x7f12>"],
    ids=["figure", "object"],
)
def test_an_address_is_a_fault_beside_a_picture_too(script, text):
    assert list(script.faults(notebook(shown(text_plain=text))))
    assert list(script.faults(notebook(shown(text_plain=text, image_png="iVBO"))))
    tidy = script.tidy(notebook(shown(text_plain=text, image_png="iVBO")))
    assert not list(script.faults(tidy))
