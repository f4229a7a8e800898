import pytest


def test_the_equation_is_solved(check):
    lines = check("sine_pinn")
    assert len(lines) == 11
    assert float(lines[-1].split()[-1]) < 1e-3


def test_fewer_steps_end_earlier(check):
    assert len(check("sine_pinn", "--steps", "1")) == 2


def test_a_run_that_does_not_solve_it_fails(load, monkeypatch, capsys):
    pinn = load("sine_pinn")
    monkeypatch.setattr(pinn, "train", lambda *_: float("nan"))
    assert pinn.main([]) == 1
    assert "found nan" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit) as stop:
        load("sine_pinn").main(["--steps", "0"])
    assert stop.value.code == 2
