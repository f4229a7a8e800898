"""Names that a reader knows."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from compiler.parts import argument, call
from retrograd.compiler.ir import Flow, Names
from retrograd.compiler.names import Taken, merge, name_assigned, wish
from retrograd.lines import Line


def test_each_name_is_given_once_and_numbered_from_two_on():
    taken = Taken(["lr"])
    assert [taken.fresh("a") for _ in range(3)] == ["a", "a_2", "a_3"]
    assert taken.fresh("a_4") == "a_4"
    assert [taken.fresh("a"), taken.fresh("lr")] == ["a_5", "lr_2"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("0.weight", "t0_weight"),
        ("", "t"),
        ("class", "class_2"),
        ("sum", "sum_2"),
        ("input", "input"),
    ],
)
def test_a_wish_becomes_an_identifier_that_is_free(given, name):
    assert Taken().fresh(given) == name


def test_an_array_is_called_as_the_user_does_or_by_what_makes_it():
    x = argument(3)
    made = call(np.exp, x)
    names = Names({x: "x"}, {})
    assert wish(x, names, Flow([made])) == "x"
    assert wish(made.outs[0], names, Flow([made])) == "exp"
    assert wish(made.outs[0], names, Flow()) == "exp"


def test_a_gradient_is_called_after_what_it_is_the_gradient_of():
    x = argument(3)
    first, second = call(np.exp, x).outs[0], call(np.sin, x).outs[0]
    names = Names({x: "x"}, {first: x, second: first})
    assert [wish(v, names, Flow()) for v in (first, second)] == ["d_x", "d_d_x"]
    circle = Names({}, {first: second, second: first})
    assert wish(first, circle, Flow()) == "d_d_exp"


def test_what_stands_for_another_takes_its_name_unless_it_has_one():
    a, b, c = (argument(1) for _ in range(3))
    names = Names({a: "a", c: "c"}, {a: c})
    merged = merge(names, [(a, b), (b, c)])
    assert merged.wishes == {a: "a", b: "a", c: "c"}
    assert merged.gradient_of[b] is c
    assert names.wishes == {a: "a", c: "c"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("loss = np.exp(x)", "loss"),
        ("self.hidden = np.exp(x)", "hidden"),
        ("same == np.exp(x)", None),
        ("out = net(", None),
        ("return np.exp(x)", None),
    ],
)
def test_the_last_call_of_a_line_is_called_as_the_line_assigns_it(text, name):
    x = argument(3)
    line = Line("file.py", 1, text)
    first = call(np.sin, x, line=line)
    last = call(np.exp, first.outs[0], line=line)
    found = name_assigned(Names({}, {}), [first, last]).wishes
    assert found == ({last.outs[0]: name} if name else {})


def test_a_program_calls_parameters_outputs_and_arguments_as_modules_do():
    net = rg.nn.Sequential(rg.nn.Linear(2, 3, rng=0), rg.nn.Tanh())
    offset = rg.Tensor(np.arange(3.0))

    @rg.compile
    def step(batch, *rest):
        hidden = net(batch["x"])
        return hidden * rest[0] + offset

    step({"x": np.ones((4, 2))}, np.ones(3))
    source = step.source
    for name in ("batch_x", "rest_1", "linear0_weight", "linear0_bias", "tanh1", "offset"):
        assert name in source
