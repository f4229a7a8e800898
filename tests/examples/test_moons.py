import sys
from pathlib import Path

import pytest


def test_all_points_end_on_their_side_and_the_picture_is_drawn(check):
    pytest.importorskip("matplotlib")
    first, *_, last, picture = check("moons")
    assert first.startswith("step 0 loss 0.9957, accuracy 50.0%")
    assert last.endswith("accuracy 100.0%")
    assert picture == "Picture: moons.png"
    assert Path("moons.png").read_bytes()[:4] == b"\x89PNG"


def test_without_matplotlib_it_says_how_to_get_the_picture(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install matplotlib" in check("moons", "--steps", "2")[-1]


def test_no_plot_draws_nothing(check):
    assert len(check("moons", "--steps", "2", "--no-plot")) == 2
    assert not list(Path().iterdir())


def test_a_run_that_does_not_separate_them_fails(load, monkeypatch, capsys):
    moons = load("moons")
    monkeypatch.setattr(moons, "train", lambda *_: 0.5)
    assert moons.main(["--no-plot"]) == 1
    assert "found 50.0%" in capsys.readouterr().err


def test_bad_input_is_refused(load, capsys):
    with pytest.raises(SystemExit) as stop:
        load("moons").main(["--steps", "0"])
    assert stop.value.code == 2
