"""Each pass on calls that are written out: what it returns, and that it changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from compiler.parts import argument, call, constant, listing, outside, program, write
from retrograd.compiler.passes import compute, optimise, prune, shorten, substitute
from retrograd.engine import astype


def test_equal_calls_are_merged():
    x = argument(3)
    first, again = call(np.exp, x), call(np.exp, x)
    total = call(np.add, first.outs[0], again.outs[0])
    calls, replaced = shorten([first, again, total])
    assert listing(calls, x) == ["a = exp(x)", "b = add(a, a)"]
    assert replaced == {again.outs[0]: first.outs[0]}


def test_calls_that_differ_in_the_type_of_a_number_stay_apart():
    x = argument(3)
    calls = [call(np.multiply, x, 2), call(np.multiply, x, 2.0)]
    assert len(shorten(calls)[0]) == 2


def test_equal_calls_on_either_side_of_a_write_stay_apart():
    x, w = argument(3), outside(3)
    calls = [call(np.exp, w), write(np.add, w, x), call(np.exp, w)]
    assert listing(shorten(calls)[0], x, w) == ["a = exp(y)", "add(y, x)", "b = exp(y)"]


def test_calls_of_constants_are_computed():
    x = argument(2)
    doubled = call(np.multiply, constant([1.0, 2.0]), 2.0)
    total = call(np.add, x, doubled.outs[0])
    calls, replaced = shorten([doubled, total])
    assert listing(calls, x) == ["a = add(x, [2.0, 4.0])"]
    assert replaced[doubled.outs[0]].kind == "const"
    np.testing.assert_array_equal(compute(doubled)[0].array, [2.0, 4.0])


@pytest.mark.parametrize(
    "give",
    [
        lambda x: [call(np.multiply, x, 1.0)],
        lambda x: [call(np.multiply, constant(np.ones(3)), x)],
        lambda x: [call(np.divide, x, 1)],
        lambda x: [call(np.copy, x)],
        lambda x: [call(astype, x, np.dtype(float))],
        lambda x: [n := call(np.negative, x), call(np.negative, n.outs[0])],
    ],
)
def test_what_gives_back_an_argument_is_left_out(give):
    x = argument(3)
    given = give(x)
    last = call(np.exp, given[-1].outs[0])
    calls, _ = shorten([*given, last])
    assert listing(prune(calls, last.outs), x) == ["a = exp(x)"]


def test_what_gives_back_another_layout_or_dtype_stays():
    x = argument(3, 2)
    turned = call(np.transpose, x)
    calls = [turned, call(np.copy, turned.outs[0], order="C"), call(astype, x, np.dtype("f4"))]
    assert shorten(calls)[0] == calls


def test_what_nothing_uses_is_dropped_but_no_write_outside():
    x, w = argument(3), outside(3)
    used, unused = call(np.exp, x), call(np.sin, x)
    calls = [used, unused, write(np.add, w, x)]
    assert listing(prune(calls, used.outs), x, w) == ["a = exp(x)", "add(y, x)"]
    inside = [made := call(np.exp, x), write(np.add, made.outs[0], x)]
    assert prune(inside, []) == []


def test_a_write_goes_with_what_stands_for_its_target():
    x = argument(3)
    first, again = call(np.exp, x), call(np.exp, x)
    (changed,) = substitute([write(np.add, again.outs[0], x)], {again.outs[0]: first.outs[0]})
    assert changed.args[0] is changed.outs[0] is first.outs[0]


def test_a_recording_is_left_as_it_is_and_can_be_optimised_again():
    x, scale = argument(3), outside(3)
    doubled = call(np.multiply, scale, 2.0)
    same = call(np.multiply, scale, 2.0)
    total = call(np.add, doubled.outs[0], same.outs[0])
    out = call(np.multiply, x, total.outs[0])
    recorded = program([x], [doubled, same, total, out], out.outs[0])
    before = listing(recorded.calls, x, scale)
    once = optimise(recorded)
    assert listing(once.calls, x, scale) == [
        "a = multiply(y, 2.0)",
        "b = add(a, a)",
        "c = multiply(x, b)",
    ]
    again = optimise(recorded, {scale})
    assert listing(again.calls, x) == ["a = multiply(x, [0.0, 4.0, 8.0])"]
    assert listing(recorded.calls, x, scale) == before
    assert listing(optimise(recorded).calls, x, scale) == listing(once.calls, x, scale)
    assert again.results == out.outs


def test_a_constant_that_was_found_takes_the_name_of_what_it_stands_for():
    x, scale = argument(3), outside(3)
    out = call(np.multiply, x, scale)
    recorded = program([x], [out], out.outs[0])
    recorded.names.wishes[scale] = "scale"
    names = optimise(recorded, {scale}).names.wishes
    assert [name for v, name in names.items() if v.kind == "const"] == ["scale"]
