"""The first replays are compared with the function, and what differs is named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.checking import find_differing_call, is_close
from retrograd.compiler.lower import lower
from retrograd.compiler.statements import NumPy
from retrograd.compiler.tape import Tape, recording

X = np.arange(1.0, 4.0)


def test_a_number_outside_that_changes_is_found_at_the_next_call():
    class Config:
        scale = 1.0

    @rg.compile
    def f(x):
        return x * Config.scale

    f(X)
    Config.scale = 2.0
    with pytest.raises(rg.TraceError, match=r"second run called np.multiply"):
        f(X)


def test_a_branch_outside_that_changes_is_found_at_the_next_call():
    class Config:
        deep = False

    @rg.compile
    def f(x):
        y = x * 2
        if Config.deep:
            y = np.exp(y)
        return y

    f(X)
    Config.deep = True
    with pytest.raises(rg.TraceError, match=r"np\.exp"):
        f(X)


def test_numpy_arrays_drawn_without_the_tape_are_found():
    rng = np.random.default_rng(0)
    f = rg.compile(lambda x: x + rng.normal(size=3))
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

    f(X)
    with pytest.raises(rg.TraceError, match="writes into an array outside"):
        f(X)


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


def test_a_step_that_was_refused_is_recorded_anew():
    flag = {"first": True}
    w = rg.Parameter([2.0])

    def step(x):
        return np.sum(w * x) if flag["first"] else np.sum(w * x * x)

    compiled = rg.compile(step)
    compiled(np.array([3.0]))
    flag["first"] = False
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
    assert "np.multiply(array" in step.source
    step(X)
    assert step.source.count("np.multiply") == 1
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
