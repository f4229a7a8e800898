"""What cannot be recorded is refused at the user's line."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.tape import Tape, recording
from retrograd.engine import section

X = np.arange(1.0, 4.0)
HERE = __file__.rsplit("/", 1)[-1]


def reads_item(x):
    return x * np.sum(x).item()


def reads_float(x):
    return x * float(np.sum(x))


def branches(x):
    return x if np.sum(x) > 0 else -x


def reads_data(x):
    return x + x.data


def reads_numpy(x):
    return x + x.numpy()


def lists(x):
    return x.tolist()


def formats(x):
    return f"{np.sum(x):.3f}"


def compares(x):
    return x if np.allclose(x, 1.0) else x * 2


@pytest.mark.parametrize(
    "fn", [reads_item, reads_float, branches, reads_data, reads_numpy, lists, formats, compares]
)
def test_reading_a_value_names_the_line_and_the_remedy(fn):
    with pytest.raises(rg.TraceError, match="Return the Tensor and read it after the step") as e:
        rg.compile(fn)(X)
    assert HERE in str(e.value)
    assert fn.__code__.co_filename in str(e.value)


def test_a_write_into_a_tensor_is_refused():
    w = rg.Tensor(np.zeros(3))

    @rg.compile
    def f(x):
        with rg.no_grad():
            w[0] = 3.0
        return w + x

    with pytest.raises(rg.TraceError, match=r"t\[\.\.\.\] = value"):
        f(X)


def test_a_seed_inside_is_refused():
    f = rg.compile(lambda x: rg.nn.functional.dropout(x, 0.5, rng=3))
    with pytest.raises(rg.TraceError, match="Generator"):
        f(X)


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


# What the tape hears -----------------------------------------------------------------------------


def test_a_log_is_flat_and_holds_its_arrays():
    tape = Tape()
    with recording(tape):
        x = tape.add_argument("x", X, None)
        with section("backward"):
            y = np.exp(x * 2.0)
    assert [event.kind for event in tape.log] == ["argument", "call", "call"]
    assert [event.section for event in tape.log[1:]] == ["backward", "backward"]
    assert {event.place[0] for event in tape.log[1:]} == {__file__}
    rule, _, arrays, kwargs, out, view_of = tape.log[-1].what
    assert (rule.fn, kwargs, view_of) == (np.exp, {}, None)
    assert out is y._array
    assert arrays[0] is tape.log[1].what[4]


def test_calls_that_are_looked_through_are_heard_as_what_they_call():
    tape = Tape()
    with recording(tape):
        x = tape.add_argument("x", X.reshape(1, 3), None)
        rg.nn.functional.linear(x, np.ones((2, 3)), np.ones(2))
    called = [event.what[0].name for event in tape.log if event.kind == "call"]
    assert "np.matmul" in called
    assert "linear" not in called


def test_what_a_run_changes_outside_can_be_put_back():
    w, leaf = rg.Tensor(np.zeros(3)), rg.Tensor(np.ones(3), requires_grad=True)
    leaf.grad = start = np.full(3, 7.0)
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    tape = Tape()
    with recording(tape):
        x = tape.add_argument("x", X, None)
        row = w[1:]
        row += 1.0
        w += x
        rg.nn.functional.dropout(x, 0.5, rng=rng)
        leaf.grad = None
    np.testing.assert_array_equal(w.data, [1.0, 3.0, 4.0])
    assert leaf.grad is None
    tape.put_back()
    np.testing.assert_array_equal(w.data, np.zeros(3))
    assert leaf.grad is start
    assert rng.bit_generator.state == state


def test_a_write_into_what_the_run_made_needs_no_putting_back():
    tape = Tape()
    with recording(tape):
        y = tape.add_argument("x", X, None) * 2.0
        y += 1.0
        part = y[:2]
        part += 1.0
    assert not tape.undo


def test_a_run_asks_for_gradients_and_leaves_copies_of_them():
    w = rg.Tensor(np.ones(3), requires_grad=True)
    w.grad = np.full(3, 2.0)
    tape = Tape()
    with recording(tape):
        given = w.grad
        w.grad = given
    tape.finish()
    ((leaf, grad),) = tape.grads
    assert leaf is w
    assert grad is given._array is not w.grad
    assert tape.started == {id(w): True}


def test_numbers_of_optimizers_have_one_name_for_each_owner():
    params = [rg.Parameter(np.ones(2)) for _ in range(2)]
    for p in params:
        p.grad = np.ones(2)
    groups = [{"params": [p], "lr": lr} for p, lr in zip(params, (0.1, 0.2), strict=True)]
    optimizer = rg.optim.Adam(groups)
    tape = Tape()
    with recording(tape):
        optimizer.step()
        optimizer.step()
    assert [(r.name, r.value()) for r in tape.lives if r.stem == "lr"] == [
        ("lr", 0.1),
        ("lr_2", 0.2),
    ]
    assert len(tape.updates) == 4
    tape.put_back()
    assert [reading.value() for reading in tape.lives if reading.stem == "updates"] == [0, 0]
