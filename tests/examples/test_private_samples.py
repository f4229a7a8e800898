import pytest


def test_clipped_and_noisy_gradients_of_samples_train_a_net(check):
    first, *_, last = check("private_samples")
    assert first == "step 0: loss 0.6979, longest gradient of a sample 2.27"
    assert last == "after 400 steps: 99.3% of new points are told rightly"


def test_the_program_of_a_step_is_shown(check):
    lines = check("private_samples", "--steps", "3", "--source")
    assert any("= rng.random(" in line for line in lines)


def test_a_run_that_learns_nothing_fails(load, monkeypatch, capsys):
    example = load("private_samples")
    monkeypatch.setattr(example, "train", lambda *_: 0.5)
    assert example.main([]) == 1
    assert "found 50.0%" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit):
        load("private_samples").main(["--steps", "0"])
