import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "pictures" / "make_pictures.py"


@pytest.fixture
def pictures():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("make_pictures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_pictures_are_drawn_and_small(pictures, tmp_path):
    assert pictures.main(["--folder", str(tmp_path)]) == 0
    drawn = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert [*sorted(drawn)] == ["backward.png", "graph.svg", "result.png"]
    assert max(drawn.values()) < 150_000


def test_a_program_is_read_line_by_line_and_views_are_looked_through(pictures):
    program = pictures.read_program(
        "def step(x):\n"
        "    x_T = x.T\n"
        "    w.dot(x_T, out=h)\n"
        "    np.exp(h_T_flat, out=e)\n"
        "    loss = e + 1\n"
        "    np.subtract(w, e, out=w)\n"
        "    return loss\n"
    )
    assert [*program] == ["h", "e", "loss"]
    assert program["h"] == pictures.Line("w.dot(x.T)", frozenset("wx"))
    assert program["e"] == pictures.Line("np.exp(h.T)", frozenset("h"))
    assert pictures.steps_to("loss", program, {"h", "loss"}) == ["e", "loss"]
