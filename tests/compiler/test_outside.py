"""What a step changes outside: seen, or refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.changes import look_around
from retrograd.compiler.outside import surroundings

X = np.arange(1.0, 4.0)


class Meter:
    def __init__(self):
        self.count, self.seen = 0, []

    def counted(self, x):
        self.count += 1
        return np.sum(x)


class Noting(rg.nn.Module):
    def __init__(self):
        self.all = []

    def forward(self, x):
        self.all.append(1)
        return x * 2


def changing():
    meter, net, counts = Meter(), Noting(), {"n": 0}
    w = rg.Parameter([1.0])
    optimizer = rg.optim.SGD([w], lr=0.1)
    schedule = rg.optim.lr_scheduler.StepLR(optimizer, 1)

    def count(x):
        meter.count += 1
        return np.sum(x)

    def append(x):
        meter.seen.append(1)
        return np.sum(x)

    def item(x):
        counts["n"] += 1
        return np.sum(x)

    def step(x, then):
        optimizer.zero_grad()
        loss = np.sum(w * w * x)
        loss.backward()
        optimizer.step()
        then()
        return loss

    def halve():
        optimizer.param_groups[0]["lr"] *= 0.5

    other = rg.nn.Linear(1, 1)
    return {
        "attribute": count,
        "list": append,
        "dict": item,
        "method": meter.counted,
        "module": lambda x: net(x),
        "lr": lambda x: step(x, halve),
        "schedule": lambda x: step(x, schedule.step),
        "init": lambda x: step(x, lambda: rg.nn.init.zeros_(w)),
        "load": lambda x: step(x, lambda: other.load_state_dict(other.state_dict())),
        "vector": lambda x: step(x, lambda: rg.nn.utils.vector_to_parameters(np.ones(1), [w])),
    }


@pytest.mark.parametrize("what", [*changing()])
def test_a_change_outside_is_refused_by_the_second_call(what):
    step = rg.compile(changing()[what])

    def twice():
        step(np.ones(1))
        step(np.ones(1))

    with pytest.raises(rg.TraceError):
        twice()


class Cached(rg.nn.Module):
    """Fills a cache, and resets a list, in forward."""

    def __init__(self):
        self.cache, self.losses = {}, []

    def forward(self, x):
        self.losses = []
        if x.shape not in self.cache:
            self.cache[x.shape] = np.arange(float(x.size))
        self.losses.append(1)
        return np.sum(x * self.cache[x.shape])


class Lazy:
    """Computes a table when it is first asked, and keeps tensors by what they belong to."""

    table = None

    def __init__(self):
        self.state, self.size = {}, 0

    def step(self, x):
        self.size = len(x)
        if self.table is None:
            self.table = np.arange(3.0)
        if "x" not in self.state:
            self.state["x"] = np.ones(3)
        LOG.debug("step of %d", self.size)
        return np.sum(x * self.table * self.state["x"])


LOG = logging.getLogger(__name__)


@pytest.mark.parametrize("make", [Cached, lambda: Lazy().step])
def test_what_is_filled_once_is_no_change(make):
    step = rg.compile(make())
    assert [step(np.ones(3)).item() for _ in range(5)] == [3.0] * 5


def test_a_step_that_is_recorded_twice_is_done_once():
    cache = {}
    w = rg.Parameter([1.0])
    optimizer = rg.optim.Adam([w], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = np.sum(w * w * cache.setdefault(x.shape, np.ones(1)) * rg.nn.functional.dropout(x))
        loss.backward()
        optimizer.step()
        return loss

    compiled = rg.compile(step)
    rg.manual_seed(0)
    losses = [compiled(np.ones(1)).item() for _ in range(4)]
    assert optimizer.state_dict()["state"][0]["step"] == 4
    after, w.data = w.data, np.ones(1)
    optimizer = rg.optim.Adam([w], lr=0.1)
    rg.manual_seed(0)
    assert losses == pytest.approx([step(np.ones(1)).item() for _ in range(4)])
    np.testing.assert_allclose(w.data, after)


def test_a_refused_first_call_leaves_all_as_it_was():
    w, seen = rg.Parameter([1.0]), []
    optimizer = rg.optim.SGD([w], lr=0.1, momentum=0.9)

    def step(x):
        loss = np.sum(w * x)
        loss.backward()
        optimizer.step()
        seen.append(1)
        return loss

    with pytest.raises(rg.TraceError, match="changes 'seen' outside"):
        rg.compile(step)(np.ones(1))
    assert w.data[0] == 1.0
    assert w.grad is None


def test_changing_what_is_outside_is_refused():
    seen = []
    count = 0

    @rg.compile
    def appends(x):
        seen.append(1)
        return x * 2

    @rg.compile
    def counts(x):
        nonlocal count
        count += 1
        return x * 2

    with pytest.raises(rg.TraceError, match="'seen'"):
        appends(X)
    with pytest.raises(rg.TraceError, match="'count'"):
        counts(X)


# Looking around ----------------------------------------------------------------------------------

TABLE = {"n": 0}


def test_surroundings_are_what_a_function_names_outside():
    local = [1]
    found = surroundings(lambda: (TABLE, local, len))
    assert found == {"TABLE": TABLE, "local": local}
    assert surroundings(len) == {}
    assert surroundings(lambda: unset) == {}
    unset = 1  # a name that has no value yet is no surroundings


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda: None, ""),
        (lambda: TABLE.update(n=1), "TABLE"),
        (lambda: TABLE.update(new=1), "TABLE"),
    ],
)
def test_a_change_is_named(change, name):
    fn = lambda: TABLE  # noqa: E731
    TABLE.clear()
    TABLE["n"] = 0
    before = look_around(fn)
    change()
    assert [found.name for found in before.find_changes()] == ([name] if name else [])


def test_a_change_of_an_attribute_is_named_by_it():
    meter = Meter()
    before = look_around(meter.counted)
    meter.counted(X)
    assert [found.name for found in before.find_changes()] == ["self.count"]
