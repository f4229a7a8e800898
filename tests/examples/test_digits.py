import importlib.util
import sys

import numpy as np
import pytest

import retrograd as rg

needs_images = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None,
    reason="the images come with scikit-learn: python -m pip install scikit-learn",
)


def accuracy(line):
    return float(line.rpartition(" ")[2].rstrip("%")) / 100


@needs_images
def test_an_mlp_reads_97_percent(check):
    first, *lines, confused = check("digits")
    assert first == "mlp: 9,610 parameters, 1438 images to train on, 359 to test"
    assert [line.split(":")[0] for line in lines] == [f"epoch {n}" for n in range(5, 21, 5)]
    assert accuracy(lines[-1]) >= 0.97
    assert confused.startswith("confused: ")
    assert rg.get_default_dtype() == np.float64


@needs_images
def test_a_small_conv_net_is_on_its_way_after_three_epochs(check):
    first, *lines, _ = check("digits", "--net", "conv", "--epochs", "3")
    assert first.startswith("conv: 9,930 parameters")
    assert accuracy(lines[-1]) >= 0.94


@needs_images
def test_a_run_that_does_not_learn_fails(load, monkeypatch, capsys):
    digits = load("digits")
    monkeypatch.setattr(digits, "train", lambda *_: 0.5)
    assert digits.main([]) == 1
    assert "expected an accuracy of 0.97" in capsys.readouterr().err


def test_without_scikit_learn_it_says_what_is_missing(load, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit) as stop:
        load("digits").main([])
    assert stop.value.code == 2
    assert "pip install scikit-learn" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit) as stop:
        load("digits").main(["--epochs", "0"])
    assert stop.value.code == 2
