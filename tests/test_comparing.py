"""The helper that compares compiled functions with themselves sees every difference."""

import itertools
import re

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from helpers import leaf

CALLS = [(np.array([1.0, 2.0]),)] * 3


def in_turn(*builders):
    """Return what builds the eager twin by the first, the compiled one by the second."""
    turns = itertools.cycle(builders)
    return lambda: next(turns)()


def step_on(w, factor=1.0):
    def step(x):
        w.grad = None
        loss = np.sum(w * x) * factor
        loss.backward()
        return loss

    return step, w


def test_twins_agree_and_the_compiled_one_comes_back():
    compiled = assert_compiled_agrees(lambda: step_on(leaf(3.0, 4.0)), CALLS)
    assert len(compiled.programs) == 1


def read(*values):
    """Return a function that only reads a Tensor, and the Tensor."""
    w = leaf(*values)
    return lambda x: np.sum(x) + w.shape[0], w


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (lambda: step_on(leaf(3.0)), lambda: step_on(leaf(3.0), 1 + 1e-9), r"\('result',\) after"),
        (lambda: read(3.0), lambda: read(4.0), r"\('watched', 0, 'data'\) after call 0"),
        (lambda: step_on(leaf(3.0)), lambda: read(3.0), "structure"),
        (lambda: read(3.0), lambda: (read(3.0)[0], rg.Tensor(np.float32([3.0]))), "'data'"),
    ],
    ids=["result", "value", "gradient", "dtype"],
)
def test_a_difference_is_an_error_that_names_the_place(one, other, said):
    with pytest.raises((AssertionError, ValueError)) as caught:
        assert_compiled_agrees(in_turn(one, other), [(np.array([4 / 3]),)])
    assert re.search(said, "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])]))


def test_draws_of_the_default_generator_are_alike():
    def make():
        return (lambda x: rg.nn.functional.dropout(x, 0.5) * 2,)

    assert_compiled_agrees(make, CALLS)
    other = in_turn(make, lambda: (lambda x: x * 2,))
    with pytest.raises(AssertionError, match="drew other numbers"):
        assert_compiled_agrees(other, CALLS)
