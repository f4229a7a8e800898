import importlib.util
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg

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


def test_a_program_is_read_line_by_line_but_for_its_updates(pictures):
    w = rg.Tensor(np.ones(3))

    @rg.compile
    def step(x):
        h = np.exp(w * x)
        with rg.no_grad():
            w[...] = h
        loss = np.sum(h * h)
        return loss  # noqa: RET504, the program takes the name

    step(np.ones(3))
    program = pictures.read_program(step)
    assert [*program] == ["h", "loss"]
    assert program["h"] == pictures.Line("np.exp(w * x)", frozenset("wx"))
    assert pictures.steps_to("loss", program, {"w"}) == ["h", "loss"]
