"""Grad mode as a context, a decorator and a switch."""

import numpy as np
import pytest

import retrograd as rg


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
