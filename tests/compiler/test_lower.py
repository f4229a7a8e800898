"""From the log of a run to a program."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import retrograd as rg
from compiler.parts import listing
from retrograd.compiler.lower import lower
from retrograd.compiler.tape import Tape, recording

X = np.arange(1.0, 4.0)


def test_an_array_returned_as_it_is_would_freeze():
    with pytest.raises(rg.TraceError, match="returns Tensors"):
        rg.compile(lambda x: np.ones(3))(X)


def recorded(fn, *arrays):
    """Return the tape and the program of a run of `fn` on arrays."""
    tape = Tape()
    given = [tape.add_argument("xyz"[i], a, None) for i, a in enumerate(arrays)]
    with recording(tape):
        result = fn(*given)
    tape.finish()
    return tape, lower(tape, fn, result)


def test_a_log_becomes_calls_and_is_let_go():
    w = rg.Tensor(np.ones(3))
    tape, program = recorded(lambda x: np.exp(x * 2.0) + w, X)
    (x,) = program.args
    (captured,) = (v for call in program.calls for v in call.vars() if v.kind == "captured")
    assert listing(program.calls, x, captured) == [
        "a = multiply(x, 2.0)",
        "b = exp(a)",
        "c = add(b, y)",
    ]
    assert [call.number for call in program.calls] == [0, 1, 2]
    assert captured.tensor is w
    assert program.results == program.calls[-1].outs
    assert tape.log == []


def test_a_program_holds_nothing_that_a_run_made():
    made = []

    def fn(x):
        made.append(weakref.ref((y := np.exp(x))._array))
        return y * 2

    _, program = recorded(fn, X)
    assert made[0]() is None
    assert all(v.array is None for call in program.calls for v in call.outs)


def test_a_recording_can_be_lowered_with_all_that_it_gave():
    tape = Tape()
    with recording(tape):
        np.exp(tape.add_argument("x", X, None))
    program = lower(tape, lambda: None, keep=True)
    np.testing.assert_array_equal(program.calls[0].outs[0].array, np.exp(X))


def test_views_writes_draws_and_several_outputs_are_told_apart():
    w = rg.Tensor(np.zeros((2, 3)))
    rng = np.random.default_rng(0)

    def fn(x):
        w.__iadd__(x)
        fraction, exponent = np.frexp(x)
        return w.T, fraction * rg.nn.functional.dropout(exponent * 1.0, 0.5, rng=rng)

    _, program = recorded(fn, X)
    kinds = [(call.kind, call.view_of) for call in program.calls if call.kind != "call"]
    assert kinds == [("write", None), ("draw", None)]
    assert [c.view_of for c in program.calls if c.fn is np.transpose] == [0]
    assert [len(c.outs) for c in program.calls if c.fn is np.frexp] == [2]


def test_sections_and_lines_are_those_of_the_user():
    w = rg.Tensor(X.copy(), requires_grad=True)
    tape = Tape()
    with recording(tape, grad=True):
        np.sum(w * w).backward()  # here
    tape.finish()
    program = lower(tape, lambda: None)
    assert {call.section for call in program.calls} == {"forward", "backward"}
    assert {call.line.text for call in program.calls} == {"np.sum(w * w).backward()  # here"}
    assert [leaf for leaf, _ in program.grads] == [w]


def test_a_program_that_is_recorded_holds_the_layouts_of_arguments_only():
    _, program = recorded(lambda x: x.T, np.ones((2, 3)))
    (x,) = program.args
    assert (x.array, x.shape) == (None, (2, 3))
    assert program.results[0].strides == (8, 24)


def test_calls_of_the_backward_pass_know_the_line_whose_gradient_they_compute():
    w = rg.Tensor(np.ones(3), requires_grad=True)

    def fn(x):
        a = np.exp(w * x)
        b = np.sum(a * a)
        b.backward()
        return b

    step = rg.compile(fn)
    step(X)
    program = step.programs[0].recorded
    texts = {"a = np.exp(w * x)", "b = np.sum(a * a)"}
    backward = [call for call in program.calls if call.section == "backward"]
    assert {call.origin.text for call in backward} == texts
    assert {call.line.text for call in backward} == {"b.backward()"}
    forward = [call for call in program.calls if call.section == "forward"]
    assert all(call.origin is call.line for call in forward)


def test_updates_written_by_hand_have_the_section_of_updates():
    w, rate = rg.Tensor(np.ones(3), requires_grad=True), 0.1

    def step(x):
        w.grad = None
        with rg.enable_grad():
            loss = np.sum(w * x)
            loss.backward()
        with rg.no_grad():
            norm = np.sum(w * w)
            w[...] = w - rate * np.negative(w.grad)
        return loss, norm

    _, program = recorded(step, X)
    named = {call.fn.__name__: call.section for call in program.calls}
    assert named["negative"] == named["copyto"] == named["subtract"] == "update"
    norms = [call.section for call in program.calls if call.outs == program.results[1:]]
    assert norms == ["forward"]  # which is a result as well


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_taken_as_values_are_the_backward_pass_unless_it_goes_on_from_them(create_graph):
    w = rg.Tensor(np.ones(3), requires_grad=True)

    def step(x):
        with rg.enable_grad():
            (g,) = rg.autograd.grad(np.sum(np.exp(w * x)), w, create_graph=create_graph)
        return np.sum(g)

    _, program = recorded(step, X)
    sections = {call.section for call in program.calls}
    assert sections == ({"forward"} if create_graph else {"forward", "backward"})
