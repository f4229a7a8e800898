"""Equal parts of a program as loops, which compute what the parts do."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from compiler.readable.replay import given, run, statements, worst_difference

RNG = np.random.default_rng(1)


def heads(step):
    return [text for text in statements(step) if text.startswith("for ")]


def recurrence(x):
    h = np.zeros(x.shape[1])
    for t in range(len(x)):
        h = np.tanh(h * 0.5 + x[t])
    return h


def backwards(x):
    h = x[0] * 0.0
    for t in range(len(x) - 1, -1, -1):
        h = np.tanh(h + x[t])
    return h


def all_states(x):
    h, states = x[0], []
    for t in range(len(x)):
        h = np.sin(h) * x[t]
        states.append(h)
    return np.concatenate(states) + np.concatenate(states[::-1])


def two_before(x):
    a = b = x[0]
    for t in range(len(x)):
        a, b = np.cos(b) + x[t], a
    return a * b


def pairs(x):
    total = np.sum(x[0] * 0.0)
    for t in range(len(x) - 1):
        total = total + np.sum(np.exp(x[t] * x[t + 1]))
    return total


def powers(x):
    y = x[0]
    for _ in range(6):
        y = np.cos(y * y + 1)
    return y


FUNCTIONS = {f.__name__: f for f in (recurrence, backwards, all_states, two_before, pairs, powers)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_loop_computes_what_its_turns_do(name):
    step = rg.compile(FUNCTIONS[name])
    x = RNG.normal(size=(8, 3))
    for _ in range(4):
        step(x)
    np.testing.assert_allclose(run(step, (x,), given(step)), step(x).data, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("recurrence", "for t in range(1, 8):"),
        ("backwards", "for t in reversed(range(7)):"),
        ("all_states", "for t in range(8):"),
        ("pairs", "for t in range(1, 7):"),
        ("powers", "for _ in range(6):"),
    ],
)
def test_a_loop_of_the_user_is_one_in_the_program(name, head):
    step = rg.compile(FUNCTIONS[name])
    step(RNG.normal(size=(8, 3)))
    assert heads(step) == [head]
    assert len(statements(step)) < 10


def test_what_a_loop_made_is_collected_for_the_backward_pass():
    rg.manual_seed(0)
    w = rg.Tensor(RNG.normal(size=(3, 3)), requires_grad=True)
    optimizer = rg.optim.SGD([w], lr=0.1)

    @rg.compile
    def step(x):
        h = np.zeros((x.shape[1], 3))
        for t in range(12):
            h = np.tanh(x[t] + h @ w)
        loss = np.sum(h * h)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x = RNG.normal(size=(12, 4, 3))
    step(x)
    forward, backward = heads(step)
    assert forward.startswith("for t in range(")
    assert backward.startswith("for t in reversed(range(")
    assert any(".append(" in text for text in statements(step))
    assert worst_difference(step, [(x,)] * 4) < 1e-12


def test_rows_in_a_loop_say_how_often_they_run():
    step = rg.compile(recurrence)
    step(RNG.normal(size=(8, 3)))
    inside = [row for row in step.readable().rows if row.depth == 2]
    assert inside
    assert {row.times for row in inside} == {7}


def test_layers_with_parameters_of_their_own_are_no_loop():
    rg.manual_seed(0)
    model = rg.compile(rg.nn.Sequential(*(rg.nn.Linear(3, 3) for _ in range(5))))
    x = RNG.normal(size=(4, 3))
    with rg.no_grad():
        model(x)
    assert heads(model) == []
    assert statements(model)[0] == "linear0 = input @ linear0_weight.T + linear0_bias"
