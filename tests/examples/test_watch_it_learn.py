import sys
from pathlib import Path

import numpy as np
import pytest


def test_the_net_learns_as_the_record_does_and_film_and_strip_are_drawn(check):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    first, *_, last, strip, film = check("watch_it_learn", "--frames", "3")
    assert first == "epoch    0: loss 0.6932, accuracy 0.3650"
    assert last == "epoch 3000: loss 0.1386, accuracy 0.9600"
    assert [strip, film] == [f"Picture: watch_it_learn.{kind}" for kind in ("png", "gif")]
    assert Path("watch_it_learn.png").read_bytes()[:4] == b"\x89PNG"
    with image.open("watch_it_learn.gif") as drawn:
        assert drawn.n_frames > 1


def test_the_docstring_shows_lines_that_it_prints(load):
    shown = [line for line in load("watch_it_learn").__doc__.splitlines() if "loss 0." in line]
    assert [line.strip() for line in shown] == [
        "epoch    0: loss 0.6932, accuracy 0.3650", "epoch 3000: loss 0.1386, accuracy 0.9600",
    ]  # fmt: skip


def test_frames_go_from_the_first_to_the_last_epoch_with_more_where_the_loss_falls(load):
    example = load("watch_it_learn")
    losses = [*np.linspace(1.0, 0.99, 50), *np.linspace(0.9, 0.1, 10), *np.linspace(0.1, 0.09, 41)]
    frames = [example.Frame(epoch, None, None, None, None, 0.0) for epoch in range(101)]
    chosen = [frame.epoch for frame in example.choose(frames, losses, 10)]
    assert (chosen[0], chosen[-1]) == (0, 100)
    assert sum(50 <= epoch < 60 for epoch in chosen) >= 4


def test_a_frame_has_the_line_of_each_unit_where_the_unit_begins_to_grow(load):
    example = load("watch_it_learn")
    random = np.random.RandomState(0)
    x, y = example.make_data(random)
    net = example.make_net(random)
    frame = example.look(net, 0, x, y)
    for weight, bias, unit in zip(frame.weight, frame.bias, range(4), strict=True):
        foot = -bias / (weight @ weight) * weight
        beyond, before = net[0]((foot + weight)[None]), net[0]((foot - weight)[None])
        assert beyond.data[0, unit] > 0 > before.data[0, unit]
    assert frame.plane.shape == (example.GRID, example.GRID)


def test_without_matplotlib_it_says_how_to_get_the_pictures(check, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.animation"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install matplotlib" in check("watch_it_learn", "--epochs", "2")[-1]
    assert not list(Path().iterdir())


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit) as stop:
        load("watch_it_learn").main(["--frames", "1"])
    assert stop.value.code == 2
