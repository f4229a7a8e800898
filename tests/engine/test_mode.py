"""Grad mode as a context, a decorator and a switch, and who hears of a run."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.engine import (
    Mode,
    current_mode,
    escape,
    is_recording,
    mode_set,
    section,
    tell,
    unrecorded,
)


def test_no_grad_and_enable_grad_nest_and_come_back_after_an_error():
    x = rg.Tensor(1.0, requires_grad=True)

    def nested():
        with rg.no_grad():
            assert not (x * 2).requires_grad
            with rg.enable_grad():
                assert (x * 2).requires_grad
            assert not rg.is_grad_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        nested()
    assert rg.is_grad_enabled()


def test_one_context_can_be_entered_within_itself():
    off = rg.no_grad()
    with off, off:
        assert not rg.is_grad_enabled()
    assert rg.is_grad_enabled()


def test_decorators_act_during_the_call_also_when_it_recurses():
    @rg.no_grad()
    def depth(n):
        assert not rg.is_grad_enabled()
        return 0 if n == 0 else 1 + depth(n - 1)

    @rg.enable_grad()
    def on():
        return rg.is_grad_enabled()

    assert depth(3) == 3
    with rg.no_grad():
        assert on()
        assert not rg.is_grad_enabled()
    assert rg.is_grad_enabled()


def test_set_grad_enabled_acts_at_once_and_as_a_context():
    try:
        rg.set_grad_enabled(False)
        assert not rg.is_grad_enabled()
    finally:
        rg.set_grad_enabled(True)
    with rg.set_grad_enabled(False):
        assert not rg.is_grad_enabled()
        with rg.set_grad_enabled(np.True_):
            assert rg.is_grad_enabled()
    assert rg.is_grad_enabled()


@pytest.mark.parametrize("mode", [None, 1, "no"])
def test_set_grad_enabled_takes_a_bool(mode):
    with pytest.raises(TypeError, match="True or False"):
        rg.set_grad_enabled(mode)
    assert rg.is_grad_enabled()


def test_set_grad_enabled_is_no_decorator():
    switch = rg.set_grad_enabled(True)
    with pytest.raises(TypeError, match="no_grad"):
        switch(lambda: None)


@pytest.mark.parametrize("context", [rg.no_grad, rg.enable_grad])
def test_a_decorator_without_brackets_is_an_error_that_says_so(context):
    with pytest.raises(TypeError, match=r"\(\)"):

        @context
        def f():
            pass


@pytest.mark.parametrize("context", [rg.no_grad, rg.enable_grad])
def test_what_runs_later_cannot_be_decorated(context):
    with pytest.raises(TypeError, match="inside"):

        @context()
        def generator():
            yield 1

    with pytest.raises(TypeError, match="inside"):

        @context()
        async def task():
            pass


# Who hears of a run


def test_nobody_is_told_outside_of_a_recording():
    assert not is_recording()
    assert tell("anything", 1, 2) is None
    unrecorded("a seed")
    escape("t.item()")


def test_a_listener_hears_what_is_told_and_answers():
    heard = []

    def listener(kind, *what):
        heard.append((kind, *what))
        return f"answer to {kind}"

    with mode_set(Mode(False, listener)):
        assert is_recording()
        assert tell("grad", 1) == "answer to grad"
        with section("backward"):
            tell("call", 2)
    assert heard == [
        ("grad", 1),
        ("section", "backward"),
        ("call", 2),
        ("section", "answer to section"),
    ]


def test_an_observer_is_asked_before_a_value_leaves_and_may_refuse():
    def refuse(what, of, why, asked):
        raise PermissionError(what)

    t = rg.Tensor(1.0)
    with mode_set(Mode(True, None, refuse)):
        for out in (float, rg.Tensor.item, rg.Tensor.numpy, lambda t: t.data, bool):
            with pytest.raises(PermissionError):
                out(t)
        with rg.no_grad(), pytest.raises(PermissionError, match=r"t\.tolist\(\)"):
            t.tolist()
        unrecorded("a seed")  # which concerns a recording alone
    assert t.item() == 1.0


def test_a_mode_is_put_back_after_an_error():
    before = current_mode()
    with pytest.raises(ZeroDivisionError), mode_set(Mode(False)):
        raise ZeroDivisionError
    assert current_mode() is before


def watching(heard):
    """Return a mode whose listener notes what it hears and changes nothing."""

    def hear(kind, *what):
        heard.append(kind)
        if kind == "call":
            rule, _, arrays, kwargs = what
            return rule.run(*arrays, **kwargs)
        if kind == "module":
            module, args, kwargs = what
            return module._forward_with_hooks(args, kwargs)
        return what[2] if kind == "visit" else None

    return mode_set(Mode(True, hear, records=False))


def test_who_watches_hears_of_all_and_nothing_is_another_one():
    def train():
        net = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.Tanh(), rg.nn.Dropout(0.5, rng=1))
        optimizer = rg.optim.Adam(net.parameters())
        loss = np.mean(net(np.ones((2, 3))) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with rg.no_grad():
            net[0].bias *= 2
        (second,) = rg.autograd.grad(np.sum(np.exp(net[0].weight)), net[0].weight)
        return [loss.item(), *(p.data for p in net.parameters()), net[0].weight.grad, second.data]

    heard = []
    with watching(heard):
        assert not is_recording()
        watched = train()
    assert {"call", "module", "visit", "gradient", "section"} <= {*heard}
    for mine, right in zip(watched, train(), strict=True):
        np.testing.assert_array_equal(mine, right)
