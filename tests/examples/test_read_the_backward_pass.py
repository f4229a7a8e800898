"""The example prints the derived program, and its script trains alone to the same losses."""

import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "read_the_backward_pass.py"


def load():
    spec = importlib.util.spec_from_file_location("read_the_backward_pass", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_the_program_and_the_script_gives_the_same_losses(capsys, tmp_path):
    assert load().main(["--steps", "60", "--keep", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for word in ("# forward", "# backward", "# update", "d_fc1_weight", "d_fc2_bias"):
        assert word in out
    assert "60 losses of the script and of the step are equal to within" in out
    text = (tmp_path / "step.py").read_text()
    assert "import numpy as np" in text
    assert "retrograd" not in text
