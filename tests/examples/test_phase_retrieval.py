import pytest


def test_the_phases_are_found(check):
    *steps, found = check("phase_retrieval")
    assert len(steps) == 4
    assert float(found.split()[-1]) > 0.999


def test_fewer_steps_end_earlier(check):
    assert len(check("phase_retrieval", "--steps", "1")) == 2


def test_a_run_that_does_not_find_them_fails(load, monkeypatch, capsys):
    example = load("phase_retrieval")
    monkeypatch.setattr(example, "train", lambda *_: 0.5)
    assert example.main([]) == 1
    assert "should be above" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit) as stop:
        load("phase_retrieval").main(["--steps", "0"])
    assert stop.value.code == 2
