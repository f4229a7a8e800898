"""What was measured, and its picture."""

import sys

import pytest

import retrograd as rg
from retrograd.training import History
from retrograd.training.history import _picture_class
from training.parts import parts


def test_the_history_draws_training_and_validation_in_one_panel(tmp_path):
    pytest.importorskip("matplotlib")
    history = History(loss=[2.0, 1.0], val_loss=[2.5, 1.5], val_error=[0.5, 0.4], lr=[0.1, 0.2])
    figure = history.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes()[:4] == b"\x89PNG"
    assert [axes.get_title() for axes in figure.axes] == ["loss", "error", "lr"]
    legend = figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["training", "validation"]
    assert figure.axes[0].get_xlabel() == "epoch"


def test_a_constant_rate_is_left_out():
    pytest.importorskip("matplotlib")
    history = History(loss=[2.0, 1.0], lr=[0.1, 0.1])
    assert [axes.get_title() for axes in history.plot().axes] == ["loss"]
    assert [axes.get_title() for axes in History(lr=[0.1, 0.1]).plot().axes] == ["lr"]


def test_a_notebook_shows_the_picture_without_pyplot():
    pytest.importorskip("matplotlib")
    history = History(loss=[2.0, 1.0], lr=[0.1, 0.1])
    assert history._repr_png_()[:4] == b"\x89PNG"
    assert history.plot()._repr_png_()[:4] == b"\x89PNG"


def test_without_matplotlib_only_the_picture_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    _picture_class.cache_clear()
    history = rg.fit(*parts(), epochs=1)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        history.plot()
    assert history._repr_png_() is None
