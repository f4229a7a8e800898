import numpy as np
import pytest


@pytest.mark.parametrize("options", [[], ["--compile"]])
def test_a_few_steps_lower_the_loss(check, options):
    *lines, answer = check("transformer", "--steps", "60", *options)
    assert lines[0].startswith("step 60: loss ")
    assert float(lines[0].split()[3].rstrip(",")) < 1.8  # 2.3 is to know nothing
    assert answer.startswith("31415926 > ")


def test_what_it_is_shown_is_sorted(load):
    x, y = load("transformer").make_data(np.random.default_rng(0), 5)
    np.testing.assert_array_equal(y, np.sort(x[:, :8], axis=1))
    np.testing.assert_array_equal(x[:, 9:], y[:, :-1])


def test_no_place_sees_the_future(load):
    example = load("transformer")
    model = example.Sorter(np.random.default_rng(0))
    x, _ = example.make_data(np.random.default_rng(0), 2)
    before = model(x).data
    x[:, 12:] = 0
    np.testing.assert_allclose(model(x).data[:, :4], before[:, :4], rtol=1e-12)


def test_a_run_that_does_not_learn_fails(load, monkeypatch, capsys):
    example = load("transformer")
    monkeypatch.setattr(example, "train", lambda *_: 0.5)
    assert example.main([]) == 1
    assert "found 50.0%" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit) as stop:
        load("transformer").main(["--steps", "0"])
    assert stop.value.code == 2
