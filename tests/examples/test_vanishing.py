import sys
from pathlib import Path

import pytest


def test_sigmoids_lose_the_gradient_and_good_draws_keep_it(check):
    pytest.importorskip("matplotlib")
    *lines, picture = check("vanishing")
    parts = {line[:22].strip(): float(line[22:]) for line in lines}
    assert len(parts) == 9
    assert parts["sigmoid, Xavier"] < 1e-9
    assert 0.1 < parts["tanh, Xavier"] < 10
    assert 0.1 < parts["relu, Kaiming"] < 10
    assert parts["relu, std 0.02"] < 1e-9
    assert picture == "Picture: vanishing.png"
    assert Path("vanishing.png").read_bytes()[:4] == b"\x89PNG"


def test_the_docstring_shows_lines_that_it_prints(load, capsys):
    example = load("vanishing")
    shown = [line.strip() for line in example.__doc__.splitlines() if line.startswith("    ")]
    assert example.main(["--no-plot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [shown[0], shown[-1]] == [lines[0], lines[-1]]


def test_without_matplotlib_it_says_how_to_get_the_picture(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install matplotlib" in check("vanishing", "--depth", "2", "--width", "4")[-1]


def test_no_plot_draws_nothing(check):
    check("vanishing", "--depth", "3", "--width", "4", "--no-plot")
    assert not list(Path().iterdir())


def test_a_net_that_keeps_nothing_fails(load, monkeypatch, capsys):
    example = load("vanishing")
    monkeypatch.setitem(example.DRAWS, "Kaiming", lambda width: 0.001)
    assert example.main(["--no-plot"]) == 1
    assert "expected sigmoid alone to vanish" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit) as stop:
        load("vanishing").main(["--depth", "1"])
    assert stop.value.code == 2
