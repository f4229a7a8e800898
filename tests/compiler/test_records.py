"""Dataclasses of arrays among arguments and results: each call may come with another one."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import functools
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from retrograd.compiler.records import flatten, flatten_as, flatten_results, kinds_of

X = np.arange(1.0, 4.0)


@dataclasses.dataclass
class Batch:
    x: Any
    y: Any
    weight: float = 1.0

    @property
    def both(self):
        return self.x + self.y

    def scaled(self):
        return self.x * self.weight


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: Any


@dataclasses.dataclass
class Counted:
    x: Any

    def __post_init__(self):
        self.count = len(self.x)


@dataclasses.dataclass
class State:
    h: Any


def run(wrap, fn, given):
    fn = wrap(fn)
    return [fn(*args).item() for args in given], fn


@pytest.mark.parametrize(
    ("fn", "given"),
    [
        (lambda b: np.sum(b.x * b.y) * b.weight, lambda i: Batch(X * i, X)),
        (lambda b: np.sum(b.both + b.scaled()), lambda i: Batch(rg.Tensor(X * i), X)),
        (lambda b: np.sum(b.x), lambda i: Frozen(X * i)),
        (lambda b: np.sum(b[0].x) * b[1]["k"].y.x, lambda i: [
            Frozen(X * i), {"k": Batch(X, Frozen(np.array(float(i))))}
        ]),
    ],
)  # fmt: skip
def test_another_dataclass_of_arrays_in_each_call_is_one_program(fn, given):
    calls = [(given(i),) for i in range(12)]
    expected, _ = run(lambda fn: fn, fn, calls)
    found, step = run(rg.compile, fn, calls)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert len(step.programs) == 1


def test_training_on_dataclasses():
    def make():
        net = rg.nn.Linear(3, 1, rng=0)
        optimizer = rg.optim.Adam(net.parameters(), lr=0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = np.mean((net(batch.x) - batch.y) ** 2) * batch.weight
            loss.backward()
            optimizer.step()
            return loss

        return step, net, optimizer

    rng = np.random.default_rng(0)
    batches = [Batch(rng.normal(size=(4, 3)), rng.normal(size=(4, 1))) for _ in range(12)]
    assert_compiled_agrees(make, [(batch,) for batch in batches])


def test_plain_fields_are_programs_of_their_own():
    step = rg.compile(lambda b: np.sum(b.scaled()))
    for number in range(12):
        weight = float(number // 4)
        assert step(Batch(X, X, weight)).item() == weight * 6
    assert len(step.programs) == 3


def test_the_class_of_a_dataclass_is_watched(monkeypatch):
    step = rg.compile(lambda b: np.sum(b.scaled()))
    for number in range(12):
        if number == 5:
            monkeypatch.setattr(Batch, "scaled", lambda self: self.x * 7)
        assert step(Batch(X * number, X)).item() == 6 * number * (7 if number >= 5 else 1)


def test_what_keeps_something_in_a_dataclass_goes_on_with_it():
    def assigned(x, state):
        state.h = np.tanh(state.h * 0.5 + x)
        return np.sum(state.h)

    def in_place(x, state):
        with rg.no_grad():
            state.h += x
        return np.sum(state.h)

    for fn in (assigned, in_place):
        results = []
        for wrap in (lambda fn: fn, rg.compile):
            state, step = State(rg.Tensor(np.zeros(3))), wrap(fn)
            losses = [step(X * i, state).item() for i in range(12)]
            results.append([*losses, *state.h.data])
        np.testing.assert_allclose(results[0], results[1], rtol=1e-12)
        assert len(step.programs) == 1


def test_what_can_be_made_again_of_its_fields_alone_is_a_node():
    nodes = [Batch(X, X), Frozen(X), Batch(Frozen(X), None)]
    leaves = [Batch(1.0, 2.0), Counted(X), State(rg.Parameter(X)), State({1}), Batch, 1.0]
    for value in nodes:
        found, structure = flatten([value], ())
        assert all(leaf is X or leaf == 1.0 for leaf in found)
        assert {*kinds_of(structure)} >= {type(value)}
        again = structure.unflatten(found)
        assert repr(again) == repr([value])
        assert flatten_as(again, structure)[1] == structure
        assert flatten([value], {type(value)})[0] == [value]
    for value in leaves:
        assert flatten([value], ())[0] == [value]
    changed = Batch(X, X)
    changed.more = 1
    assert flatten_as(changed, flatten(Batch(X, X), ())[1])[1] != flatten(Batch(X, X), ())[1]


def test_dataclasses_are_results():
    net = rg.nn.Linear(3, 1, rng=0)

    def predict(x):
        out = net(x)
        return Batch(out, [np.sum(out)])

    step = rg.compile(predict)
    for number in range(12):
        found, expected = step(rg.Tensor(X * number)), predict(rg.Tensor(X * number))
        assert type(found) is Batch
        np.testing.assert_allclose(found.x.data, expected.x.data, rtol=1e-12)
        net.zero_grad()
        found.y[0].backward()
        np.testing.assert_allclose(net.weight.grad, [X * number], rtol=1e-12)
    with rg.no_grad():
        assert not step(X).x.requires_grad
    assert flatten_results(Batch(1, 2))[0] == [Batch(1, 2)]


class Result:
    pass


def in_an_object(x):
    made = Result()
    made.loss = np.sum(x)
    return made


HIDDEN = {
    "object": in_an_object,
    "set": lambda x: {np.sum(x)},
    "queue": lambda x: collections.deque([np.sum(x)]),
    "function": lambda x: functools.partial(np.add, np.sum(x)),
    "generator": lambda x: (np.sum(x) * n for n in (1, 2)),
    "time": lambda x: (np.sum(x), datetime.datetime.now()),
}


@pytest.mark.parametrize("name", [*HIDDEN])
def test_results_that_would_be_those_of_the_first_run_are_refused(name):
    step = rg.compile(HIDDEN[name])
    step(X)
    with pytest.raises(rg.TraceError, match="Return Tensors, in dicts, lists, tuples or dataclas"):
        step(X)


def test_other_results_are_given_as_they_are():
    day = datetime.date(2020, 1, 1)
    kept = Result()

    def fn(x):
        return np.sum(x), day.replace(year=2021), {1, 2}, collections.deque([1]), kept, Batch(1, 2)

    step = rg.compile(fn)
    for _ in range(12):
        assert step(X)[1:] == fn(X)[1:]
