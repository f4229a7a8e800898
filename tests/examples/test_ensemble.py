import pytest


def test_nets_agree_where_they_have_seen_points(check):
    first, *_, last = check("ensemble")
    assert first == "step 0: mean loss 1.2365"
    assert last == "apart where there were points: 0.011, where there were none: 0.379"


def test_nets_that_do_not_agree_fail(load, monkeypatch, capsys):
    example = load("ensemble")
    monkeypatch.setattr(example, "train", lambda *_: None)
    assert example.main([]) == 1
    assert "agree" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit):
        load("ensemble").main(["--steps", "0"])
