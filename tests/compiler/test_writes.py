"""What a function keeps between its calls: writes into Tensors are done again by its program."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees

SIZE = 3
CALLS = [(np.arange(12.0).reshape(4, SIZE) * (i + 1),) for i in range(7)]
MASK = np.array([True, False, True])


def write_all(mean, new):
    mean[...] = 0.9 * mean + 0.1 * new


def write_one(mean, new):
    mean[0] = 0.5 * mean[0] + new[1]
    mean[-1] = 2.0


def write_a_slice(mean, new):
    mean[:2] = 0.9 * mean[:2] + 0.1 * new[1:]
    mean[::2] += 1.0


def write_at_a_mask(mean, new):
    mean[MASK] = new[1]
    mean[mean > 5.0] = 0.5


def write_in_place(mean, new):
    mean *= 0.9
    mean += 0.1 * new


def write_a_part_in_place(mean, new):
    mean[...] *= 0.9
    mean[1:] += 0.1 * new[1:]


def write_numbers(mean, new):
    mean[...] = mean + 1.0
    mean[0] = 1
    mean[1:] = [2.0, 3.0]


def write_it_reversed(mean, new):
    mean[...] = mean[::-1]
    mean[0] = mean[0] + 1.0


ROWS = np.array([2, 0, 2])


def write_at_indices(mean, new):
    mean[ROWS] = new  # two of them go to one place
    mean[[0, -1]] += new[:2]
    mean[np.argsort(mean)[0]] = 0.25


def write_at_a_mask_values(mean, new):
    mean[MASK] = new[1:]
    mean[mean >= mean[0]] *= 0.5


WRITES = [
    write_at_indices, write_at_a_mask_values, write_all, write_one, write_a_slice, write_at_a_mask,
    write_in_place, write_a_part_in_place, write_numbers, write_it_reversed,
]  # fmt: skip


class Centre(rg.nn.Module):
    """A layer with a running mean that it writes in one of several ways."""

    def __init__(self, write, is_buffer):
        self.write = write
        self.scale = rg.nn.Parameter(np.ones(SIZE))
        start = rg.Tensor(np.linspace(0.0, 1.0, SIZE))
        if is_buffer:
            self.register_buffer("mean", start)
        else:
            self.mean = start

    def forward(self, x):
        with rg.no_grad():
            self.write(self.mean, np.mean(x, axis=0))
        return (x - self.mean) * self.scale


@pytest.mark.parametrize("is_buffer", [True, False])
@pytest.mark.parametrize("write", WRITES)
def test_a_layer_with_a_running_mean_trains_compiled_as_it_does_eager(write, is_buffer):
    def make():
        layer = Centre(write, is_buffer)
        optimizer = rg.optim.SGD(layer.parameters(), lr=0.001)

        def step(x):
            optimizer.zero_grad()
            loss = np.mean(layer(x) ** 2)
            loss.backward()
            optimizer.step()
            return loss

        return step, layer, layer.mean

    compiled = assert_compiled_agrees(make, CALLS)
    assert len(compiled.programs) == 1


@pytest.mark.parametrize("write", WRITES)
def test_a_compiled_layer_in_an_eager_loss_writes_its_running_mean(write):
    layers = Centre(write, True), Centre(write, True)
    fast = rg.compile(layers[1])
    for (x,) in CALLS:
        for layer, forward in zip(layers, (layers[0], fast), strict=True):
            layer.zero_grad()
            np.sum(forward(rg.Tensor(x)) ** 2).backward()
        np.testing.assert_allclose(layers[1].mean.data, layers[0].mean.data)
        np.testing.assert_allclose(layers[1].scale.grad, layers[0].scale.grad)


def test_a_write_into_a_parameter_is_done_again():
    def make():
        w = rg.Tensor(np.ones(SIZE), requires_grad=True)

        def step(x):
            w.grad = None
            np.sum(w * w * x).backward()
            with rg.no_grad():
                w[...] = w - 0.01 * w.grad
                w[0] = 0.5

        return step, w

    assert_compiled_agrees(make, CALLS)


def test_an_exported_step_writes_too(tmp_path):
    mean = rg.Tensor(np.zeros(SIZE))

    @rg.compile
    def step(x):
        with rg.no_grad():
            mean[...] = 0.5 * mean + np.mean(x, axis=0)
        return mean * 1.0

    step(*CALLS[0])
    step.export(tmp_path / "script.py")
    space = {"__name__": "script"}
    exec((tmp_path / "script.py").read_text(), space)
    for call in CALLS[1:]:
        np.testing.assert_array_equal(space["step"](*call), step(*call).data)


class WritesAnArray(rg.nn.Module):
    def __init__(self, index):
        self.register_buffer("mean", np.zeros(SIZE))
        self.index = index

    def forward(self, x):
        self.mean[self.index] = np.mean(x)
        return x - self.mean


@pytest.mark.parametrize(
    ("layer", "cure"),
    [
        (WritesAnArray(...), r"must be a Tensor too: t\[\.\.\.\] = value under rg\.no_grad"),
        (WritesAnArray(0), r"must be a Tensor too: t\[\.\.\.\] = value under rg\.no_grad"),
        (WritesAnArray(slice(2)), r"must be a Tensor too: t\[\.\.\.\] = value under rg\.no_grad"),
        (WritesAnArray(MASK), r"must be a Tensor too: t\[\.\.\.\] = value under rg\.no_grad"),
    ],
)
def test_another_way_to_write_is_refused_with_the_cure(layer, cure):
    before = layer.mean
    with pytest.raises(rg.TraceError, match=cure):
        rg.compile(layer)(CALLS[0][0])
    assert layer.mean is before
    np.testing.assert_array_equal(np.asarray(before), np.zeros(SIZE))


def table_and_counts():
    """A table that is learned row by row, with how often each of its entries was seen."""
    table, seen = rg.Tensor(np.zeros((4, 2), np.float32)), rg.Tensor(np.zeros(4, int))

    def step(state, action, reward):
        with rg.no_grad():
            error = reward + 0.9 * np.max(table[state[::-1]], axis=-1) - table[state, action]
            table[state, action] += 0.5 * error
            seen[state] += 1
        return error, table / (1 + np.sum(seen))

    return step, table, seen


TRANSITIONS = [
    (np.array(states), np.array(actions), np.array([1.0, 0.5]) * i)
    for i, (states, actions) in enumerate(
        [([0, 1], [1, 1])] * 4 + [([2, 2], [0, 1]), ([3, -1], [0, 0]), ([1, 0], [0, 1])]
    )
]


def test_writes_at_indices_that_are_arguments_are_done_again():
    compiled = assert_compiled_agrees(table_and_counts, TRANSITIONS)
    assert len(compiled.programs) == 1
    assert "[state, action] = " in compiled.fast_source


def test_an_exported_step_writes_at_indices_too(tmp_path):
    step, *_ = table_and_counts()
    step = rg.compile(step)
    step(*TRANSITIONS[0])
    step.export(tmp_path / "script.py")
    space = {"__name__": "script"}
    exec((tmp_path / "script.py").read_text(), space)
    for call in TRANSITIONS[1:]:
        for mine, right in zip(space["step"](*call), step(*call), strict=True):
            np.testing.assert_array_equal(mine, right.data)


def test_an_index_that_is_not_there_leaves_all_as_it_was():
    step, table, seen = table_and_counts()
    step = rg.compile(step)
    for call in TRANSITIONS:
        step(*call)
    before = table.data.copy(), seen.data.copy()
    with pytest.raises(IndexError):
        step(np.array([0, 9]), np.array([0, 1]), np.ones(2))
    np.testing.assert_array_equal(table.data, before[0])
    np.testing.assert_array_equal(seen.data, before[1])
