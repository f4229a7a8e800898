"""The first replays are compared with the function, and what differs is named."""

from __future__ import annotations

import copy
import dataclasses
import itertools

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees, assert_same, contents
from retrograd.compiler.checking import (
    distance,
    find_differing_call,
    find_differing_result,
    is_close,
)
from retrograd.compiler.lower import lower
from retrograd.compiler.statements import NumPy
from retrograd.compiler.tape import Tape, recording

X = np.arange(1.0, 4.0)


def test_a_number_that_no_guard_watches_is_found_at_the_next_call():
    numbers = itertools.chain([1.0, 2.0])

    @rg.compile
    def f(x):
        return x * next(numbers)

    f(X)
    with pytest.raises(rg.TraceError, match=r"second run called np.multiply\(array, 2.0\)"):
        f(X)


def test_a_branch_that_no_guard_watches_is_found_at_the_next_call():
    deep = itertools.chain([False, True])

    @rg.compile
    def f(x):
        y = x * 2
        if next(deep):
            y = np.exp(y)
        return y

    f(X)
    with pytest.raises(rg.TraceError, match=r"np\.exp"):
        f(X)


def test_numpy_arrays_drawn_without_the_tape_are_found():
    generators = itertools.repeat(np.random.default_rng(0))
    f = rg.compile(lambda x: x + next(generators).normal(size=3))
    f(X)
    with pytest.raises(rg.TraceError, match="differs between two runs"):
        f(X)


def test_a_write_into_an_array_outside_is_found():
    running = np.zeros(3)

    @rg.compile
    def f(x):
        y = x + running
        running[...] = running + 1
        return y

    with pytest.raises(rg.TraceError, match="changes 'running' outside"):
        f(X)
    assert running.tolist() == [2.0] * 3  # twice: nothing told of the writes, to put them back


def test_a_program_that_computes_something_else_is_caught():
    f = rg.compile(lambda x: np.exp(x) * 2 + 1)
    f(X)
    program = f.programs[0]
    step = next(s for s in program.code.body if s.call.fn is np.exp)
    call = dataclasses.replace(step.statement.call, function=NumPy("log"))
    step.statement = dataclasses.replace(step.statement, call=call)
    program.make()
    with pytest.raises(RuntimeError, match=r"first in `np.log\(x"):
        f(X)


def test_a_write_by_what_nobody_looks_into_is_found():
    running = np.zeros(3)
    writes = map(lambda array: array.__iadd__(1), itertools.repeat(running))  # noqa: C417, no frame of a generator
    arrays = itertools.repeat(running)

    @rg.compile
    def f(x):
        y = x + next(arrays)
        next(writes)
        return y

    f(X)
    with pytest.raises(rg.TraceError, match="writes into an array outside"):
        f(X)


def test_a_step_that_was_refused_is_recorded_anew():
    powers = itertools.chain([1], itertools.repeat(2))
    w = rg.Parameter([2.0])

    def step(x):
        return np.sum(w * x**2) if next(powers) == 2 else np.sum(w * x)

    compiled = rg.compile(step)
    compiled(np.array([3.0]))
    with pytest.raises(rg.TraceError, match="A branch"):
        compiled(np.array([3.0]))
    assert [compiled(np.array([3.0])).item() for _ in range(4)] == [18.0] * 4


# Comparing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "close", "equal"),
    [
        (np.ones(2), np.ones(2), True, True),
        (np.ones(2), np.ones(2) + 1e-9, True, False),
        (np.ones(2), np.ones(2) + 1e-3, False, False),
        (np.ones(2), np.ones(3), False, False),
        (np.ones(2), np.ones(2, np.float32), False, False),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf]), True, True),
        (np.array([1.0, np.inf]), np.array([1.0, -np.inf]), False, False),
        (np.array([1, 2]), np.array([1, 3]), False, False),
        (np.ones(2, np.float32), np.float32(1 + 1e-4) * np.ones(2, np.float32), True, False),
    ],
)
def test_arrays_are_close_if_rounding_explains_it(x, y, close, equal):
    assert is_close(x, y) is close
    assert is_close(x, y, exact=True) is equal


def runs(first, second):
    programs = []
    for fn in (first, second):
        tape = Tape()
        with recording(tape):
            fn(tape.add_argument("x", X, None))
        programs.append(lower(tape, fn))
    return find_differing_call(*programs)


def test_recordings_of_the_same_calls_do_not_differ():
    assert runs(lambda x: np.exp(x * 2.0), lambda x: np.exp(x * 2.0)) == ("", [])


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (np.exp, np.sin, "the second run called np.sin where the first had np.exp"),
        (lambda x: x * 2.0, lambda x: x * 3.0, "or with other arguments"),
        (lambda x: x * 2, lambda x: x * 2.0, "or with other arguments"),
        (lambda x: np.exp(x), lambda x: np.sin(np.exp(x)), "one run called np.sin"),
        (lambda x: x + np.ones(3), lambda x: x + np.zeros(3), "differs between two runs"),
    ],
)
def test_the_first_call_that_differs_is_named_with_its_line(first, second, what):
    problem, _ = runs(first, second)
    assert what in problem
    assert "test_checking.py" in problem


def test_other_arrays_that_are_equal_are_constants():
    problem, constants = runs(lambda x: x + np.ones(3), lambda x: x + np.ones(3))
    assert problem == ""
    assert [v.array.tolist() for v in constants] == [[1.0, 1.0, 1.0]]


def test_what_was_found_constant_is_computed_before_all_runs():
    @rg.compile
    def step(x):
        return x * (np.ones(3) * rg.Tensor(np.full(3, 2.0)))

    step(X)
    assert "np.multiply(array" in step.fast_source
    step(X)
    assert step.fast_source.count("np.multiply") == 1
    (program,) = step.programs
    written = program.namespace
    step(X)
    assert program.namespace is written
    assert step(X).data.tolist() == [2.0, 4.0, 6.0]


def test_a_program_lets_go_of_its_recording_once_it_is_checked():
    step = rg.compile(lambda x: np.exp(x))
    for _ in range(3):
        step(X)
    (program,) = step.programs
    assert program.settled
    assert not program.recorded.calls
    assert not program.program.calls


# At other values ---------------------------------------------------------------------------------


def peek(t):
    """Return the values of a Tensor by a way that no recording hears of."""
    return t._array


FROZEN = {
    "an array": lambda x: x * np.exp(peek(x)),
    "a number": lambda x: x * float(peek(x).sum()),
    "a Tensor": lambda x: x * rg.Tensor(peek(x) ** 2),
    "an index": lambda x: x[int(peek(x).argmin())],
    "a branch": lambda x: np.exp(x) if peek(x).max() > 2.9 else np.sin(x),
    "all of it": lambda x: rg.Tensor(peek(x) * 2),
}


@pytest.mark.parametrize("fn", FROZEN.values(), ids=FROZEN.keys())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_is_frozen_is_found_though_all_calls_have_equal_values(fn, dtype):
    step = rg.compile(fn)
    x = np.array([1.0, 2.0, 3.0], dtype)[::-1].copy()
    step(x)
    with pytest.raises(RuntimeError, match=r"cannot be compiled|computes something else"):
        step(x)


@pytest.mark.parametrize("x", [np.zeros(3), np.ones(3), np.array([7, 8, 9])], ids=str)
def test_at_rest_nothing_can_hide(x):
    step = rg.compile(lambda x: x * np.cos(peek(x)) + 1.0)
    step(x)
    with pytest.raises(rg.TraceError):
        step(x)


def test_a_mask_that_is_frozen_is_found():
    step = rg.compile(lambda x, mask: np.sum(x * np.where(peek(mask), 1.0, 2.0)))
    mask = np.array([True, False, False])
    step(X, mask)
    with pytest.raises(rg.TraceError):
        step(X, mask)


def make_trained(kind="Adam", frozen=False):
    net = rg.nn.Sequential(
        rg.nn.Linear(3, 4, rng=0),
        rg.nn.BatchNorm1d(4),
        rg.nn.Dropout(0.5),
        rg.nn.Linear(4, 1, rng=1),
    )
    optimizer = getattr(rg.optim, kind)(net.parameters(), lr=0.01)

    def step(x, y):
        scale = float(peek(net[0].weight).sum()) if frozen else 1.0
        loss = np.mean((net(x) * scale - y) ** 2)
        optimizer.zero_grad()
        loss.backward()
        rg.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        return loss

    return step, net, optimizer


def test_a_number_of_a_parameter_that_is_frozen_is_found_at_once():
    step, _, _ = make_trained("SGD", frozen=True)
    compiled = rg.compile(step)
    x, y = np.ones((5, 3)), np.ones((5, 1))
    compiled(x, y)
    with pytest.raises(rg.TraceError, match=r"second run called np\.multiply"):
        compiled(x, y)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta"])
def test_all_that_a_check_moves_is_put_back(kind):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 1))
    assert_compiled_agrees(lambda: make_trained(kind), [(x, y)] * 6, rtol=1e-9)


def test_a_check_that_fails_puts_all_back_too():
    step, net, optimizer = make_trained(frozen=True)
    compiled = rg.compile(step)
    x, y = np.ones((5, 3)), np.ones((5, 1))
    compiled(x, y)
    kept = copy.deepcopy((contents(net), contents(optimizer)))
    state = rg.random.generator().bit_generator.state
    given = x.copy()
    with pytest.raises(rg.TraceError):
        compiled(x, y)
    assert_same((contents(net), contents(optimizer)), kept, 0, 0, "after a check that failed")
    assert rg.random.generator().bit_generator.state == state
    np.testing.assert_array_equal(x, given)


def test_gradients_of_arguments_are_those_of_the_callers_tensors():
    step = rg.compile(lambda w: np.sum(np.exp(w) * w).backward())
    for value in (1.0, 1.0, 1.0, 2.0, 3.0):
        w = rg.Tensor(np.full(2, value), requires_grad=True)
        w.grad = np.ones(2)
        step(w)
        np.testing.assert_allclose(w.grad, 1 + np.exp(value) * (1 + value), rtol=1e-12)
        assert w.data.tolist() == [value, value]


def test_a_function_that_only_reads_a_model_is_not_checked_by_moving_the_model():
    seen = []
    note = seen.append
    net = rg.nn.Linear(3, 2, rng=0)

    def look():
        note(peek(net.weight).copy())

    def predict(x):
        look()
        return net(x)

    step = rg.compile(predict)
    for _ in range(3):
        step(np.ones((4, 3)))
    assert len(seen) > 2
    assert all((w == net.weight.data).all() for w in seen)


def cholesky_solve(x):
    return np.linalg.solve(np.linalg.cholesky(x), np.ones(30))


def needs_ones(x):
    if peek(x).sum() != 3:
        raise ValueError("this wants ones")
    return x * 2


def picks(x, at):
    return x[at] + x[at + 1]


def sums_positive(x):
    chosen = x[x > 0.02]
    return np.sum(chosen) / chosen.shape[0]


DOMAINS = {
    "a logarithm": (lambda x: np.log(x), np.full(3, 1e-300)),
    "a boundary": (lambda x: np.arccos(x) + np.arctanh(x * 0.5), np.array([1.0, -1.0, 0.0])),
    "arccosh at 1": (lambda x: np.arccosh(x), np.ones(3)),
    "probabilities": (
        lambda x: rg.nn.functional.binary_cross_entropy(x, np.array([0.0, 1.0, 1.0])),
        np.array([0.0, 1.0, 0.5]),
    ),
    "a positive definite matrix": (cholesky_solve, np.eye(30) + 0.01),
    "an error elsewhere": (needs_ones, np.ones(3)),
    "infinite masks": (lambda x: np.exp(x), np.array([0.0, -np.inf, -np.inf])),
    "nan": (lambda x: np.where(np.isnan(x), 0.0, x), np.array([np.nan, 1.0])),
    "all nan": (lambda x: np.sqrt(x), np.array([-1.0, -2.0])),
    "indices": (picks, np.arange(5.0), np.array([3, 0, 2])),
    "sizes": (sums_positive, np.array([0.02, 0.021, -1.0, 3.0])),
    "labels": (lambda y: rg.nn.functional.one_hot(y, 5) * 2, np.array([4, 4, 0])),
    "nothing": (lambda x: x * 2, np.zeros((0, 3))),
    "a number": (lambda x: x * 2, np.float64(3.0)),
    "large": (lambda x: x * 2.0, np.full(3, 1e308)),
}


@pytest.mark.parametrize("case", DOMAINS.values(), ids=DOMAINS.keys())
def test_where_other_values_have_no_meaning_nothing_wrong_is_said(case):
    fn, *args = case
    step = rg.compile(fn)
    with np.errstate(all="ignore"):
        expected = fn(*(rg.Tensor(a) for a in args)).data
        for _ in range(4):
            np.testing.assert_allclose(step(*args).data, expected, rtol=1e-12)


def test_a_size_that_only_a_number_was_made_of_is_watched():
    def mean_of(x):
        return np.sum(np.maximum(x, 0.0)) / x[x > 0].shape[0]

    step = rg.compile(mean_of)
    for _ in range(4):
        assert step(np.array([1.0, 3.0, -1.0])).item() == 2.0
    with pytest.raises(ValueError, match=r"shape|dimension"):
        step(np.array([1.0, -3.0, -1.0]))


# Rounding ----------------------------------------------------------------------------------------


def test_single_precision_on_the_way_to_a_double_is_no_difference():
    rng = np.random.default_rng(0)
    step = rg.compile(lambda x, weight: np.mean(np.square(x)) * weight)
    for _ in range(40):
        step(rng.normal(size=(256, 16)).astype(np.float32), np.array(3.0))
    parts = [np.ones(2), np.ones(2) * (1 + 1e-5)]
    assert is_close(*parts, itemsize=4)
    assert not is_close(*parts)


@pytest.mark.parametrize("kind", ["Adam", "RMSprop", "Adagrad"])
def test_a_gradient_that_is_rounding_noise_is_no_difference(kind):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(32, 8)).astype(np.float32), rng.integers(0, 3, 32)
    net = rg.nn.Sequential(
        rg.nn.Linear(8, 16, rng=0), rg.nn.BatchNorm1d(16), rg.nn.ReLU(), rg.nn.Linear(16, 3, rng=1)
    ).float()
    optimizer = getattr(rg.optim, kind)(net.parameters(), lr=0.01)

    @rg.compile
    def step(x, y):
        loss = rg.nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(x, y).item() for _ in range(30)]
    assert losses[-1] < losses[0]


def test_what_differs_by_more_than_rounding_explains_is_found():
    assert find_differing_result([("a result", X)], [("a result", X + 1e-3)], noise=[1e-2]) == ""
    assert find_differing_result([("a result", X)], [("a result", X + 1e-3)], noise=[1e-4])
    assert find_differing_result([("a result", X)], [("a result", None)], noise=[np.inf])
    assert distance(np.array([np.nan, np.inf, 1.0]), np.array([np.nan, np.inf, 1.5])) == 0.5
    assert distance(X, np.array([np.nan, 1.0, 1.0])) == np.inf
