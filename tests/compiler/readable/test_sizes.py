"""Sizes that follow the batch."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from compiler.readable.replay import given, run, statements

CASES = {
    "a shape": (lambda x: np.reshape(x, (x.size,)) * 1.0, "n = len(x)"),
    "a mean": (lambda x: x * (1 / len(x)), "n = len(x)"),
    "a variance": (lambda x: np.var(x, axis=0, ddof=1), None),
    "ones made inside": (lambda x: np.ones((len(x), 1)) + x @ np.ones(3), "n = len(x)"),
    "positions": (lambda x: x[np.arange(len(x)), 1] * 2, "n = len(x)"),
    "all but one": (lambda x: x[: len(x) - 1] * 2.0, "n = len(x)"),
    "a square": (lambda x: np.sum(x) / len(x) ** 2, "n = len(x)"),
    "a root": (lambda x: np.sum(x) / len(x) ** 0.5, "n = len(x)"),
    "nothing": (lambda x: np.exp(x), None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_program_of_one_batch_takes_others(case):
    fn, size = CASES[case]
    step = rg.compile(fn)
    rng = np.random.default_rng(0)
    step(rng.normal(size=(5, 3)))
    readable, source = step.readable(), step.source
    assert readable.note == ""
    assert size is None or size in statements(step)
    for n in (2, 6, 11):
        x = rng.normal(size=(n, 3))
        keywords = readable.arrays()
        np.testing.assert_allclose(run(step, (x,), keywords, source), step(x).data, rtol=1e-12)


def test_a_batch_may_be_a_part_of_an_axis_and_the_signature_says_which():
    @rg.compile
    def step(x, y):
        return np.mean(x.reshape((-1, x.shape[2])) * np.expand_dims(y, 1)) + np.sum(x) / y.size

    rng = np.random.default_rng(0)
    step(rng.normal(size=(4, 5, 2)), rng.normal(size=20))
    source = step.source
    assert "# x: (n, 5, 2) float64" in source
    assert "# y: (5 * n,) float64" in source
    x, y = rng.normal(size=(7, 5, 2)), rng.normal(size=35)
    result = run(step, (x, y), given(step), source)
    assert float(result) == pytest.approx(step(x, y).item(), rel=1e-12)


def test_where_the_function_itself_depends_on_the_length_the_program_says_so():
    def fn(x):
        total = 0.0
        for row in range(len(x)):
            total = total + x[row] * row**2
        return total

    step = rg.compile(fn)
    x = np.arange(4.0)
    step(x)
    assert "for arrays of these shapes" in step.source
    np.testing.assert_allclose(run(step, (x,), given(step)), step(x).data)


def test_a_function_that_refuses_other_sizes_is_asked_in_vain_and_no_harm_is_done():
    def fn(x):
        if x.shape != (3,):
            raise ValueError("three numbers")
        return x * 2

    step = rg.compile(fn)
    step(np.ones(3))
    assert "# x: (3,) float64" in step.source
    assert step(np.ones(3)).data.tolist() == [2.0, 2.0, 2.0]
