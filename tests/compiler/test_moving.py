"""Values for checks: near those given, in their ranges, and all put back."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.moving import DISTANCES, Move, State, Trial

FAR = DISTANCES[0][0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_keep_their_signs_and_stay_in_their_range(dtype):
    x = np.array([0.0, 1.0, -1.0, 0.5, 1.0, 0.0], dtype)
    out = Move(FAR).array(x)
    assert out.dtype == dtype
    assert (out != x).all()
    assert ((out >= 0) == (x >= 0)).all()
    assert (np.abs(out) <= 1).all()
    assert len(np.unique(out)) == 6  # equal values become unequal ones


def test_what_is_not_finite_stays():
    x = np.array([np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(Move(FAR).array(x), x)


def test_whole_numbers_and_masks_change_places():
    assert Move(FAR, True).array(np.array([1, 2, 3])).tolist() == [3, 1, 2]
    assert Move(FAR, True).array(np.array([[1, 2], [1, 2]])).tolist() == [[2, 1], [2, 1]]
    assert Move(FAR, True).array(np.array([True, False])).tolist() == [False, True]
    assert Move(FAR).array(np.array([1, 2, 3])).tolist() == [1, 2, 3]
    assert Move(FAR, True).array(np.array(3)).tolist() == 3


def test_a_move_keeps_the_order_in_memory_and_the_array_given():
    x = np.arange(6.0).reshape(2, 3).T
    out = Move(FAR).array(x)
    assert out.strides == x.strides
    assert x.tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


def test_equal_seeds_move_alike_with_an_error_on_top():
    x = np.arange(1.0, 10000.0)
    near = Move(FAR, seed=3).array(x)
    np.testing.assert_array_equal(Move(FAR, seed=3).array(x), near)
    errors = [Move(FAR, seed=3, jitter=1e-9, again=k).array(x) / near - 1 for k in (1, 2)]
    assert all(0 < np.abs(e).max() < 1.1e-9 for e in errors)
    assert (errors[0] != errors[1]).any()


def trained():
    net = rg.nn.Linear(3, 2, rng=0)
    optimizer = rg.optim.Adam(net.parameters(), lr=0.1)

    @rg.compile
    def step(x):
        optimizer.zero_grad()
        loss = np.sum(rg.nn.functional.dropout(net(x), 0.5) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return step, net, optimizer


def test_what_a_step_trains_is_moved_and_put_back():
    step, net, optimizer = trained()
    x = np.ones((4, 3))
    step(x)
    (ready,) = step.programs
    before = net.weight.data.copy(), optimizer.state_dict()["state"][0]["step"]
    grad, draws = net.weight.grad.copy(), rg.random.generator().bit_generator.state
    state = State(ready)
    trial = Trial(ready, state, [x], *DISTANCES[0])
    (given,) = trial.begin()
    assert (given != x).all()
    assert (net.weight.data != before[0]).all()
    ready([given])
    assert optimizer.state_dict()["state"][0]["step"] == before[1] + 1
    state.put_back()
    np.testing.assert_array_equal(net.weight.data, before[0])
    np.testing.assert_array_equal(net.weight.grad, grad)
    assert optimizer.state_dict()["state"][0]["step"] == before[1]
    assert rg.random.generator().bit_generator.state == draws


def test_an_argument_that_requires_grad_gets_a_stand_in():
    step = rg.compile(lambda w: np.sum(w * w).backward())
    w = rg.Tensor(np.ones(2), requires_grad=True)
    step(w)
    (ready,) = step.programs
    kept = w.grad.copy()
    (given,) = Trial(ready, State(ready), [w], FAR, False).begin()
    assert given is not w
    assert given.requires_grad
    assert not np.shares_memory(given.grad, w.grad)
    np.testing.assert_array_equal(w.grad, kept)
