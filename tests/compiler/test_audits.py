"""At some calls the function is recorded beside a replay: what no guard sees is found there."""

from __future__ import annotations

import gc
import itertools
import tracemalloc

import numpy as np
import pytest

import retrograd as rg

X = np.array([1.0, 2.0, 3.0])


def hidden(value, use):
    """Return a function of an array and of what an iterator gives, and what changes that."""
    box = [value]

    def values():
        while True:
            yield box[0]

    source = values()
    return lambda x: use(x, next(source)), lambda new: box.__setitem__(0, new)


USES = {
    "a number": (1.0, 2.0, lambda x, v: np.sum(x * v), r"np.multiply\(array, 2.0\)"),
    "a branch": (False, True, lambda x, v: np.exp(x) if v else np.sin(x), r"np\.exp where"),
    "one call more": (False, True, lambda x, v: np.exp(x) if v else x * 1, "np.exp"),
    "an array": (X, X * 2, lambda x, v: np.sum(x * v), "an array"),
    "an equal array": (X, X.copy(), lambda x, v: np.sum(x * v), "is another one"),
    "a constant": (1.0, 2.0, lambda x, v: np.sum(x * np.full(3, v)), "differs between two runs"),
    "a result": (1, 2, lambda x, v: (np.sum(x), v), "it returns"),
}


@pytest.mark.parametrize("calls", [3, 4, 6, 8, 20])
@pytest.mark.parametrize("use", [*USES])
def test_what_no_guard_sees_is_an_error_at_the_next_audit_and_recorded_anew(use, calls):
    before, after, fn, what = USES[use]
    compiled, change = hidden(before, fn)
    step = rg.compile(compiled)
    for _ in range(calls):
        step(X)
    change(after)
    audit = next(n for n in (4, 8, 16, 32) if n > calls)
    for _ in range(calls + 1, audit):
        step(X)  # a program goes on as it was until then
    with pytest.raises(rg.TraceError, match=what) as refusal:
        step(X)
    assert "no more what was recorded" in str(refusal.value)
    assert step.programs == []
    expected = fn(rg.Tensor(X), after)
    for _ in range(20):
        found = step(X)
        for x, y in zip(rg.tree.leaves(found), rg.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(np.asarray(getattr(x, "data", x)), getattr(y, "data", y))


def test_audits_come_at_the_calls_4_8_16():
    runs = []
    net = rg.nn.Linear(3, 1, rng=0)
    net.register_forward_hook(lambda *_: next(counting))
    calls = itertools.count()
    counting = map(runs.append, calls)
    step, now = rg.compile(lambda x: np.sum(net(x))), []
    for call in range(1, 70):
        before = next(calls)
        step(X)
        if next(calls) > before + 1:
            now.append(call)
    assert now == [1, 2, 3, 4, 8, 16, 32, 64]


def test_an_audit_puts_all_back():
    def make():
        rg.manual_seed(0)
        net = rg.nn.Sequential(
            rg.nn.Linear(3, 4, rng=0), rg.nn.BatchNorm1d(4), rg.nn.Dropout(0.5),
            rg.nn.Linear(4, 1, rng=1),
        )  # fmt: skip
        optimizer = rg.optim.Adam(net.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = np.mean(net(x) ** 2)
            loss.backward()
            optimizer.step()
            return loss

        return step, net, optimizer

    data = [np.random.default_rng(i).normal(size=(5, 3)) for i in range(36)]
    results = []
    for wrap in (lambda f: f, rg.compile):
        step, net, optimizer = make()
        step = wrap(step)
        losses = [step(rg.Tensor(x)).item() for x in data]
        results.append((losses, net.state_dict(), optimizer.state_dict()["state"]))
    for left, right in zip(*map(rg.tree.leaves, results), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-12)


def test_an_audit_keeps_gradients_that_were_there():
    w = rg.Parameter([1.0, 1.0, 1.0])
    step = rg.compile(lambda x: np.sum(w * x).backward())
    for number in range(1, 40):
        step(X)
        np.testing.assert_array_equal(w.grad, X * number)


def test_an_error_of_the_function_at_an_audit_leaves_all_as_it_was():
    w = rg.Parameter([1.0, 1.0, 1.0])
    optimizer = rg.optim.SGD([w], lr=0.1)

    def train(x, fails):
        optimizer.zero_grad()
        loss = np.sum(w * x)
        loss.backward()
        optimizer.step()
        if fails:
            raise ValueError("no more data")
        return loss

    train, change = hidden(False, train)
    step = rg.compile(train)
    for _ in range(3):
        step(X)
    before = w.data.copy()
    change(True)
    with pytest.raises(ValueError, match="no more data"):
        step(X)
    np.testing.assert_array_equal(w.data, before)
    change(False)
    for number in range(1, 10):
        step(X)
        np.testing.assert_allclose(w.data, before - 0.1 * number * X, atol=1e-12)


def test_many_calls_leave_nothing_behind():
    w = rg.Parameter([1.0, 1.0, 1.0])
    optimizer = rg.optim.SGD([w], lr=1e-6)
    settings = {"scale": 1.0}

    @rg.compile
    def step(x):
        optimizer.zero_grad()
        loss = np.sum(w * x * settings["scale"])
        loss.backward()
        optimizer.step()
        return loss

    def run(times):
        for _ in range(times):
            step(X)

    run(600)
    tracemalloc.start()
    try:
        run(200)
        before, _ = tracemalloc.get_traced_memory()
        run(4000)  # with the audits of 1024, 2048 and 4096
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
