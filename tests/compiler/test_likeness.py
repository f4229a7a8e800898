"""Two recordings are compared by what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.likeness import (
    Likeness,
    find_any_difference,
    find_difference,
    is_same_memory,
)
from retrograd.compiler.lower import lower
from retrograd.compiler.tape import Tape, recording

X = np.arange(1.0, 4.0)
TABLE = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
W = rg.Parameter([1.0, 2.0, 3.0])


def likeness(fn):
    tape = Tape()
    with recording(tape, True):
        result = fn(tape.add_argument("x", X, None))
    tape.finish()
    return Likeness(lower(tape, fn, result))


def test_a_call_is_told_as_a_user_would_write_it():
    (mark,) = likeness(lambda x: np.sum(x, axis=0, keepdims=True)).marks
    assert str(mark) == "np.sum(array, axis=0, keepdims=True)"


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (
            lambda x: x * 2.0,
            lambda x: x * 3.0,
            "the second run called np.multiply(array, 3.0) where the first had np.multiply(array, "
            "2.0)",
        ),
        (lambda x: x * W, lambda x: x * x, "or with other arguments: other arrays"),
    ],
)
def test_what_differs_is_said(first, second, what):
    problem, _ = find_difference(likeness(first), likeness(second))
    assert what in problem


def test_views_of_the_same_memory_outside_are_no_constants():
    fn = lambda x: x * TABLE[0]  # noqa: E731
    assert find_difference(likeness(fn), likeness(fn)) == ("", [])
    assert is_same_memory(TABLE[0], TABLE[0])
    assert not is_same_memory(TABLE[0], TABLE[1])
    assert not is_same_memory(TABLE[:, 0], TABLE[0])
    assert not is_same_memory(TABLE[0], TABLE[0].copy())


def test_an_array_that_is_written_is_a_constant_at_first():
    def accumulate(x, start=0.0):
        total = rg.Tensor(np.full(3, start))
        with rg.no_grad():
            total += x
        return total

    first = likeness(accumulate)
    problem, (var,) = find_difference(first, likeness(accumulate))
    assert problem == ""
    assert first.initial[var].tolist() == [0.0, 0.0, 0.0]
    problem, _ = find_difference(first, likeness(lambda x: accumulate(x, 1.0)))
    assert "differs between two runs" in problem


def backward(x):
    W.grad = None
    np.sum(W * x).backward()


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (lambda x: (x, 1), lambda x: (x, 2), "it returns"),
        (lambda x: (x, x * 2), lambda x: (x * 2, x), "other arguments|it returns"),
        (lambda x: [x], lambda x: {"a": x}, "other gradients or updates"),
        (lambda x: x * TABLE, lambda x: x * TABLE.copy(), "is another one"),
    ],
)
def test_what_a_run_leaves_belongs_to_it(first, second, what):
    problem, _ = find_any_difference(likeness(first), likeness(second), (), {id(TABLE)})
    assert any(part in problem for part in what.split("|"))


def test_two_runs_of_a_step_do_not_differ():
    assert find_any_difference(likeness(backward), likeness(backward), ()) == ("", [])
