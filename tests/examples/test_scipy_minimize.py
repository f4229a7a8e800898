import sys

import pytest


def test_exact_derivatives_fit_the_net_in_fewer_calls(check):
    pytest.importorskip("scipy")
    lines = check("scipy_minimize", "--steps", "25")
    assert lines[0].startswith("25 parameters")
    assert len(lines) == 4


def test_without_scipy_it_says_what_is_missing(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert check("scipy_minimize") == ["this example needs SciPy: pip install scipy"]


def test_bad_input_is_refused(load, capsys):
    with pytest.raises(SystemExit) as stop:
        load("scipy_minimize").main(["--steps", "0"])
    assert stop.value.code == 2
    assert "--steps" in capsys.readouterr().err
