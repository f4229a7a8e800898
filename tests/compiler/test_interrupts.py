"""Ctrl-C at any moment of a compiled function leaves all as before a step or as after it."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

import retrograd as rg

X, Y = np.linspace(-1, 1, 12).reshape(6, 2), np.ones((6, 1))


class Interrupting:
    """Raises KeyboardInterrupt at the event number `at`: where Python looks for signals.

    That is where a function begins, and where a built-in one has returned.
    """

    def __init__(self, at):
        self.left = at

    def __call__(self, frame, event, arg):
        code = frame.f_code
        if code.co_flags & inspect.CO_GENERATOR or code.co_name == "__del__":
            return  # when it is closed or deleted, Python prints what it raises and goes on
        if event in ("call", "c_return") and "retrograd" in code.co_filename:
            if self.left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt
            self.left -= 1

    def around(self, fn):
        """Call a function; tell whether it came to its end."""
        sys.setprofile(self)
        try:
            fn()
            return True
        except KeyboardInterrupt:
            return False
        finally:
            sys.setprofile(None)


def make():
    body = rg.nn.Linear(2, 3, rng=0), rg.nn.BatchNorm1d(3), rg.nn.Dropout(0.5, rng=1)
    model = rg.nn.Sequential(*body, rg.nn.Linear(3, 1, rng=2))
    optimizer = rg.optim.Adam(model.parameters(), lr=0.1)

    @rg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = rg.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, model, optimizer, body[2].rng


def state_of(model, optimizer, rng):
    state = optimizer.state_dict()["state"]
    grads = [None if p.grad is None else p.grad.copy() for p in model.parameters()]
    return repr((model.state_dict(), state, grads, rng.bit_generator.state))


def undisturbed(count):
    """Return the state after each of so many calls, with that before them."""
    step, *own = make()
    states = [state_of(*own)]
    for _ in range(count):
        step(X, Y)
        states.append(state_of(*own))
    return states


OFTEN = 20  # calls: then the program and its conditions are one function
STATES = undisturbed(OFTEN + 4)


def events_of(call):
    """Return how many moments a call has at which it can be interrupted."""
    step, *_ = make()
    for _ in range(call):
        step(X, Y)
    counting = Interrupting(10**9)
    counting.around(lambda: step(X, Y))
    return 10**9 - counting.left


@pytest.mark.parametrize("call", [0, 1, 2, 4, OFTEN])
@pytest.mark.parametrize("part", range(12))
def test_an_interrupt_in_a_call_leaves_the_state_before_or_after_it(call, part):
    at = int(np.random.default_rng([call, part]).integers(events_of(call)))
    step, *own = make()
    for _ in range(call):
        step(X, Y)
    assert not Interrupting(at).around(lambda: step(X, Y))
    assert not rg.engine.is_recording()
    assert rg.is_grad_enabled()
    done = [state_of(*own) == STATES[i] for i in (call, call + 1)]
    assert any(done), f"event {at} of call {call}"
    for i in range(call + done.index(True), call + 3):
        step(X, Y)
        assert state_of(*own) == STATES[i + 1], f"event {at} of call {call}"


def test_an_interrupt_at_any_moment_of_a_call_that_comes_often():
    for at in range(events_of(OFTEN)):
        step, *own = make()
        for _ in range(OFTEN):
            step(X, Y)
        assert step._last.shortcut is not None
        assert not Interrupting(at).around(lambda step=step: step(X, Y))
        assert state_of(*own) in (STATES[OFTEN], STATES[OFTEN + 1]), f"event {at}"


def test_a_context_whose_exit_was_interrupted_does_nothing_later():
    """The exit of a context inside a recording is interrupted: its rest must not run later."""
    step, model, *_ = make()

    def interrupt(frame, event, arg):
        if event == "call" and frame.f_code.co_name == "__exit__":
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(interrupt)
    with pytest.raises(KeyboardInterrupt):
        step(X, Y)
    sys.setprofile(None)
    assert not rg.engine.is_recording()
    assert model[0].weight.data.shape == (3, 2)


def make_loss():
    parts = rg.nn.BatchNorm1d(2), rg.nn.Dropout(0.5, rng=1), rg.nn.Linear(2, 1, rng=2)
    model = rg.nn.Sequential(*parts)
    fast = rg.compile(model)

    def state():
        return repr((model.state_dict(), parts[1].rng.bit_generator.state))

    return state, lambda: np.sum(fast(X) ** 2)


@pytest.mark.parametrize("calls", [1, 2, 3])
@pytest.mark.parametrize("at", range(4))
def test_an_interrupt_while_a_backward_pass_sets_things_back_leaves_what_the_call_wrote(calls, at):
    """The pass runs the function with the statistics and the generator as they were then."""
    state, loss = make_loss()
    for _ in range(calls):
        loss().backward()
    last = loss()
    loss()  # so that what `last` wrote is the past
    before = state()
    left = [at]

    def interrupt(frame, event, arg):
        code = frame.f_code
        if (
            event == "call"
            and code.co_name in ("put_back", "as_now")
            and "changing" in (code.co_qualname.lower())
        ):
            left[0] -= 1
            if left[0] < 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(interrupt)
    try:
        last.backward()
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
    assert left[0] < at, "it sets something back"
    assert state() == before


@pytest.mark.parametrize("at", range(12))
def test_an_interrupt_while_a_call_is_noted_is_all_that_is_heard(at, capsys):
    """What is deleted half made says nothing, as Python would print it."""
    _, loss = make_loss()
    for _ in range(OFTEN):
        loss().backward()
    Interrupting(at).around(loss)
    assert capsys.readouterr().err == ""
