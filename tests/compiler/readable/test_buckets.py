"""Updates read as textbooks write them, parameter by parameter."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from compiler.readable.replay import statements, worst_difference

X = np.random.default_rng(0).normal(size=(4, 3))


def made(make, count):
    rng = np.random.default_rng(1)
    params = [rg.Tensor(rng.normal(size=(3, k + 1)), requires_grad=True) for k in range(count)]
    optimizer = make(params)

    @rg.compile
    def step(x):
        loss = sum(np.sum((x @ p) ** 2) for p in params)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step(X)
    return step


def updates(step):
    return [row.text for row in step.readable().rows if row.section == "update"]


def test_gradient_descent_is_one_line_a_parameter():
    step = made(lambda p: rg.optim.SGD(p, lr=0.01), 2)
    assert updates(step) == ["params_0 -= lr * d_params_0", "params_1 -= lr * d_params_1"] or all(
        " -= lr * " in text for text in updates(step)
    )
    assert len(updates(step)) == 2


def test_momentum_and_adam_of_many_parameters_are_a_loop_over_them():
    step = made(lambda p: rg.optim.SGD(p, lr=0.01, momentum=0.9), 4)
    texts = updates(step)
    assert texts[-3:] == ["velocity *= momentum", "velocity += dw", "w -= lr * velocity"]
    step = made(lambda p: rg.optim.Adam(p, lr=0.01), 4)
    texts = updates(step)
    assert texts[:2] == ["updates += 1", "t = int(updates)"]
    assert "m *= beta1" in texts
    assert "m += (1 - beta1) * dw" in texts
    assert "v *= 0.999" in texts
    assert sum(text.strip().startswith("(") for text in texts) == 4


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize(
    "make",
    [
        lambda p: rg.optim.SGD(p, lr=0.001, momentum=0.9, nesterov=True, weight_decay=0.1),
        lambda p: rg.optim.Adam(p, lr=0.01, amsgrad=True),
        lambda p: rg.optim.NAdam(p, lr=0.01),
        lambda p: rg.optim.RMSprop(p, lr=0.01, centered=True),
        lambda p: rg.optim.Adam([{"params": p[:1]}, {"params": p[1:], "lr": 0.1}] if p[1:] else p),
    ],
    ids=["sgd", "adam", "nadam", "rmsprop", "groups"],
)
def test_optimizers_do_what_they_do_in_the_fast_program(make, count):
    step = made(make, count)
    step(X)
    assert worst_difference(step, [(X,)] * 3) < 1e-9
    assert not any("params" in text.split() for text in statements(step))


def test_a_loop_over_parameters_says_once_where_it_comes_from_and_no_shape_of_one_of_them():
    step = made(lambda p: rg.optim.SGD(p, lr=0.01, momentum=0.9), 4)
    rows = [row for row in step.readable().rows if row.section == "update"]
    heads = [row for row in rows if row.dtype is None]
    assert len(heads) > 2
    assert {row.shape for row in rows} == {None}
    assert {row.origin.text for row in rows} == {"optimizer.step()"}
    told = ["#" in line for line in step.source.partition("# update")[2].splitlines()[1:-1]]
    assert told == [True, *[False] * (len(heads) - 1), *[True] * (len(rows) - len(heads))]
