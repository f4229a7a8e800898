"""A program is run only where its guards hold."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from compiler.parts import argument
from retrograd.compiler.guards import argument_guards, compile_guards, first_failing


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


# Guards on their own -----------------------------------------------------------------------------


def ready(step):
    return step.programs[-1]


def test_guards_are_data_that_say_what_no_longer_holds():
    net = rg.nn.Sequential(rg.nn.Linear(2, 2, rng=0), rg.nn.Dropout(0.5))
    optimizer = rg.optim.Adam(net.parameters(), lr=0.1)

    @rg.compile
    def step(x):
        optimizer.zero_grad()
        loss = np.sum(net(x))
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones((3, 2)))
    guards = ready(step).guards
    assert first_failing(guards) == ""
    assert ready(step).holds()

    def failing(change, undo):
        change()
        found = first_failing(guards)
        assert ready(step).holds() is (found == "")
        undo()
        assert ready(step).holds()
        return found

    group = optimizer.param_groups[0]
    assert failing(net.eval, net.train) == "Dropout.training is True"
    assert failing(lambda: group.update(lr=0.2), lambda: group.update(lr=0.1)) == ""
    found = failing(lambda: group.update(eps=0.2), lambda: group.update(eps=1e-8))
    assert found.startswith("an optimizer has the same ")
    assert "eps" in found
    bias = net[0].bias
    found = failing(lambda: bias.requires_grad_(False), lambda: bias.requires_grad_(True))
    assert found == "a Tensor outside, of shape (2,), has requires_grad=True"
    layer = net[0]
    found = failing(lambda: setattr(layer, "extra", 1), lambda: delattr(layer, "extra"))
    assert found == "the attributes of the Modules that ran are the same"
    array, other = bias._array, np.zeros(2)
    found = failing(lambda: setattr(bias, "_array", other), lambda: setattr(bias, "_array", array))
    assert found == "a Tensor outside, of shape (2,), holds the same array"


def test_guards_of_arguments_say_which_is_of_another_kind():
    guards = argument_guards([argument(2, 3), argument(3, dtype=np.float32)])
    x, y = np.ones((2, 3)), np.ones(3, np.float32)
    assert first_failing(guards, args=[x, y]) == ""
    assert first_failing(guards, args=[x]) == "there are 2 arguments"
    assert first_failing(guards, args=[x, [1.0]]) == "argument 1 is an array"
    assert first_failing(guards, args=[x.T, y]) == "argument 0 has the shape (2, 3)"
    assert first_failing(guards, args=[x, x[0]]) == "argument 1 has the dtype float32"
    holds = compile_guards(guards, {}, "args")
    assert holds([x, y])
    assert not holds([x.T, y])


def test_no_guards_hold_always():
    assert compile_guards([], {})() is True


def test_a_leaf_that_has_a_gradient_or_not_is_a_guard_where_that_mattered():
    w = rg.Parameter([1.0])
    step = rg.compile(lambda x: np.sum(w * x).backward())
    step(np.ones(1))
    assert first_failing(ready(step).guards) == "a leaf of shape (1,) has no gradient before"
    w.grad = None
    assert first_failing(ready(step).guards) == ""
