"""Calls as one would write them by hand."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from compiler.readable.replay import given, run, statements

X = np.random.default_rng(0).normal(size=(4, 3))


def text(fn, *arrays):
    """Return the last line of the readable program of a function, checked to be right."""
    step = rg.compile(fn)
    result = step(*arrays)
    np.testing.assert_allclose(run(step, arrays, given(step)), result.data, rtol=1e-12)
    return statements(step)[-1].partition(" = ")[2]


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (lambda x: x @ np.ones(3), "np.sum(x, axis=1)"),
        (lambda x: np.ones(4) @ x, "np.sum(x, axis=0)"),
        (lambda x: x @ np.ones((3, 1)), "np.sum(x, axis=1, keepdims=True)"),
        (lambda x: np.sum(x.T, axis=1), "np.sum(x, axis=0)"),
        (lambda x: np.sum(x) / x.size, "np.mean(x)"),
        (lambda x: np.sum(x, axis=1) * (1 / 3), "np.mean(x, axis=1)"),
        (lambda x: -np.sum(x) / x.size, "-np.mean(x)"),
        (lambda x: np.sum(x) + np.sum(x * 2), "np.sum(x + x * 2)"),
        (lambda x: (x @ x.T).T.T, "x @ x.T"),
        (lambda x: (x @ (x.T * 2)).T, "(x.T * 2).T @ x.T"),
        (lambda x: x.T.T * 1.5, "x * 1.5"),
        (lambda x: np.swapaxes(np.swapaxes(x, 0, 1), 0, 1) + 1, "x + 1"),
        (lambda x: np.sign(np.maximum(x, 0)) * x, "(x > 0) * x"),
        (lambda x: (x + 0.0) * 2, "x * 2"),
        (lambda x: np.expand_dims(x, 0).reshape(4, 3) - 1, "x - 1"),
        (lambda x: x[None][0] ** 2, "x ** 2"),
        (lambda x: np.concatenate([x, x[:0]]) * 3, "x * 3"),
        (lambda x: 1 / (1 + np.exp(-x)), "1 / (1 + np.exp(-x))"),
        (lambda x: -(x - (x - 1)) / 2, "-(x - (x - 1)) / 2"),
        (lambda x: (x * 2) @ x.T, "(x * 2) @ x.T"),
        (lambda x: (-x) ** 2, "(-x) ** 2"),
        (lambda x: (x > 0) & (x < 1), "(x > 0) & (x < 1)"),
        (lambda x: np.where(x > 0, x, 0.0), "np.where(x > 0, x, 0)"),
        (lambda x: x[..., 1:3:2] * np.pi, "x[..., 1:3:2] * np.pi"),
    ],
)
def test_a_line_reads_as_one_would_write_it(fn, expected):
    assert text(fn, X) == expected


def test_numbers_keep_the_precision_of_the_arrays_beside_them():
    step = rg.compile(lambda x: x * np.float32(0.1) + 2.0)
    x = X.astype(np.float32)
    result = step(x)
    out = run(step, (x,), given(step))
    assert out.dtype == result.dtype == np.float32
    np.testing.assert_array_equal(out, result.data)


def test_what_is_written_in_place_is_read_before_and_behind_that():
    w = rg.Tensor(np.ones(3))

    def fn(x):
        before = np.exp(w)
        with rg.no_grad():
            w[1:] += x[1:]
            w[0] = 5.0
        return before * 2 + w

    step = rg.compile(fn)
    x = np.arange(3.0)
    step(x)
    keywords = given(step)
    out = run(step, (x,), keywords)
    np.testing.assert_allclose(out, step(x).data)
    np.testing.assert_allclose(keywords["w"], w.data)


def test_a_sum_over_one_axis_names_that_axis():
    bias = rg.Tensor(np.zeros((1, 3)), requires_grad=True)

    @rg.compile
    def step(x):
        bias.grad = None
        np.sum((x + bias) ** 2).backward()

    step(np.ones((4, 3)))
    assert "axis=0, keepdims=True" in step.source
    assert "axis=(0,)" not in step.source
