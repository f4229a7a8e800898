"""The example trains in C, and gets the lines and weights of the compiled step."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_in_c.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("train_in_c", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("options", [[], ["--float32"]])
def test_training_in_c_gives_the_lines_and_weights_of_the_step(example, capsys, tmp_path, options):
    if example.find_compiler() is None:
        pytest.skip("there is no C compiler")
    assert example.main(["--epochs", "300", "--keep", str(tmp_path), *options]) == 0
    out = capsys.readouterr().out
    assert "The 10 lines are those of the step here, and its 17 weights equal" in out
    assert "Epoch 270, Loss: 0.69" in out
    assert (tmp_path / "step.h").exists()


@pytest.mark.parametrize("named", ["cc", "no-such-compiler", "'no end", ""])
def test_without_a_compiler_it_says_what_to_install(example, capsys, monkeypatch, named):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CC", named)
    assert example.main(["--epochs", "1"]) == 1
    assert "install gcc or clang" in capsys.readouterr().err
