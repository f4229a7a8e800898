"""How NumPy takes errors in values, set inside a compiled function: programs do as it does."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy import errstate

import retrograd as rg
from retrograd.compiler import TraceError

GOOD, BAD, ZERO = np.array([1.0, 2.0]), np.array([0.0, -1.0]), np.array([0.0, 1.0])


def by_attribute(x):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x) * 2


def by_name(x):
    with errstate(all="ignore"):
        return np.log(x) * 2


def helped(x):
    return by_attribute(x) + 1


@np.errstate(all="ignore")
def decorated(x):
    return np.log(x) * 2


def warns_though_none_is_wanted_outside(x):
    with np.errstate(all="warn"):
        return np.log(x) * 2


@pytest.mark.parametrize("fn", [by_attribute, by_name, helped, decorated])
@pytest.mark.parametrize("trains", [False, True])
def test_errors_that_a_function_ignores_are_ignored_by_its_program(fn, trains):
    w = rg.Parameter(np.ones(2))
    compiled = rg.compile((lambda x: fn(w * x)) if trains else fn)
    for _ in range(12):
        found = compiled(rg.Tensor(GOOD))
        if trains:
            np.sum(found).backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compiled(rg.Tensor(BAD))
        if trains:
            w.grad = None
            found.backward(np.ones(2))
            np.testing.assert_array_equal(w.grad, [np.nan, 2.0])
        np.testing.assert_array_equal(found.detach().data, fn(rg.Tensor(BAD)).data)


def test_errors_that_a_function_warns_of_are_warned_of():
    compiled = rg.compile(warns_though_none_is_wanted_outside)
    with np.errstate(all="ignore"):
        for _ in range(5):
            compiled(GOOD)
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            compiled(ZERO)


def test_errors_that_a_function_ignores_are_warned_of_elsewhere():
    by_attribute(rg.Tensor(GOOD))
    compiled = rg.compile(lambda x: np.log(x))
    for _ in range(5):
        compiled(GOOD)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        compiled(ZERO)


def test_errors_that_are_to_be_raised_inside_are_refused_with_what_to_write():
    def guarded(x):
        try:
            with np.errstate(all="raise"):
                return np.log(x)
        except FloatingPointError:
            return x * 0

    with pytest.raises(TraceError, match=r"np\.errstate\(divide='raise'\) inside.*around the call"):
        rg.compile(guarded)(GOOD)


def test_errors_that_are_to_be_raised_around_a_call_are():
    compiled = rg.compile(lambda x: np.log(x))
    for _ in range(5):
        compiled(GOOD)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        compiled(BAD)
