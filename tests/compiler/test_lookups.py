"""Samples looked up in NumPy arrays outside, by an index that is an argument."""

from __future__ import annotations

import types

import numpy as np
import pytest

import retrograd as rg

DATA = np.random.default_rng(0)
INPUTS, TARGETS = DATA.normal(size=(9, 2)), DATA.integers(0, 5, 9)
store = types.SimpleNamespace(inputs=INPUTS)
BATCHES = [(np.array(batch),) for batch in ([0, 1], [0, 1], [2, 3], [4, 5], [8, 0], [7, 7], [1, 2])]


def by_closure():
    inputs, w = INPUTS.copy(), rg.Parameter([1.0, 2.0])

    def step(index):
        w.grad = None
        loss = np.mean((inputs[index] @ w - TARGETS[index]) ** 2)
        loss.backward()
        return loss

    return step, w


def by_attribute():
    w = rg.Parameter([1.0, 2.0])
    return lambda index: np.sum(store.inputs[index] * w), w


def by_variable():
    w = rg.Parameter([1.0, 2.0])

    def step(index):
        batch = INPUTS[index]
        return np.sum(batch * w) + np.sum(w / (batch * w))

    return step, w


def by_a_computed_index():
    w = rg.Parameter([1.0, 2.0])

    def step(index):
        other = (index + 1) % 9
        return np.sum(INPUTS[other] * w) - np.sum(INPUTS[index] * w)

    return step, w


@pytest.mark.parametrize("make", [by_closure, by_attribute, by_variable, by_a_computed_index])
def test_samples_of_an_array_outside_are_those_of_each_index(make):
    fn, w = make()
    compiled, other = make()
    compiled = rg.compile(compiled)
    for (batch,) in BATCHES:
        np.testing.assert_allclose(compiled(batch).data, fn(batch).data)
        if w.grad is not None:
            np.testing.assert_allclose(other.grad, w.grad)
    assert len(compiled.programs) == 1


def test_what_is_written_into_the_array_later_is_seen():
    inputs = INPUTS.copy()
    step = rg.compile(lambda index: np.sum(rg.Tensor([1.0, 2.0]) * inputs[index]))
    for (batch,) in BATCHES:
        inputs[0] += 1
        np.testing.assert_allclose(step(batch).item(), np.sum(inputs[batch] * [1.0, 2.0]))


def computed(index):
    return np.sum(rg.Tensor(INPUTS[index] * 2.0))


def summed(index):
    return np.sum(rg.Tensor([1.0])) * float(INPUTS[index].sum())


def in_two_axes(index):
    return np.sum(rg.Tensor([1.0]) * INPUTS[index, 0])


@pytest.mark.parametrize("fn", [computed, summed, in_two_axes])
def test_what_cannot_be_followed_is_refused_with_the_cure(fn):
    with pytest.raises(rg.TraceError, match=r"X = rg.Tensor\(X\)") as refusal:
        rg.compile(fn)(np.array([0, 1]))
    assert __file__ in str(refusal.value)


def test_what_numpy_computes_of_the_samples_by_itself_is_found_to_differ():
    def step(index):
        batch = INPUTS[index]
        return np.sum(batch * rg.Tensor([1.0, 2.0])) + np.sum(batch)

    compiled = rg.compile(step)
    compiled(np.array([0, 1]))
    with pytest.raises(rg.TraceError, match=r"the second run called np\.add"):
        compiled(np.array([2, 3]))


def test_lookups_in_two_arrays_of_equal_values_are_refused():
    same = INPUTS.copy()

    def step(index):
        w = rg.Tensor([1.0, 2.0])
        first, second = INPUTS[index], same[index]
        return w * first + w * second

    with pytest.raises(rg.TraceError, match="one of two arrays"):
        rg.compile(step)(np.array([0, 1]))
