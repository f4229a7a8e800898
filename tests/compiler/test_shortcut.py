"""The function that a program which is called often gets, its conditions inside."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.shortcut import LINES, MISSED, RUNS

X = np.arange(6.0).reshape(2, 3) / 7
OFTEN = 2 * RUNS


def often(step, *args):
    """Call a step until it has a shortcut; return what it gives then."""
    for _ in range(OFTEN):
        found = step(*args)
    assert step._last.shortcut is not None
    return found


def make_training():
    w = rg.Tensor(np.ones(3), requires_grad=True)
    optimizer = rg.optim.SGD([w], lr=0.01)

    def step(x):
        optimizer.zero_grad()
        loss = np.sum((x @ w) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return w, optimizer, step


def test_it_computes_what_the_function_does():
    w, _, step = make_training()
    twin, _, plain = make_training()
    compiled = rg.compile(step)
    for i in range(OFTEN):
        x = X + i / 100
        given = x if i % 2 else rg.Tensor(x)
        np.testing.assert_allclose(compiled(given).data, plain(rg.Tensor(x)).data, rtol=1e-13)
        np.testing.assert_allclose(w.data, twin.data, rtol=1e-13)
        np.testing.assert_allclose(w.grad, twin.grad, rtol=1e-13)
    assert compiled._last.shortcut is not None


@pytest.mark.parametrize(
    "other",
    [
        (X[:1],), (X.astype(np.float32),), (X.view(type("Sub", (np.ndarray,), {})),), (X, X), (),
        (rg.Tensor(X, requires_grad=True),), ([[1.0, 2.0, 3.0]],), (2.0,), (None,),
    ],
    ids=["shape", "dtype", "subclass", "more", "none", "leaf", "list", "number", "nothing"],
)  # fmt: skip
def test_other_arguments_are_none_of_its(other):
    step = rg.compile(lambda x: np.exp(x) * 2)
    often(step, X)
    assert step._last.shortcut(other) is MISSED


@pytest.mark.parametrize("args", [(), (X,), (X, X)])
def test_there_may_be_any_number_of_arguments(args):
    step = rg.compile(
        lambda *a: sum((np.sum(x) for x in a), start=np.sum(np.ones(2) * rg.Tensor(X[0, :2])))
    )
    first = step(*args).item()
    assert often(step, *args).item() == first


def test_what_is_found_outside_is_watched():
    scale = 2.0
    step = rg.compile(lambda x: np.sum(x) * scale)
    often(step, X)
    scale = 3.0
    assert step(X).item() == pytest.approx(3 * X.sum())
    w, optimizer, train = make_training()
    train = rg.compile(train)
    often(train, X)
    optimizer.param_groups[0]["lr"] = 0.0
    before = w.data.copy()
    train(X)
    np.testing.assert_array_equal(w.data, before)
    w.requires_grad = False
    assert train._last.shortcut((X,)) is MISSED


def test_arguments_may_have_its_own_names():
    scope = {"np": np}
    # `len` and `KeyError` are arrays that it finds outside
    scope |= {"len": np.ones(3), "KeyError": np.zeros(3)}
    text = "_given * len + _given_ * _wrap - args + KeyError"
    exec(f"def fn(_given, _given_, _wrap, args): return {text}", scope)
    step = rg.compile(scope["fn"])
    found = often(step, X, X + 1, X + 2, X + 3)
    np.testing.assert_allclose(found.data, X + (X + 1) * (X + 2) - (X + 3))


def test_a_run_that_fails_is_mended_and_names_its_statement():
    w, _, plain = make_training()

    def step(x, y):
        loss = plain(x)
        return loss + np.sum(rg.nn.functional.cross_entropy(x, y))

    compiled = rg.compile(step)
    often(compiled, X, np.array([0, 1]))
    before = w.data.copy()
    with pytest.raises(IndexError, match="class number 9") as caught:
        compiled(X, np.array([0, 9]))
    assert "of a compiled program" in "".join(caught.value.__notes__)
    compiled(X, np.array([0, 1]))
    _, _, again = make_training()
    twin = rg.compile(again)
    for _ in range(3):
        twin(X)
    assert not np.array_equal(w.data, before)


def test_writes_are_stamped():
    w, _, step = make_training()
    compiled = rg.compile(step)
    often(compiled, X)
    loss = np.sum(w * w)
    compiled(X)
    with pytest.raises(RuntimeError):
        loss.backward()


def test_long_programs_and_several_results_have_none():
    def long(x):
        for i in range(LINES):
            x = np.cos(x) * 0.1 + np.sin(x) * (i + 1)
        return x

    several = rg.compile(lambda x: (np.exp(x), np.sin(x)))
    for step in (rg.compile(long), several):
        for _ in range(OFTEN):
            step(X)
        assert step._last.shortcut is None


def test_a_call_while_it_records_is_counted():
    step = rg.compile(lambda x: np.exp(x))
    often(step, X)
    runs = step._last.runs
    for _ in range(5):
        step(X)
    assert step._last.runs == runs + 5
