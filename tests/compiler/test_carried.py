"""What a function keeps from run to run by assigning Tensors to places outside: `self.h = ...`."""

from __future__ import annotations

import types

import numpy as np
import pytest

import retrograd as rg

SIZE = 3
CALLS = [(np.arange(SIZE) + (0.0 if i < 4 else 0.1 * i),) for i in range(17)]
STATE = None


def zeros():
    return rg.Tensor(np.zeros(SIZE))


def in_an_object():
    kept = types.SimpleNamespace(h=zeros())

    def step(x):
        kept.h = np.tanh(kept.h + x)
        return np.sum(kept.h)

    return step, lambda: [kept.h]


def in_a_dict():
    kept = {"inner": {"h": zeros()}, "t": rg.Tensor(0.0)}

    def step(x):
        kept["t"] = kept["t"] + 1
        kept["inner"]["h"] = 0.9 * kept["inner"]["h"] + x / kept["t"]
        return kept["inner"]["h"]

    return step, lambda: [kept["t"], kept["inner"]["h"]]


def in_a_list_that_all_share_at_first():
    start = zeros()
    kept = [start, start, start]

    def step(x):
        kept[2] = kept[1]
        kept[1] = kept[0]
        kept[0] = x * 1.0
        return kept[0] - 2 * kept[1] + kept[2]

    return step, lambda: kept


def by_append_and_pop():
    kept = [zeros(), zeros() + 1]

    def step(x):
        kept.pop(0)
        kept.append(x * 1.0)
        return kept[0] + 2 * kept[1]

    return step, lambda: kept


def in_a_variable_of_an_enclosing_function():
    h = zeros()

    def step(x):
        nonlocal h
        h = np.tanh(h + x)
        return h * 1.0

    return step, lambda: [h]


def in_a_variable_of_a_module():
    global STATE
    STATE = zeros()

    def step(x):
        global STATE
        STATE = np.tanh(STATE + x)
        return STATE * 1.0

    return step, lambda: [STATE]


def in_a_tuple():
    cell = rg.nn.LSTMCell(SIZE, 2, rng=0)
    kept = types.SimpleNamespace(state=(rg.Tensor(np.zeros((1, 2))), rg.Tensor(np.zeros((1, 2)))))

    def step(x):
        with rg.no_grad():
            kept.state = cell(np.expand_dims(x, 0), kept.state)
        return kept.state[0]

    return step, lambda: [*kept.state]


def in_a_tree_of_parameters():
    kept = types.SimpleNamespace(p={"w": zeros(), "b": rg.Tensor(0.0), "kind": "linear"})

    def loss(p, x):
        return (np.sum(p["w"] * x) - p["b"] - 1) ** 2

    def step(x):
        p = {name: kept.p[name] for name in ("w", "b")}
        value, g = rg.func.value_and_grad(loss)(p, x)
        kept.p = {**{name: p[name] - 0.01 * g[name] for name in p}, "kind": "linear"}
        return value

    return step, lambda: [kept.p["w"], kept.p["b"]]


def exchanged():
    kept = types.SimpleNamespace(a=zeros(), b=zeros() + 1)

    def step(x):
        kept.a, kept.b = kept.b, kept.a + x
        return kept.a - kept.b

    return step, lambda: [kept.a, kept.b]


def with_what_it_began_with():
    begin = zeros() + 1
    kept = types.SimpleNamespace(h=begin)

    def step(x):
        kept.h = 0.5 * kept.h + begin * x
        return kept.h * 1.0

    return step, lambda: [kept.h, begin]


def nothing_at_first():
    kept = types.SimpleNamespace(last=None)

    def step(x):
        before = x * 0 if kept.last is None else kept.last
        kept.last = x * 1.0
        return x - before

    return step, lambda: [kept.last]


def nothing_there_at_first():
    class Attending(rg.nn.Module):
        def forward(self, x):
            self.weights = np.exp(x) / np.sum(np.exp(x))
            return x * self.weights

    layer = Attending()
    return layer.forward, lambda: [layer.weights]


def a_loss_that_backward_has_used():
    w = rg.Tensor(np.ones(SIZE), requires_grad=True)
    kept = types.SimpleNamespace(loss=None)

    def step(x):
        w.grad = None
        loss = np.sum((w - x) ** 2)
        loss.backward()
        kept.loss = loss
        return loss

    return step, lambda: [kept.loss, w.grad]


class Centre(rg.nn.Module):
    def __init__(self, start, detach=False):
        self.scale = rg.nn.Parameter(np.ones(SIZE))
        self.register_buffer("mean", start)
        self.detach = detach

    def forward(self, x):
        y = x * self.scale
        if self.detach:
            self.mean = (0.9 * self.mean + 0.1 * y).detach()
        else:
            with rg.no_grad():
                self.mean = 0.9 * self.mean + 0.1 * y
        return y - self.mean


def in_a_layer(start=None, detach=False):
    layer = Centre(zeros() if start is None else start, detach)
    optimizer = rg.optim.SGD(layer.parameters(), lr=0.01)

    def step(x):
        optimizer.zero_grad()
        loss = np.mean(layer(x) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda: [layer.mean, layer.scale]


def in_a_layer_detached():
    return in_a_layer(detach=True)


def in_a_layer_that_begins_with_an_array():
    return in_a_layer(np.zeros(SIZE))


KEEPS = [
    in_an_object, in_a_dict, in_a_list_that_all_share_at_first, by_append_and_pop,
    in_a_variable_of_an_enclosing_function, in_a_variable_of_a_module, in_a_tuple,
    in_a_tree_of_parameters, exchanged, with_what_it_began_with, nothing_at_first,
    nothing_there_at_first, a_loss_that_backward_has_used, in_a_layer, in_a_layer_detached,
    in_a_layer_that_begins_with_an_array,
]  # fmt: skip


@pytest.mark.parametrize("make", KEEPS)
def test_what_a_function_assigns_outside_it_finds_in_the_next_run(make):
    # one after the other, since some keep it in one variable of this module
    seen = []
    for wrap in (lambda fn: fn, rg.compile):
        step, look = make()
        step = wrap(step)
        seen.append([])
        for (x,) in CALLS:
            result = step(rg.Tensor(x))
            seen[-1].append([np.array(getattr(v, "data", v)) for v in (result, *look())])
    for right, mine in zip(*seen, strict=True):
        for a, b in zip(right, mine, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
    assert len(step.programs) <= 2  # one more where the first run begins with another kind


def test_what_is_put_there_between_two_calls_is_read_by_the_same_program():
    kept = types.SimpleNamespace(h=zeros())

    @rg.compile
    def step(x):
        kept.h = np.tanh(kept.h + x)
        return np.sum(kept.h)

    for i, (x,) in enumerate(CALLS):
        if i % 5 == 4:
            kept.h = zeros()
        before = kept.h
        right = np.tanh(before.data + x)
        np.testing.assert_array_equal(step(x).data, np.sum(right))
        np.testing.assert_array_equal(kept.h.data, right)
        assert kept.h is not before
    assert len(step.programs) == 1
    kept.h = rg.Tensor(np.zeros((2, SIZE)))
    assert step(CALLS[0][0]).data == np.sum(np.tanh([CALLS[0][0]] * 2))
    assert len(step.programs) == 2


def test_a_tensor_that_was_there_before_stays_as_it_is():
    step, look = in_an_object()
    step = rg.compile(step)
    earlier = [(look()[0], look()[0].data.copy())]
    for (x,) in CALLS:
        step(x)
        earlier.append((look()[0], look()[0].data.copy()))
    for tensor, values in earlier:
        np.testing.assert_array_equal(tensor.data, values)


def test_a_compiled_layer_in_an_eager_loss_keeps_its_mean():
    layers = Centre(zeros()), Centre(zeros())
    fast = rg.compile(layers[1])
    for (x,) in CALLS:
        for layer, forward in zip(layers, (layers[0], fast), strict=True):
            layer.zero_grad()
            loss = np.sum(forward(rg.Tensor(x)) ** 2) + np.sum(forward(rg.Tensor(2 * x)) ** 2)
            loss.backward()
        np.testing.assert_allclose(layers[1].mean.data, layers[0].mean.data)
        np.testing.assert_allclose(layers[1].scale.grad, layers[0].scale.grad)


def keep_a_graph(kept, w, x):
    kept.h = np.sum(w * x)
    return kept.h


def keep_a_tensor_of_somebody_else(kept, w, x):
    kept.h = kept.others[kept.h is kept.others[0]]  # the one, then the other
    return x * kept.h


def write_and_assign(kept, w, x):
    with rg.no_grad():
        kept.h[0] = 1.0
    kept.h = kept.h + x
    return kept.h * 1.0


@pytest.mark.parametrize(
    ("step", "cure"),
    [
        (keep_a_graph, r"Store the value alone: kept\.h = value\.detach\(\)"),
        (keep_a_tensor_of_somebody_else, r"Store a copy: kept\.h = t\.copy\(\)"),
        (write_and_assign, r"written in place in the same run, too"),
    ],
)
def test_what_a_program_cannot_assign_is_refused_with_the_cure(step, cure):
    kept = types.SimpleNamespace(h=zeros(), others=[zeros(), zeros() + 2])
    w = rg.Tensor(np.ones(SIZE), requires_grad=True)
    before = kept.h
    with pytest.raises(rg.TraceError, match=cure):
        rg.compile(lambda x: step(kept, w, x))(CALLS[0][0])
    assert kept.h is before or step is keep_a_tensor_of_somebody_else  # which is done once
    np.testing.assert_array_equal(before.data, np.zeros(SIZE))


def test_a_function_that_fails_leaves_what_was_there():
    kept = types.SimpleNamespace(h=zeros(), fails=True)

    @rg.compile
    def step(x):
        kept.h = kept.h + x
        if kept.fails:
            raise KeyError("no")
        return kept.h * 1.0

    before = kept.h
    with pytest.raises(KeyError):
        step(CALLS[0][0])
    assert kept.h is before


def test_a_script_cannot_assign_and_says_what_to_write(tmp_path):
    step, _ = in_an_object()
    step = rg.compile(step)
    step(CALLS[0][0])
    with pytest.raises(TypeError, match=r"under rg\.no_grad\(\), kept\.h\[\.\.\.\] = value"):
        step.export(tmp_path / "script.py")


class Controller:
    def __init__(self, gain):
        self.gain, self.total, self.last = gain, rg.Tensor(0.0), rg.Tensor(0.0)

    def act(self, error):
        self.total = self.total + 0.1 * error
        change, self.last = (error - self.last) / 0.1, error * 1.0
        return self.gain * error + 0.5 * self.total + 0.1 * change


def test_methods_of_two_instances_keep_their_own():
    eager, fast = ([Controller(1.0), Controller(2.0)] for _ in range(2))
    acts = [rg.compile(controller.act) for controller in fast]
    for i in range(9):
        error = np.array(max(i, 3) / 4)
        for mine, right, act in zip(fast, eager, acts, strict=True):
            np.testing.assert_allclose(act(error).data, right.act(rg.Tensor(error)).data)
            np.testing.assert_allclose(mine.total.data, right.total.data)
            np.testing.assert_allclose(mine.last.data, right.last.data)
