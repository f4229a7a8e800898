import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import retrograd as rg
from record import TEN_LINES

SCRIPT = Path(__file__).parents[2] / "examples" / "xor_quadrant.py"
CHANGES = """\
Learning rate 0.001: final loss 0.6928, accuracy 0.5200
Learning rate 0.01: final loss 0.6923, accuracy 0.5200
Learning rate 0.1: final loss 0.4670, accuracy 0.8700
Loss mse instead of bce: final loss 0.2358, accuracy 0.5150
Better recipe (kaiming init, 8 hidden units, momentum 0.9): final loss 0.0230, accuracy 1.0000
"""


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The example as a module, in an empty folder."""
    spec = importlib.util.spec_from_file_location("xor_quadrant", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    return module


def files(folder=Path()):
    return sorted(path.name for path in folder.iterdir())


def is_png(path):
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_arguments_it_prints_the_records_ten_lines_and_then_the_changes(example, capsys):
    assert example.main([]) == 0
    out, err = capsys.readouterr()
    assert out == TEN_LINES + CHANGES + "Picture: xor_quadrant.png\n"
    assert err == ""
    assert files() == ["xor_quadrant.png"]
    assert is_png(Path("xor_quadrant.png"))


def test_the_docstring_shows_lines_that_it_prints(example):
    shown = [line.strip() for line in example.__doc__.splitlines() if line.startswith("    ")]
    shown.remove("...")
    assert shown == [TEN_LINES.splitlines()[0], TEN_LINES.splitlines()[-1], *CHANGES.splitlines()]


def test_options_reach_the_training(example, capsys):
    options = "--epochs 3 --every 2 --lr 0.5 --momentum 0.5 --hidden 2 --init kaiming --loss mse"
    assert example.main([*options.split(), "--seed", "7", "--no-plot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[:2]] == ["Epoch 0", "Epoch 2"]
    rates = [line.split(":")[0] for line in lines if line.startswith("Learning rate")]
    assert rates == [f"Learning rate {rate}" for rate in ("0.001", "0.01", "0.1", "0.5")]
    assert lines[-2].startswith("Loss bce instead of mse: ")
    given = example.Recipe(lr=0.5, momentum=0.5, hidden=2, init="kaiming", loss="mse")
    assert f"Learning rate 0.5: {example.train(given, seed=7, epochs=3)}" in lines


def test_another_seed_is_another_experiment(example):
    one, two = (example.train(example.BETTER, seed, epochs=2).losses for seed in (1, 2))
    assert one != two


@pytest.mark.parametrize(
    "options",
    [
        "--epochs 0",
        "--epochs 2.5",
        "--lr 0",
        "--lr -0.1",
        "--lr nan",
        "--lr inf",
        "--lr fast",
        "--momentum 1",
        "--momentum nan",
        "--hidden 0",
        "--init zeros",
        "--loss hinge",
        "--seed -1",
        "--every 0",
        "--output nowhere/xor.png",
        "--output xor.doc",
        "--output .",
        "--no-plot --show",
        "--speed 11",
        "surplus",
    ],
)
def test_bad_input_gets_one_line_and_status_2_before_training(
    example, monkeypatch, capsys, options
):
    monkeypatch.setattr(example, "train", lambda *_: pytest.fail("training began"))
    with pytest.raises(SystemExit) as stop:
        example.main(options.split())
    out, err = capsys.readouterr()
    assert stop.value.code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert options.split()[0] in err
    assert files() == []


def test_a_run_that_diverges_says_so_in_one_line(example, capsys, monkeypatch):
    monkeypatch.setitem(example.STD, "normal", lambda fan_in: 1e200)
    assert example.main(["--loss", "mse", "--lr", "1e300", "--no-plot"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "try a lower --lr" in err


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_picture_goes_where_output_says(example, tmp_path, suffix):
    (tmp_path / "pictures").mkdir()
    assert example.main(["--epochs", "2", "--output", f"pictures/net.{suffix}"]) == 0
    assert files() == ["pictures"]
    assert files(Path("pictures")) == [f"net.{suffix}"]


@pytest.mark.parametrize("before", [None, b"an older picture"])
def test_a_save_that_fails_half_way_leaves_what_was_there(example, monkeypatch, capsys, before):
    def fill_the_disk(figure, path, **_):
        Path(path).write_bytes(b"half a picture")
        raise OSError("No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fill_the_disk)
    if before:
        Path("net.png").write_bytes(before)
    assert example.main(["--epochs", "2", "--output", "net.png"]) == 1
    assert capsys.readouterr().err.endswith(": No space left on device\n")
    assert {name: Path(name).read_bytes() for name in files()} == (
        {"net.png": before} if before else {}
    )


def test_without_matplotlib_it_trains_and_says_how_to_get_the_picture(example, monkeypatch, capsys):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)  # makes its import fail
    assert example.main(["--epochs", "2"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("Better recipe")
    assert "pip install matplotlib" in last
    assert files() == []


def test_without_tqdm_it_prints_the_same(example, monkeypatch, capsys):
    monkeypatch.setattr(example, "tqdm", None)
    assert example.main(["--epochs", "101", "--no-plot"]) == 0
    assert capsys.readouterr().out.startswith("".join(TEN_LINES.splitlines(keepends=True)[:2]))


def test_no_plot_writes_no_picture_and_does_not_mention_one(example, capsys):
    assert example.main(["--epochs", "2", "--no-plot"]) == 0
    assert "icture" not in capsys.readouterr().out
    assert files() == []


def test_it_runs_on_a_machine_without_a_display(tmp_path):
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, "--epochs", "2", "--show"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(Path(rg.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Picture: xor_quadrant.png\nNo window: there is no display\n")
    assert is_png(tmp_path / "xor_quadrant.png")


def test_compiled_it_prints_the_same_ten_lines(example, capsys):
    assert example.main(["--no-plot", "--compile"]) == 0
    assert capsys.readouterr().out.startswith(TEN_LINES)
