"""A program made ready to run: gradients that it leaves, errors that leave nothing half done."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees

X = np.arange(1.0, 4.0)


@pytest.mark.parametrize(
    "loss",
    [
        lambda w, x: np.sum(w * x[0]),
        lambda w, x: np.sum(w * x.T[0]),
        lambda w, x: w @ x[1],
        lambda w, x: np.sum(w * x[0].reshape(2)) + w[0] * 0,
    ],
)
def test_a_gradient_may_be_an_argument_or_a_part_of_one(loss):
    def make():
        w = rg.Tensor([1.0, 1.0], requires_grad=True)

        def step(x):
            w.grad = None
            out = loss(w, x)
            out.backward()
            return out

        return step, w

    rng = np.random.default_rng(0)
    assert_compiled_agrees(make, [(rng.normal(size=(2, 2)),) for _ in range(6)])


def test_the_gradient_of_an_argument_may_be_another_argument():
    step = rg.compile(lambda w, x: np.sum(w * x).backward())
    for i in range(5):
        w, x = rg.Tensor([1.0, 2.0], requires_grad=True), np.full(2, float(i))
        step(w, x)
        np.testing.assert_array_equal(w.grad, x)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_gradients_from_before_stay_where_a_step_does_not_reach(clip, both):
    def make():
        w = rg.Tensor([1.0, 1.0], requires_grad=True)
        v = rg.Tensor([[1.0]], requires_grad=True)
        v.grad = np.ones((1, 1))
        optimizer = rg.optim.SGD([w, v], lr=0.1)

        def step(x, which):
            loss = np.sum((v if which else w) ** 2 * x)
            loss.backward()
            if clip:
                rg.nn.utils.clip_grad_norm_([w, v], 1.0)
            optimizer.step()
            return loss

        return step, w, v

    assert_compiled_agrees(make, [(np.array([2.0]), i % 2 if both else 0) for i in range(10)])


@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("wrong", [3, -1, -100])
def test_class_numbers_are_checked_in_every_run(loss, wrong):
    F = rg.nn.functional
    x = rg.Tensor(np.zeros((2, 3)), requires_grad=True)

    def step(y, ignored):
        x.grad = None
        out = getattr(F, loss)(x, y, ignore_index=ignored)
        out.backward()
        return out

    compiled = rg.compile(step)
    for _ in range(4):
        compiled(np.array([0, 2]), -100)
        compiled(np.array([0, 2]), 1)
    y = np.array([0, wrong])
    for run in (step, compiled):
        with pytest.raises(IndexError, match=f"of 3 classes got class number {wrong}"):
            run(y, 1)
        if wrong != -100:
            with pytest.raises(IndexError, match=f"of 3 classes got class number {wrong}"):
                run(y, -100)
        assert np.isfinite(run(y, wrong).item())


def trained(lr=0.1):
    w = rg.Tensor([1.0, 2.0], requires_grad=True)
    v = rg.Tensor(np.ones(20000), requires_grad=True)
    optimizer = rg.optim.Adam([w, v], lr=lr)

    @rg.compile
    def step(x):
        loss = np.sum((w * x) ** 2) + np.mean(v**2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, w, v, optimizer


def interrupt(step, at, x):
    """Call a step; its program is interrupted behind the call `at` of a NumPy function."""
    program = step.programs[-1]
    calls = 0

    def interrupting(fn):
        def call(*args, **kwargs):
            nonlocal calls
            out = fn(*args, **kwargs)
            calls += 1
            if calls == at:
                raise KeyboardInterrupt
            return out

        return call

    names = [n for n in program.namespace if n.startswith("_np_")]
    kept = {n: program.namespace[n] for n in names}
    program.namespace.update({n: interrupting(f) for n, f in kept.items()})
    try:
        step(x)
    except KeyboardInterrupt:
        pass
    else:
        assert calls < at
    finally:
        program.namespace.update(kept)


@pytest.mark.parametrize("at", range(1, 40, 3))
def test_an_interrupt_anywhere_leaves_the_state_before_or_after_a_step(at):
    step, w, v, optimizer = trained()
    for _ in range(5):
        step(np.ones(2))
    before = w.data.copy(), v.data.copy(), repr(optimizer.state_dict())
    interrupt(step, at, np.ones(2))
    done = not np.array_equal(w.data, before[0])
    other = trained()
    for _ in range(5 + done):
        other[0](np.ones(2))
    assert repr(optimizer.state_dict()) == repr(other[3].state_dict())
    np.testing.assert_array_equal(w.data, other[1].data)
    np.testing.assert_array_equal(v.data, other[2].data)
    step(np.ones(2))
    other[0](np.ones(2))
    np.testing.assert_array_equal(w.data, other[1].data)


@pytest.mark.parametrize("at", range(1, 8))
def test_an_interrupt_between_a_call_and_the_copy_of_its_result_leaves_nothing_half_done(at):
    def make():
        first, second = rg.Tensor(np.zeros(3)), rg.Tensor(np.zeros(3))

        @rg.compile
        def step(x):
            with rg.no_grad():
                first.__iadd__(x)
                second.__iadd__(np.sort(first))  # what is sorted is copied into a buffer
            return second * 1

        for n in range(5):
            step(np.array([3.0, 2.0, 1.0]) * (n + 1))
        return step, first, second

    step, first, second = make()
    before = first.data.copy()
    interrupt(step, at, np.array([7.0, 8.0, 9.0]))
    again, *expected = make()
    if not np.array_equal(first.data, before):
        again(np.array([7.0, 8.0, 9.0]))
    for t, other in zip((first, second), expected, strict=True):
        np.testing.assert_array_equal(t.data, other.data)


def test_an_error_while_recording_names_the_call_and_can_be_mended():
    w = rg.Tensor(np.ones(3), requires_grad=True)

    @rg.compile
    def f(x):
        return np.sum(w * x)

    with pytest.raises(ValueError, match="broadcast"):
        f(np.ones(2))
    for _ in range(4):
        assert f(X).item() == 6.0


def test_an_error_after_a_write_puts_back_what_was_written():
    first, second = rg.Tensor(np.zeros(2)), rg.Tensor(np.zeros((2, 2)))

    @rg.compile
    def f(x):
        with rg.no_grad():
            first.__iadd__(x[0])
            second.__iadd__(np.linalg.inv(x))
        return first * 1

    for _ in range(5):
        f(np.eye(2))
    with pytest.raises(np.linalg.LinAlgError):
        f(np.ones((2, 2)))
    np.testing.assert_array_equal(first.data, [5, 0])
    np.testing.assert_array_equal(second.data, 5 * np.eye(2))
