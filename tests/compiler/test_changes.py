"""What changes around a compiled step between its runs, or by it: seen, or refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees

# Gradients that no buffer holds ------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        lambda w, x: np.sum(w * x[0]),
        lambda w, x: np.sum(w * x.T[0]),
        lambda w, x: w @ x[1],
        lambda w, x: np.sum(w * x[0].reshape(2)) + w[0] * 0,
    ],
)
def test_a_gradient_may_be_an_argument_or_a_part_of_one(loss):
    def make():
        w = rg.Tensor([1.0, 1.0], requires_grad=True)

        def step(x):
            w.grad = None
            out = loss(w, x)
            out.backward()
            return out

        return step, w

    rng = np.random.default_rng(0)
    assert_compiled_agrees(make, [(rng.normal(size=(2, 2)),) for _ in range(6)])


def test_the_gradient_of_an_argument_may_be_another_argument():
    step = rg.compile(lambda w, x: np.sum(w * x).backward())
    for i in range(5):
        w, x = rg.Tensor([1.0, 2.0], requires_grad=True), np.full(2, float(i))
        step(w, x)
        np.testing.assert_array_equal(w.grad, x)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_gradients_from_before_stay_where_a_step_does_not_reach(clip, both):
    def make():
        w = rg.Tensor([1.0, 1.0], requires_grad=True)
        v = rg.Tensor([[1.0]], requires_grad=True)
        v.grad = np.ones((1, 1))
        optimizer = rg.optim.SGD([w, v], lr=0.1)

        def step(x, which):
            loss = np.sum((v if which else w) ** 2 * x)
            loss.backward()
            if clip:
                rg.nn.utils.clip_grad_norm_([w, v], 1.0)
            optimizer.step()
            return loss

        return step, w, v

    assert_compiled_agrees(make, [(np.array([2.0]), i % 2 if both else 0) for i in range(10)])


# Optimizers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_parameter_that_pauses_goes_on_with_its_own_state(kind):
    def make():
        a, b = rg.Parameter([1.0]), rg.Parameter([1.0])
        more = {"momentum": 0.9} if kind == "SGD" else {}
        optimizer = getattr(rg.optim, kind)([a, b], lr=0.1, **more)

        def step(both):
            loss = np.sum(a * a + b * b if both else a * a)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step, a, b

    assert_compiled_agrees(make, [(both,) for both in (True,) * 4 + (False,) * 4 + (True,) * 4])


def test_parameters_are_thawed_one_by_one():
    def make():
        params = [rg.Parameter([float(i)]) for i in (1, 2, 3, 4)]
        optimizer = rg.optim.Adam(params, lr=0.1)
        for p in params[2:]:
            p.requires_grad_(False)

        def step(x):
            optimizer.zero_grad()
            loss = np.sum(x * sum(p * p for p in params))
            loss.backward()
            optimizer.step()
            return loss

        return step, *params

    def before(number, *params):
        if number in (5, 9):
            params[2 if number == 5 else 3].requires_grad_(True)

    assert_compiled_agrees(make, [(np.ones(1),)] * 14, before=before)


@pytest.mark.parametrize("kind", ["SGD", "RMSprop"])
@pytest.mark.parametrize("first", [1, 4])
def test_a_momentum_of_zero_rests_as_it_does_where_nothing_is_compiled(kind, first):
    def make():
        w = rg.Parameter([1.0])
        optimizer = getattr(rg.optim, kind)([w], lr=0.1, momentum=0.9)

        def step(x):
            optimizer.zero_grad()
            loss = np.sum(w * w * x)
            loss.backward()
            optimizer.step()
            return loss

        return step, w, optimizer

    momenta = (0.9,) * first + (0.0,) * 4 + (0.9,) * 4

    def before(number, w, optimizer):
        optimizer.param_groups[0]["momentum"] = momenta[number]

    assert_compiled_agrees(make, [(np.ones(1),)] * (first + 8), before=before)


# What a step does besides its calls --------------------------------------------------------------


def test_hooks_that_come_and_go_are_seen():
    net = rg.nn.Linear(1, 1, rng=0)
    f, x = rg.compile(lambda x: net(x)), np.ones((1, 1))
    first = net.register_forward_hook(lambda m, args, out: out * 10)
    for _ in range(4):
        np.testing.assert_array_equal(f(x).data, net(x).data)
    second = net.register_forward_hook(lambda m, args, out: out + 1)
    for _ in range(4):
        np.testing.assert_array_equal(f(x).data, net(x).data)
    for handle in (first, second):
        handle.remove()
        for _ in range(4):
            np.testing.assert_array_equal(f(x).data, net(x).data)


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


# Tensors that come in two ways -------------------------------------------------------------------


def test_a_leaf_that_comes_twice_is_refused():
    w = rg.Parameter([1.0, 2.0])
    step = rg.compile(lambda p, q: np.sum(p * q))
    with pytest.raises(ValueError, match="the same Tensor, which requires grad, twice"):
        step(w, w)
    with pytest.raises(ValueError, match="twice"):
        rg.compile(lambda tied: np.sum(tied["in"] * tied["out"]))({"in": w, "out": w})


def test_a_leaf_that_is_an_argument_and_found_outside_too_is_refused():
    net = rg.nn.Linear(1, 1)
    w = net.weight
    optimizer = rg.optim.SGD(net.parameters(), lr=0.1)

    def train(w, x):
        optimizer.zero_grad()
        loss = np.sum(w * x)
        loss.backward()
        optimizer.step()
        return loss

    steps = (
        (train, (w, np.ones(1))),
        (lambda p: np.sum(p * w), (w,)),
        (lambda params, x: np.sum(net(x)), (list(net.parameters()), np.ones((1, 1)))),
    )
    for step, args in steps:
        with pytest.raises(rg.TraceError, match="an argument and found outside"):
            rg.compile(step)(*args)


@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("wrong", [3, -1, -100])
def test_class_numbers_are_checked_in_every_run(loss, wrong):
    F = rg.nn.functional
    x = rg.Tensor(np.zeros((2, 3)), requires_grad=True)

    def step(y, ignored):
        x.grad = None
        out = getattr(F, loss)(x, y, ignore_index=ignored)
        out.backward()
        return out

    compiled = rg.compile(step)
    for _ in range(4):
        compiled(np.array([0, 2]), -100)
        compiled(np.array([0, 2]), 1)
    y = np.array([0, wrong])
    for run in (step, compiled):
        with pytest.raises(IndexError, match=f"of 3 classes got class number {wrong}"):
            run(y, 1)
        if wrong != -100:
            with pytest.raises(IndexError, match=f"of 3 classes got class number {wrong}"):
                run(y, -100)
        assert np.isfinite(run(y, wrong).item())


def test_a_step_that_was_refused_is_recorded_anew():
    flag = {"first": True}
    w = rg.Parameter([2.0])

    def step(x):
        return np.sum(w * x) if flag["first"] else np.sum(w * x * x)

    compiled = rg.compile(step)
    compiled(np.array([3.0]))
    flag["first"] = False
    with pytest.raises(rg.TraceError, match="A branch"):
        compiled(np.array([3.0]))
    assert [compiled(np.array([3.0])).item() for _ in range(4)] == [18.0] * 4
