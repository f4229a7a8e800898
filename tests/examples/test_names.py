import pytest


def test_it_beats_the_table_of_pairs_and_makes_up_names(check):
    first, table, *epochs, new = check("names", "--epochs", "3")
    assert first == "970 names to train on, 107 to test"
    assert float(epochs[-1].split()[-1]) < float(table.split()[-1])
    assert len(new.split(", ")) == 10


def test_the_names_are_lower_case_and_each_there_once(load):
    names = load("names").NAMES.read_text().split()
    assert names == sorted(set(names))
    assert all(name.isascii() and name.isalpha() and name.islower() for name in names)


def test_a_run_that_does_not_learn_fails(load, monkeypatch, capsys):
    names = load("names")
    monkeypatch.setattr(names.rg, "fit", lambda *_, **__: {"val_loss": [3.0]})
    monkeypatch.setattr(names, "invent", lambda *_: [])
    assert names.main([]) == 1
    assert "found 3.0000" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit) as stop:
        load("names").main(["--epochs", "0"])
    assert stop.value.code == 2
