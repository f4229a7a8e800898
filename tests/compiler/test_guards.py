"""A program is run only where its guards hold."""

from __future__ import annotations

import types

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from compiler.parts import argument
from retrograd.compiler.guards import (
    Guard,
    argument_guards,
    compile_entry,
    compile_guards,
    find_further,
    first_failing,
)
from retrograd.compiler.outside import Outside
from retrograd.compiler.statements import Bound, Index, Literal


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
    guards = argument_guards(["a0", "a1"], [argument(2, 3), argument(3, dtype=np.float32)])
    x, y = np.ones((2, 3)), np.ones(3, np.float32)
    assert first_failing(guards, a0=x, a1=y) == ""
    assert first_failing(guards, a0=x, a1=[1.0]) == "argument 1 is an array"
    assert first_failing(guards, a0=x.T, a1=y) == "argument 0 has the shape (2, 3)"
    assert first_failing(guards, a0=x, a1=x[0]) == "argument 1 has the dtype float32"


def test_what_enters_are_the_arrays_of_arguments_of_the_recorded_kinds():
    x, y = np.ones((2, 3)), np.ones(3, np.float32)
    enter = compile_entry([argument(2, 3), argument(3, dtype=np.float32)], [], {})
    found = enter((x, rg.Tensor(y)))
    assert found[0] is x
    assert found[1] is not None
    np.testing.assert_array_equal(found[1], y)
    refused = [(x,), (x, y, y), (x.T, y), (x, [1.0]), (x, rg.Tensor(y, requires_grad=True))]
    assert [enter(args) for args in refused] == [None] * len(refused)


def test_nothing_enters_where_a_condition_outside_does_not_hold():
    holds = [False]
    condition = Guard("it holds", Index(Bound("holds", holds), Literal(0)))
    enter = compile_entry([], [condition], {})
    assert enter(()) is None
    holds[0] = True
    assert enter(()) == ()


def test_no_guards_hold_always():
    assert compile_guards([], {})() is True


def test_a_leaf_that_has_a_gradient_or_not_is_a_guard_where_that_mattered():
    w = rg.Parameter([1.0])
    step = rg.compile(lambda x: np.sum(w * x).backward())
    step(np.ones(1))
    assert first_failing(ready(step).guards) == "a leaf of shape (1,) has no gradient before"
    w.grad = None
    assert first_failing(ready(step).guards) == ""


# What does not matter, and what changes too often ------------------------------------------------


class Counting(rg.nn.Module):
    """Has a counter that nothing reads, and one that only its size decides by."""

    def __init__(self):
        self.layer, self.steps, self.epoch = rg.nn.Linear(2, 1, rng=0), 0, 0

    def forward(self, x):
        return np.sum(self.layer(x)) * (1.0 if self.epoch < 30 else 2.0)


def test_an_attribute_that_no_code_reads_is_no_reason_for_another_program():
    net = Counting()
    optimizer = rg.optim.Adam(net.parameters(), lr=0.1)

    @rg.compile
    def step(x):
        optimizer.zero_grad()
        loss = net(x)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(40):
        net.steps += 1
        step(np.ones((3, 2)))
    (program,) = step.programs
    assert program.ignored == {(id(net), "steps")}


def test_an_attribute_that_is_read_is_watched_even_if_it_has_not_mattered_yet():
    net = Counting()
    step, x = rg.compile(net), np.ones((3, 2))

    def train():
        for _ in range(40):
            net.epoch += 1
            np.testing.assert_allclose(step(x).data, net(x).data)

    with pytest.warns(RuntimeWarning, match=r"'self.epoch', which Counting finds") as heard:
        train()
    assert len(heard) == 1
    assert heard[0].filename == __file__
    assert len(step.programs) == 2


def test_a_number_that_changes_at_every_call_is_named_once():
    beta, config = 0.0, {"lam": 0.0}
    by_name = rg.compile(lambda x: x * beta)
    by_key = rg.compile(lambda x: x * config["lam"])

    def change_the_variable():
        nonlocal beta
        for number in range(10):
            beta = float(number)
            assert by_name(np.ones(1)).item() == number

    def change_the_entry():
        for number in range(10):
            config["lam"] = float(number)
            assert by_key(np.ones(1)).item() == number

    with pytest.warns(RuntimeWarning, match=r"'beta'.*pass it as an argument") as heard:
        change_the_variable()
    assert len(heard) == 1
    with pytest.warns(RuntimeWarning, match=r"'config\[\"lam\"\]', which <lambda> finds"):
        change_the_entry()


def test_values_that_come_back_need_no_new_program():
    scale = 1.0
    step = rg.compile(lambda x: x * scale)
    for number in range(40):
        scale = float(number % 3)
        assert step(np.ones(1)).item() == scale
    assert len(step.programs) == 3


def test_an_equal_value_in_the_place_of_another_is_no_change():
    config = {"lam": 1000.0, "kinds": (1, 2), "name": "mean"}
    step = rg.compile(lambda x: x * config["lam"] * config["kinds"][1])
    for _ in range(10):
        config["lam"] = float("1000")
        config["kinds"] = tuple(range(1, 3))
        step(np.ones(1))
    assert len(step.programs) == 1


def test_a_variable_of_the_same_name_as_a_method_is_not_watched():
    counter = types.SimpleNamespace(step=0, mean=0.0)
    w = rg.Parameter([1.0])
    optimizer = rg.optim.SGD([w], lr=0.0)

    @rg.compile
    def run(x):
        loss = (w * x).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss if counter is not None else x

    for number in range(20):
        counter.step, counter.mean = number, float(number)
        run(np.ones(1))
    (program,) = run.programs
    assert not any("step" in guard.name or "mean" in guard.name for guard in program.guards)


def test_param_groups_that_are_added_or_replaced_are_seen():
    def make():
        a, b = rg.Parameter([1.0]), rg.Parameter([1.0])
        optimizer = rg.optim.SGD([a], lr=0.1)

        def step(x):
            loss = np.sum((a + b) * x)
            a.grad = b.grad = None
            loss.backward()
            optimizer.step()
            return loss

        return step, a, b, optimizer

    def before(number, a, b, optimizer):
        if number == 5:
            optimizer.add_param_group({"params": [b], "lr": 0.5})
        if number == 8:
            optimizer.param_groups[0] = {**optimizer.param_groups[0], "lr": 0.7}

    assert_compiled_agrees(make, [(np.ones(1),)] * 12, before=before)


def test_an_array_put_into_a_parameter_that_is_only_updated_is_seen():
    def make():
        w = rg.Parameter([1.0])
        optimizer = rg.optim.SGD([w], lr=0.1)

        def update():
            optimizer.step()
            optimizer.zero_grad()

        return update, w

    def before(number, w):
        if number == 5:
            w.data = np.array([5.0])
        w.grad = np.ones(1)

    assert_compiled_agrees(make, [()] * 10, before=before)


def test_conditions_that_are_asked_already_are_no_further_ones():
    scale, other = np.ones(3), {"a": 1.0}
    fn = rg.compile(lambda x: x * scale * other["a"])
    fn(np.ones(3))
    (program,) = fn.programs
    again = Outside(fn.fn)
    program.watch(Outside(fn.fn))
    first = program.guards
    program.watch(again)
    assert first is not program.guards
    assert find_further(program.guards, first) == []
    other["b"] = 2.0
    fn(np.ones(3))
    further = find_further(fn.programs[-1].guards, first)
    assert [guard.name for guard in further] == ["list(other)", 'other["b"]']


def replaced(make, *kinds):
    """Return a Module with a part, and what puts another one of each kind into its place."""
    net = make(kinds[0]())
    return net, [lambda kind=kind: net.__setitem__(1, kind()) for kind in (kinds[0], *kinds)]


def set_to(module, name, *values):
    """Return a Module, and what sets an attribute of it to each value."""
    return module, [lambda value=value: setattr(module, name, value) for value in values]


class Named(rg.nn.ModuleDict):
    """A container of the library in which a Module is called by name."""

    def forward(self, x):
        return self["1"](self["0"](x))

    def __setitem__(self, name, module):
        super().__setitem__(str(name), module)


def in_sequence(part):
    return rg.nn.Sequential(rg.nn.Linear(2, 2, rng=0), part)


def by_name(part):
    return Named({"0": rg.nn.Linear(2, 2, rng=0), "1": part})


@pytest.mark.parametrize(
    ("net", "changes"),
    [
        replaced(in_sequence, rg.nn.Tanh, rg.nn.ReLU),
        replaced(by_name, rg.nn.Tanh, rg.nn.ReLU),
        set_to(rg.nn.Dropout(0.0), "p", 0.0, -0.0, 1.0),
        set_to(rg.nn.LayerNorm(2), "eps", 1e-5, 1e-5, 1.0),
        set_to(rg.nn.LeakyReLU(), "negative_slope", 0.5, np.float64(0.5), 2.0),
        set_to(rg.nn.GELU(), "approximate", "none", "none", "tanh"),
        set_to(rg.nn.Threshold(-5.0, 0.0), "threshold", -6.0, -7.0, 5.0),
    ],
    ids=["sequence", "name", "p", "eps", "slope", "word", "threshold"],
)
def test_what_the_librarys_code_reads_matters_also_where_another_gave_the_same(net, changes):
    step, x = rg.compile(lambda x: net(x)), np.array([[1.0, 2.0], [-3.0, 4.0]])
    with np.errstate(all="ignore"):
        for change in changes:
            change()
            for _ in range(5):
                np.testing.assert_allclose(step(x).data, net(rg.Tensor(x)).data, rtol=1e-12)
