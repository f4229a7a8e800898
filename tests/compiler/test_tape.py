"""What cannot be recorded is refused at the user's line."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from retrograd.compiler.lower import lower
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


def test_a_write_into_a_tensor_is_recorded():
    w = rg.Tensor(np.zeros(3))

    @rg.compile
    def f(x):
        with rg.no_grad():
            w[0] = 3.0
        return w + x

    for _ in range(4):
        w.data[...] = 0.0
        np.testing.assert_array_equal(f(X).data, np.add(X, [3.0, 0.0, 0.0]))
        assert w.data[0] == 3.0


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


# Leaves that a run makes -------------------------------------------------------------------------


def forces_of(make):
    weight = rg.Parameter([1.0, 2.0, 3.0])

    def forces(x):
        weight.grad = None
        x = make(x)
        energy = np.sum(weight * x * x)
        energy.backward()
        return -x.grad

    return forces


MAKERS = {
    "Tensor": lambda x: rg.Tensor(x, requires_grad=True),
    "Parameter": rg.nn.Parameter,
    "frozen Parameter": lambda x: rg.nn.Parameter(x, requires_grad=False).requires_grad_(),
    "copy": lambda x: copy.copy(x).requires_grad_(),
    "deepcopy": lambda x: copy.deepcopy([x])[0].requires_grad_(),
    "detach": lambda x: x.detach().requires_grad_(),
    "requires_grad_": lambda x: x.requires_grad_(),
    "copy of a result": lambda x: (x * 1.5).copy().detach().requires_grad_(),
    "leaf of a leaf": lambda x: rg.Tensor(rg.Tensor(x, requires_grad=True), requires_grad=True),
    "cast": lambda x: rg.Tensor(x.astype(np.float32), requires_grad=True),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_a_leaf_made_inside_follows_the_argument_in_one_program(make):
    calls = [(np.ones(3),)] * 4 + [(np.array([2.0, 0.0, -1.0]),), (np.full(3, 0.5),)]
    step = assert_compiled_agrees(lambda: (forces_of(make),), calls)
    assert len(step.programs) == 1


def test_leaves_made_inside_are_no_part_of_what_a_program_depends_on():
    tape = Tape()
    w = rg.Tensor(np.ones(3), requires_grad=True)
    with recording(tape, grad=True):
        x = rg.Tensor(tape.add_argument("x", X, None), requires_grad=True)
        np.sum(w.detach() * w * x).backward()
        _ = x.grad
    tape.finish()
    assert [leaf for leaf, _ in tape.grads] == [w]
    assert tape.started == {id(w): False}
    program = lower(tape, forces_of)
    assert {v.tensor for call in program.calls for v in call.vars() if v.kind == "captured"} <= {
        w,
        None,
    }


def test_an_outside_tensor_that_is_read_detached_is_still_guarded():
    w = rg.Tensor(np.ones(3), requires_grad=True)
    step = rg.compile(lambda x: w.detach() * x)
    for _ in range(3):
        step(X)
    w.data = np.full(3, 2.0)
    assert step(X).data.tolist() == [2.0, 4.0, 6.0]


def test_a_target_net_copied_inside_is_copied_in_each_run():
    def make():
        net = rg.nn.Linear(3, 2, rng=0)

        def fn(x):
            net.zero_grad()
            target = copy.deepcopy(net)
            loss = np.sum((net(x) - 2 * target(x).detach()) ** 2)
            loss.backward()
            with rg.no_grad():
                for p in net.parameters():
                    p -= 0.1 * p.grad
            return loss

        return fn, net

    assert_compiled_agrees(make, lambda rng: (rng.normal(size=(4, 3)),))


def test_a_pickled_tensor_is_refused():
    with pytest.raises(rg.TraceError, match="pickled Tensor"):
        rg.compile(lambda x: pickle.loads(pickle.dumps(x)))(X)


@pytest.mark.parametrize("have", [True, False])
def test_zeroing_gradients_depends_on_which_there_are(have):
    def make():
        w, v = (rg.Parameter(np.full(2, k)) for k in (1.0, 2.0))
        w.grad = np.ones(2)
        if have:
            v.grad = np.ones(2)
        optimizer = rg.optim.SGD([w, v], lr=0.1, weight_decay=0.5)

        def fn(x):
            optimizer.zero_grad(set_to_none=False)
            np.sum(w * x).backward()
            optimizer.step()
            return w + v

        return fn, w, v

    def before(number, w, v):
        if number == 4:
            v.grad = None if have else np.ones(2)

    assert_compiled_agrees(make, lambda rng: (rng.normal(size=2),), before=before)
