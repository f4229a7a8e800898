"""Nets of all kinds in C: they train as the NumPy program does, and as files that stand alone."""

import numpy as np
import pytest

import retrograd as rg
from compiler.c.exported import Exported, require
from retrograd.compiler.c.assembly import uses_numpy

nn, F = rg.nn, rg.nn.functional


class Words(nn.Module):
    """An embedding, a transformer's layer and scores of words."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.out = nn.Linear(8, 11)

    def forward(self, x):
        return self.out(self.block(self.words(x))).reshape((-1, 11))


class Bag(nn.Module):
    """The mean of the vectors of words, one of which has no gradient."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 6, padding_idx=0, max_norm=1.5)
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        return self.out(np.mean(self.words(x), axis=1))


class Last(nn.Module):
    """A recurrent net and a map of its last state."""

    def __init__(self, kind):
        super().__init__()
        self.net, self.out = kind(3, 5, 2), nn.Linear(5, 3)

    def forward(self, x):
        return self.out(self.net(x)[0][-1])


def convolutions():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, stride=2, dilation=1, groups=2), nn.GELU(), nn.AvgPool2d(2, 1, 1),
        nn.Flatten(), nn.Linear(36, 3),
    )  # fmt: skip


def images(rng):
    return rng.normal(size=(4, 2, 10, 10)).astype(np.float32), rng.integers(0, 3, 4)


def words(rng):
    return rng.integers(0, 11, (3, 6)), rng.integers(0, 11, 18)


def bags(rng):
    return rng.integers(0, 11, (4, 5)), rng.integers(0, 3, 4)


def series(rng):
    return rng.normal(size=(6, 4, 3)).astype(np.float32), rng.integers(0, 3, 4)


NETS = {
    "convolutions": (convolutions, images),
    "transformer": (Words, words),
    "embedding": (Bag, bags),
    "LSTM": (lambda: Last(nn.LSTM), series),
    "GRU": (lambda: Last(nn.GRU), series),
}


def make_step(name, target):
    """Return a training step in float32 and its batch."""
    make, batch = NETS[name]
    rg.manual_seed(0)
    model = make().to(np.float32)
    optimizer = rg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    @rg.compile(target=target)
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, batch(np.random.default_rng(0))


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", NETS)
def test_a_net_trains_in_c_as_in_numpy(name):
    (ours, batch), (theirs, _) = (make_step(name, target) for target in ("c", "numpy"))
    for _ in range(8):
        assert ours(*batch).item() == pytest.approx(theirs(*batch).item(), rel=2e-4)
    assert not uses_numpy(ours.programs[-1].code)


@pytest.mark.parametrize("name", NETS)
def test_a_net_trains_as_a_file_under_sanitizers(name, tmp_path):
    require("gcc with sanitizers")
    step, batch = make_step(name, "numpy")
    for _ in range(3):
        step(*batch)
    exported = Exported.of(step, tmp_path / "step.c")
    found = exported.run("gcc with sanitizers", [batch] * 4)
    for (loss,) in found:
        assert float(loss[0]) == pytest.approx(step(*batch).item(), rel=2e-4)


def test_a_word_that_is_none_raises_and_trains_nothing(compiler):
    step, (x, y) = make_step("embedding", "c")
    for _ in range(4):
        step(x, y)
    before = step(x, y).item()
    wrong = x.copy()
    wrong[1, 2] = 11
    with pytest.raises(IndexError):
        step(wrong, y)
    wrong[1, 2] = -1
    with pytest.raises(IndexError, match="embedding got row number -1"):
        step(wrong, y)
    other, _ = make_step("embedding", "c")
    for _ in range(5):
        last = other(x, y).item()
    assert before == pytest.approx(last, rel=1e-5)
    assert step(x, y).item() == pytest.approx(other(x, y).item(), rel=1e-5)


def test_a_net_over_more_steps_has_no_more_functions(compiler):
    net, counts = Last(nn.LSTM), []
    for steps in (12, 24):
        step = rg.compile(lambda x: net(x).sum().backward(), target="c")
        for _ in range(2):
            step(np.ones((steps, 4, 3)))
        source = step.programs[-1].code.source_in_c
        counts.append(source.count("APART static"))
    assert counts[1] < 1.4 * counts[0], counts
