"""What a run changes outside, or of its arguments, and a program would not: refused by name."""

from __future__ import annotations

import collections
import types

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees

X = np.array([1.0, 2.0, 3.0])

total = 0
history: list[float] = []
state = {"h": 0.0, "deep": {"n": 0}}
scratch = np.zeros(3)


class Keeper:
    count = 0

    def __init__(self):
        self.seen, self.inner, self.out = [], types.SimpleNamespace(n=0, items={}), None
        self.scratch = np.zeros(3)

    def counts(self, x):
        self.count += 1
        return np.sum(x)

    def counts_within(self, x):
        self.inner.n += 1
        return np.sum(x)

    def fills(self, x):
        self.inner.items[len(self.inner.items)] = 1
        return np.sum(x)

    def writes(self, x):
        self.scratch[0] += 1
        return np.sum(x)

    def by_alias(self, x):
        inner = self.inner
        inner.n = inner.n + 1
        return np.sum(x)

    def by_setattr(self, x):
        setattr(self, "count", self.count + 1)  # noqa: B010
        return np.sum(x)

    def by_helper(self, x):
        note(self.seen)
        return np.sum(x)


class Layer(rg.nn.Module):
    def __init__(self):
        self.seen, self.out, self.n = [], None, 0

    def forward(self, x):
        self.seen.append(1)
        return x * 2


def note(items):
    items.append(1)


def note_global():
    note(history)


def counts_globally(x):
    global total
    total += 1
    return np.sum(x)


def appends_in_a_helper(x):
    note_global()
    return np.sum(x)


def sets_an_entry(x):
    state["h"] += 2.0
    return np.sum(x)


def sets_a_deep_entry(x):
    state["deep"]["n"] += 1
    return np.sum(x)


def writes_where_nobody_reads(x):
    scratch[1] += 1
    return np.sum(x)


def changing():
    """Return functions by what they change, each with the name that the refusal must say."""
    keeper, layer, cells, queue = Keeper(), Layer(), [np.zeros(2)], collections.deque()
    chosen, counts, number = set(), collections.Counter(), 0
    nested = rg.nn.Sequential(Layer(), rg.nn.Tanh())

    def counts_in_a_cell(x):
        nonlocal number
        number += 1
        return np.sum(x)

    def adds(x):
        chosen.add(len(chosen))
        return np.sum(x)

    def tallies(x):
        counts["runs"] += 1
        return np.sum(x)

    def rotates(x):
        queue.append(1)
        return np.sum(x)

    def writes_in_a_list(x):
        cells[0][:] += 1
        return np.sum(x)

    def pops(x):
        state["deep"].setdefault("all", [3.0]).append(1.0)
        return np.sum(x)

    return {
        "global number": (counts_globally, "total"),
        "list in a helper": (appends_in_a_helper, "history"),
        "dict entry": (sets_an_entry, "state"),
        "deep dict entry": (sets_a_deep_entry, 'state["deep"]'),
        "array nobody reads": (writes_where_nobody_reads, "scratch"),
        "cell": (counts_in_a_cell, "number"),
        "set": (adds, "chosen"),
        "Counter": (tallies, "counts"),
        "deque": (rotates, "queue"),
        "array in a list": (writes_in_a_list, "cells[0]"),
        "list in a dict": (pops, 'state["deep"]["all"]'),
        "attribute": (keeper.counts, "self.count"),
        "attribute of an attribute": (keeper.counts_within, "self.inner.n"),
        "dict of an attribute": (keeper.fills, "self.inner.items"),
        "array of an attribute": (keeper.writes, "self.scratch"),
        "alias": (keeper.by_alias, "self.inner.n"),
        "setattr": (keeper.by_setattr, "self.count"),
        "list in a helper's hands": (keeper.by_helper, "self.seen"),
        "list of a Module": (lambda x: np.sum(layer(x)), "layer.seen"),
        "list of a Module inside": (lambda x: np.sum(nested(x)), "nested.0.seen"),
    }


@pytest.fixture(autouse=True)
def _globals_as_they_were():
    yield
    globals().update(total=0, history=[], scratch=np.zeros(3))
    state.update(h=0.0, deep={"n": 0})


@pytest.mark.parametrize("what", [*changing()])
def test_a_change_outside_is_refused_by_name_at_the_first_call(what):
    fn, name = changing()[what]
    with pytest.raises(rg.TraceError) as refusal:
        rg.compile(fn)(X)
    assert f"changes {name!r} outside" in str(refusal.value)


def add_to_dict(x, batch):
    batch["h"] = batch["h"] + x
    return np.sum(batch["h"])


def add_to_list(x, batch):
    batch["all"].append(x)
    return np.sum(x)


def take_from_dict(x, batch):
    return np.sum(x * batch.pop("h"))


def swap(x, batch):
    batch["h"], batch["g"] = batch["g"], batch["h"]
    return np.sum(x * batch["h"])


@pytest.mark.parametrize("fn", [add_to_dict, add_to_list, take_from_dict, swap])
def test_a_change_of_a_dict_or_list_that_is_an_argument_is_refused(fn):
    batch = {"h": np.zeros(3), "g": np.ones(3), "all": [np.ones(3)]}
    with pytest.raises(rg.TraceError, match="changes its argument 'batch"):
        rg.compile(fn)(X, batch)
    assert batch["all"][0].tolist() == [1.0] * 3
    assert [*batch] == ["h", "g", "all"]


def add_in_place(x):
    x += 1
    return np.sum(x)


def add_to_a_row(x):
    row = x[1:]
    row *= 2
    return np.sum(x)


def add_without_grad(x):
    with rg.no_grad():
        x -= 1
    return np.sum(x)


def set_an_item(x):
    x[0] = 1
    return np.sum(x)


@pytest.mark.parametrize("fn", [add_in_place, add_to_a_row, add_without_grad, set_an_item])
def test_a_write_into_an_array_that_is_an_argument_is_refused(fn):
    x = X.copy()
    with pytest.raises(
        (rg.TraceError, TypeError), match=r"(?i)write x = x|return the new|np.where"
    ):
        rg.compile(fn)(x)
    np.testing.assert_array_equal(x, X)


def test_a_Tensor_that_is_an_argument_is_not_changed_by_an_update_of_its_name():
    step = rg.compile(add_in_place)
    x = rg.Tensor(X)
    assert [step(x).item() for _ in range(5)] == [9.0] * 5
    assert add_in_place(x).item() == 9.0
    np.testing.assert_array_equal(x.data, X)


def test_what_a_run_makes_itself_may_change():
    @rg.compile
    def step(x):
        parts, known, box = [], {}, types.SimpleNamespace(n=0)
        for i in range(3):
            parts.append(x * i)
            known[i] = parts[-1]
            box.n += 1
        y = known[2]
        y += parts[1]
        return np.sum(y) * box.n

    assert [step(X).item() for _ in range(5)] == [54.0] * 5


class Remembering:
    """Fills tables once, sets attributes to what they are anyway."""

    def __init__(self):
        self.tables, self.rows, self.ready, self.scale = {}, None, False, 1.0

    def step(self, x):
        self.rows = len(x)
        self.parts = [1.0, 2.0]
        if not self.ready:
            self.ready = True
            self.tables["a"] = np.ones(3)
        self.buffer = np.zeros(3)
        self.scale = self.scale * 1.0
        return np.sum(x * self.tables["a"] * self.parts[1] + self.buffer)


def test_what_is_filled_once_or_set_to_what_it_is_makes_one_program():
    step = rg.compile(Remembering().step)
    assert [step(X).item() for _ in range(40)] == [12.0] * 40
    assert len(step.programs) == 1


def test_a_refused_call_puts_back_what_it_had_updated():
    w = rg.Parameter([1.0, 1.0, 1.0])
    optimizer = rg.optim.Adam([w], lr=0.1)

    @rg.compile
    def step(x):
        loss = np.sum(w * x)
        loss.backward()
        optimizer.step()
        history.append(1)
        return loss

    with pytest.raises(rg.TraceError, match="history"):
        step(X)
    np.testing.assert_array_equal(w.data, np.ones(3))
    assert w.grad is None
    assert optimizer.state_dict()["state"] == {}


def setting_attributes():
    net, long = rg.nn.Sequential(rg.nn.Linear(3, 1, rng=0), rg.nn.Tanh()), [0] * 30_000
    table = dict.fromkeys(range(30_000), 0)

    def counted(x):
        net.calls = getattr(net, "calls", 0) + 1
        return np.sum(net(x))

    def by_name(x):
        setattr(net[1], "calls", getattr(net[1], "calls", 0) + 1)  # noqa: B010
        return np.sum(net(x))

    def entry_of_a_long_list(x):
        long[5] += 1
        return np.sum(x)

    def entry_of_a_long_dict(x):
        table[5] += 1
        return np.sum(x)

    return {
        "net.calls": counted, "net.1.calls": by_name,
        "long": entry_of_a_long_list, "table": entry_of_a_long_dict,
    }  # fmt: skip


@pytest.mark.parametrize("name", [*setting_attributes()])
def test_what_it_sets_in_modules_of_the_library_and_in_long_containers_is_refused(name):
    step = rg.compile(setting_attributes()[name])
    with pytest.raises(rg.TraceError, match=rf"changes '{name}' outside"):
        [step(rg.Tensor(X)) for _ in range(2)]


def test_what_modules_of_the_library_set_themselves_is_done():
    def make():
        net = rg.nn.Sequential(rg.nn.Linear(3, 2, rng=0), rg.nn.BatchNorm1d(2))

        def step(x):
            return np.sum(net(x) ** 2)

        return step, net

    rng = np.random.default_rng(0)
    assert_compiled_agrees(make, [(rng.normal(size=(4, 3)),) for _ in range(9)])
