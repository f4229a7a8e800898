"""Programs for readers: they compute what the fast ones do, and can be read."""

from __future__ import annotations

import functools
import importlib.util
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from compiler.drawn_steps import draw
from compiler.readable.replay import (
    double_transposes,
    given,
    names_never_assigned,
    run,
    statements,
    worst_difference,
)

nn = rg.nn
RECORD = Path(__file__).parents[3] / "examples" / "read_the_backward_pass.py"


class Looped(nn.Module):
    """An LSTM cell called 9 times."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(3, 5)
        self.out = nn.Linear(5, 1)

    def forward(self, x):
        h = c = np.zeros((x.shape[1], 5))
        for t in range(9):
            h, c = self.cell(x[t], (h, c))
        return self.out(h)


class Transformer(nn.Module):
    """Two blocks over words."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.blocks = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 2
        )
        self.out = nn.Linear(8, 11)

    def forward(self, x):
        return self.out(self.blocks(self.words(x))).reshape((-1, 11))


def conv_net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(54, 10),
    )  # fmt: skip


def digits_net():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def data(kind, n):
    rng = np.random.default_rng(n)
    if kind == "record":
        x = rng.normal(size=(n, 2))
        return x, (x[:, :1] * x[:, 1:] > 0).astype(float)
    if kind == "LSTM":
        return rng.normal(size=(9, n, 3)), rng.normal(size=(n, 1))
    if kind == "transformer":
        return rng.integers(0, 11, (n, 6)), rng.integers(0, 11, n * 6)
    shape = {"digits": (n, 64), "conv net": (n, 1, 12, 12)}[kind]
    return rng.normal(size=shape), rng.integers(0, 10, n)


@pytest.fixture(scope="module")
def made():
    """Return a function that gives a step, which has run, and batches of two sizes."""

    @functools.cache
    def make(kind):
        rg.manual_seed(0)
        batches = data(kind, 6), data(kind, 9)
        if kind == "record":
            spec = importlib.util.spec_from_file_location("record", RECORD)
            example = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(example)
            step = example.make_step(example.Net(np.random.RandomState(0)))
        else:
            nets = {"digits": digits_net, "conv net": conv_net, "LSTM": Looped}
            model = nets.get(kind, Transformer)()
            optimizer = rg.optim.Adam(model.parameters(), lr=0.01, eps=1e-3)
            loss_fn = nn.MSELoss() if kind == "LSTM" else nn.CrossEntropyLoss()

            @rg.compile
            def step(x, y):
                loss = loss_fn(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                return loss

        step(*batches[0])
        return step, batches

    return make


NETS = ["record", "digits", "conv net", "LSTM", "transformer"]


@pytest.mark.parametrize("kind", NETS)
def test_a_net_trains_by_its_readable_program_as_by_the_fast_one(made, kind):
    step, (batch, other) = made(kind)
    source = step.source
    assert worst_difference(step, [batch] * 5) < 1e-12
    assert not names_never_assigned(source)
    assert not double_transposes(source)
    assert all(row.origin.file and row.origin.number for row in step.readable().rows)
    assert all(
        re.search(r"# .*\w+\.py:\d+$", line)
        for line in step.readable().function.splitlines()
        if line.startswith("    ") and " = " in line
    )
    # the program of one batch is right for another: it holds no size of that one
    assert step.readable().note == ""
    step(*other)
    keywords = given(step)
    assert float(run(step, other, keywords, source)) == pytest.approx(
        step(*other).item(), rel=1e-12
    )


@pytest.mark.parametrize("kind", NETS)
def test_a_program_has_no_more_lines_for_more_of_the_same(made, kind):
    step, _ = made(kind)
    most = {"record": 20, "digits": 40, "conv net": 70, "LSTM": 80, "transformer": 180}
    assert len(step.readable().rows) < most[kind]


def test_the_records_net_reads_as_the_record_does(made):
    step, _ = made("record")
    assert statements(step) == [
        "n = len(x)",
        "fc1 = x @ fc1_weight.T + fc1_bias",
        "a1 = np.maximum(fc1, 0)",
        "fc2 = a1 @ fc2_weight.T + fc2_bias",
        "a2 = 1 / (1 + np.exp(np.minimum(-fc2, 709)))",
        "loss = -np.mean(y * np.log(a2 + np.exp(-100)) + (1 - y) * np.log(1 - a2 + np.exp(-100)))",
        "d_fc2 = (a2 - y) / n",
        "d_a1 = d_fc2 @ fc2_weight",
        "d_fc2_weight = d_fc2.T @ a1",
        "d_fc2_bias = np.sum(d_fc2, axis=0)",
        "d_fc1 = d_a1 * (fc1 > 0)",
        "d_fc1_weight = d_fc1.T @ x",
        "d_fc1_bias = np.sum(d_fc1, axis=0)",
        "fc1_weight -= lr * d_fc1_weight",
        "fc1_bias -= lr * d_fc1_bias",
        "fc2_weight -= lr * d_fc2_weight",
        "fc2_bias -= lr * d_fc2_bias",
    ]


def test_lines_of_the_backward_pass_stand_at_the_lines_whose_gradient_they_compute(made):
    step, _ = made("record")
    origins = {row.targets[0]: row.origin.text for row in step.readable().rows if row.targets}
    assert origins["d_fc2"].startswith("loss = criterion(model(x), y)")
    assert origins["d_fc2_weight"] == origins["d_a1"] == origins["a2"]
    assert origins["d_fc1_bias"] == origins["a1"]
    assert origins["fc1_bias"] == "optimizer.step()"


@pytest.mark.parametrize("seed", range(9))
def test_drawn_steps_are_what_their_readable_programs_are(seed):
    drawn = draw(seed)
    step, *_ = drawn.make()
    compiled = rg.compile(step)
    first = drawn.batches[0]
    batches = [b for b in drawn.batches if b[0].shape == first[0].shape][:3]
    with np.errstate(all="ignore"):
        compiled(*first)
        compiled(*first)  # now there are gradients from before
        assert not names_never_assigned(compiled.source)
        assert not double_transposes(compiled.source)
        # where gradients vanish, optimizers that divide by their size make rounding visible
        worst = worst_difference(compiled, batches)
    exact = drawn.dtype is np.float64
    assert worst < (1e-6 if exact else 0.3), drawn.text


def test_a_function_that_updates_nothing_returns_its_gradients_too():
    w = rg.Tensor(np.arange(3.0), requires_grad=True)

    @rg.compile
    def step(x):
        loss = np.sum(np.exp(w * x))
        w.grad = None
        loss.backward()
        return {"loss": loss}

    x = np.ones(3)
    step(x)
    result, grad = run(step, (x,), given(step))
    assert result["loss"] == pytest.approx(step(x)["loss"].item())
    np.testing.assert_allclose(grad, w.grad)


def test_what_is_returned_shares_no_memory_with_what_is_passed():
    w = rg.Tensor(np.arange(3.0))
    step = rg.compile(lambda x: (w, x, x[1:]))
    x = np.ones(3)
    step(x)
    keywords = given(step)
    for out in run(step, (x,), keywords):
        assert not any(np.shares_memory(out, a) for a in (x, *keywords.values()))


def test_threads_may_run_one_readable_program_at_once():
    rg.manual_seed(0)
    model = rg.compile(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2)))
    batches = [np.random.default_rng(i).normal(size=(50, 8)) for i in range(4)]
    expected = [model(x).data for x in batches]
    keywords, space = given(model), {"np": np}
    exec(model.source, space)
    wrong = []

    def work(i):
        outs = [space["predict"](batches[i], **keywords) for _ in range(50)]
        wrong.extend(i for out in outs if not np.allclose(out, expected[i], rtol=1e-12))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_notebook_shows_the_program():
    step = rg.compile(lambda x: x < 1)
    assert "nothing is recorded yet" in step._repr_html_()
    step(np.ones(2))
    assert "x &lt; 1" in step._repr_html_()


def test_asking_for_the_source_changes_nothing():
    rg.manual_seed(0)
    w = rg.Tensor(np.ones(3), requires_grad=True)
    optimizer = rg.optim.Adam([w], lr=0.1)

    @rg.compile
    def step(x):
        loss = np.sum((w * x * rg.random.uniform(shape=(3,))) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones(3))
    before = w.data.copy(), w.grad.copy(), rg.random.generator().bit_generator.state
    assert "rng.random" in step.source
    np.testing.assert_array_equal(w.data, before[0])
    np.testing.assert_array_equal(w.grad, before[1])
    assert rg.random.generator().bit_generator.state == before[2]
