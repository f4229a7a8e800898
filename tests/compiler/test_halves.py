"""A program run in two halves gives what it gives as a whole."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.halves import Halves

X, SEED = np.arange(1.0, 4.0), np.array([1.0, 10.0, 100.0])


def program(fn, *arrays):
    """Return the program of a function after its checks."""
    compiled = rg.compile(fn)
    for _ in range(3):
        compiled(*arrays)
    return compiled.programs[0]


def result_and_gradient(x, g):
    e = np.exp(x)
    return e, e * g


def test_the_halves_give_results_and_then_gradients():
    halves = Halves.split(program(result_and_gradient, X, SEED), 1, 1)
    first, second = halves.start([X]), halves.start([-X])
    np.testing.assert_allclose(first.results[0], np.exp(X))
    np.testing.assert_allclose(second.results[0], np.exp(-X))
    np.testing.assert_allclose(first.finish([SEED])[0], np.exp(X) * SEED)
    np.testing.assert_allclose(second.finish([SEED])[0], np.exp(-X) * SEED)
    assert first.finish([SEED]) is None


def test_buffers_serve_the_next_call_once_a_call_is_over():
    halves = Halves.split(program(result_and_gradient, X, SEED), 1, 1)
    for _ in range(5):
        halves.start([X]).finish([SEED])
        halves.start([X])  # and nobody asks for the gradient
    assert len(halves.free) == 1
    runs = [halves.start([X]) for _ in range(3)]
    assert not halves.free
    del runs
    assert len(halves.free) == 3


def test_a_program_whose_first_results_need_the_rest_has_no_halves():
    assert Halves.split(program(lambda x, g: (x * g, x), X, SEED), 1, 1) is None


def test_a_failure_says_in_which_statement_of_either_half():
    halves = Halves.split(program(lambda x, g: (1 / x, g / x), X, SEED), 1, 1)
    with np.errstate(all="raise"):
        with pytest.raises(FloatingPointError) as failed:
            halves.start([X * 0])
        assert "np.divide" in str(failed.value.__notes__)
        with pytest.raises(FloatingPointError) as failed:
            halves.start([X / 10]).finish([np.full(3, np.finfo(float).max)])
        assert "np.divide" in str(failed.value.__notes__)


def test_what_only_the_backward_pass_reads_is_watched_too():
    config = {"limit": 1.0, "other": 0}

    class Clipped(rg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1.0

        @staticmethod
        def backward(ctx, g):
            return np.clip(g, -config["limit"], config["limit"])

    w = rg.Parameter(np.ones(3))
    twin = rg.Parameter(np.ones(3))
    fast = rg.compile(lambda x: Clipped.apply(w * x))
    for i in range(30):
        x = rg.Tensor(np.arange(3.0) + i % 3)
        config["limit"] = 1.0 if i < 9 else 0.25 if i < 20 else 3.0
        for p, out in ((w, fast(x)), (twin, Clipped.apply(twin * x))):
            p.grad = None
            np.sum(out * 2).backward()
        np.testing.assert_allclose(w.grad, twin.grad)
