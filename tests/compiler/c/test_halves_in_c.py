"""Compiled functions in C whose gradients are asked for outside: both halves are C."""

import threading

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c.assembly import find_late, uses_numpy
from retrograd.compiler.halves import Halves

nn, F = rg.nn, rg.nn.functional
pytestmark = pytest.mark.usefixtures("compiler")
X = np.random.default_rng(0).normal(size=(6, 4))
Y = np.random.default_rng(1).integers(0, 3, 6)


def plain():
    return nn.Sequential(nn.Linear(4, 8, rng=0), nn.Tanh(), nn.Linear(8, 3, rng=1))


def with_draws_and_writes():
    return nn.Sequential(
        nn.Linear(4, 8, rng=0), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3, rng=5),
        nn.Linear(8, 3, rng=1),
    )  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.RNNCell(4, 5, rng=0), nn.Linear(5, 3, rng=1)

    def forward(self, x):
        h = np.zeros((1, 5))
        for i in range(6):
            h = self.cell(x[i : i + 1], h)
        return self.out(np.concatenate([h] * 6)) + np.linalg.norm(h)  # some of it is NumPy's


def losses(make, target, steps=12, dtype=np.float64):
    model = make()
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    optimizer = rg.optim.Adam(model.parameters(), lr=0.02)
    predict = rg.compile(model, target=target) if target else model
    found = []
    for i in range(steps):
        x = X.astype(dtype) + dtype(i)
        optimizer.zero_grad()
        loss = F.cross_entropy(predict(x if i % 3 else np.asfortranarray(x)), Y)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return predict, found


def halves_of(predict):
    return [p.graph._halves for p in predict.programs]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("make", [plain, with_draws_and_writes, Recurrent])
def test_a_model_in_c_trains_in_an_eager_loop(make, dtype):
    predict, found = losses(make, "c", dtype=dtype)
    _, expected = losses(make, None, dtype=dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == np.float32 else 1e-9)
    assert all(isinstance(h, Halves) for h in halves_of(predict))
    if make is plain:
        code = halves_of(predict)[0].ready.code
        assert not uses_numpy(code)
        assert code.source_in_c.count("int part_") == 2


def test_several_calls_may_wait_for_their_gradients():
    def run(target):
        w = rg.Tensor(np.linspace(0.1, 1.2, 12).reshape(4, 3), requires_grad=True)
        fn = lambda x: np.tanh(x @ w) * np.sum(x * x, axis=1, keepdims=True)  # noqa: E731
        f = rg.compile(fn, target=target) if target else fn
        for _ in range(6):
            x = rg.Tensor(X, requires_grad=True)
            w.grad = None
            outs = [f(x * (i + 1)) for i in range(3)]
            (outs[1].sum() - (outs[0] * outs[2]).mean()).backward()
        return f, w.grad, x.grad

    f, *found = run("c")
    _, *expected = run(None)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)
    (halves,) = halves_of(f)
    assert len(halves.free) == 3


def test_a_wrong_class_number_is_an_error_in_its_half():
    w = rg.Tensor(np.eye(4, 3), requires_grad=True)
    f = rg.compile(lambda x, y: F.cross_entropy(x @ w, y), target="c")
    for _ in range(6):
        f(X, Y).backward()
    before = w.grad.copy()
    with pytest.raises(IndexError, match="got class number"):
        f(X, Y + 5)
    f(X, Y).backward()
    np.testing.assert_allclose(w.grad, before * 7 / 6, rtol=1e-12)


def test_threads_have_halves_of_their_own():
    model = plain()
    predict = rg.compile(model, target="c")
    for _ in range(6):
        F.cross_entropy(predict(X), Y).backward()
    expected = {k: rg.autograd.grad(F.cross_entropy(model(X * k), Y), [*model.parameters()])
                for k in range(4)}  # fmt: skip
    wrong = []

    def work(k):
        for _ in range(40):
            found = rg.autograd.grad(F.cross_entropy(predict(X * k), Y), [*model.parameters()])
            for a, b in zip(found, expected[k], strict=True):
                if not np.allclose(a.data, b.data, rtol=1e-10, atol=1e-13):
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_what_writes_after_gradients_has_no_halves():
    state = rg.Tensor(np.zeros(3))

    def fn(x, g):
        e = np.exp(x)
        back = e * g * state
        with rg.no_grad():
            state.__iadd__(x)
        return e, back

    step = rg.compile(fn)
    step(np.ones(3), np.ones(3))
    (program,) = step.programs
    assert not find_late(program.plain, 1)
    assert not find_late(program.plain, 0)
