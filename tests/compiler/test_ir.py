"""Programs as data: layouts, who makes what, what shares memory."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from compiler.parts import argument, call, constant, outside, program, write
from retrograd.compiler.ir import Call, Flow, Var


@pytest.mark.parametrize(
    "array",
    [
        np.empty((3, 4)),
        np.empty((3, 4)).T,
        np.empty((3, 4))[:, ::2],
        np.empty((2, 3, 4)).transpose(1, 0, 2),
        np.empty((3, 1, 4)),
        np.empty((0, 3))[:, :2],
        np.broadcast_to(np.empty(3), (2, 3)),
        np.empty(()),
    ],
)
def test_a_var_knows_the_layout_and_holds_no_memory_of_a_run(array):
    var = Var("made", array)
    assert var.array is None
    assert (var.shape, var.dtype, var.ndim, var.size) == (
        array.shape, array.dtype, array.ndim, array.size,
    )  # fmt: skip
    assert var.is_c_contiguous == array.flags.c_contiguous
    assert var.is_dense == array.flags.forc
    assert var.example().shape == array.shape


def test_a_constant_stands_for_what_never_changes():
    w = outside(3)
    assert (w.constant().kind, w.constant().array is w.array) == ("const", True)
    assert constant(1.0).constant(np.ones(2)).shape == (2,)


def test_views_share_the_memory_of_what_they_look_at():
    x, w = argument(3, 4), outside(3, 4)
    made = call(np.exp, x)
    turned = call(np.transpose, made.outs[0])
    part = call(operator.getitem, turned.outs[0], 0)
    calls = [made, turned, part, write(np.add, part.outs[0], 1.0), write(np.add, w, 1.0)]
    flow = Flow(calls)
    assert flow.viewed(part.outs[0]) is made.outs[0]
    assert flow.memory(part.outs[0]) == flow.memory(made.outs[0]) != flow.memory(x)
    assert flow.maker(made.outs[0]) is made
    assert flow.maker(x) is None
    assert flow.maker(2.0) is None
    assert set(flow.writes(calls)) == {flow.memory(made.outs[0]), flow.memory(w)}
    assert program([x], calls).written_outside(flow) == [w]


def test_arrays_outside_share_memory_as_they_do_there():
    base = np.zeros(6)
    first, second, other = (Var("captured", a) for a in (base[:3], base[3:], np.zeros(3)))
    flow = Flow()
    assert flow.memory(first) == flow.memory(second) != flow.memory(other)


def test_calls_are_changed_by_making_others():
    x, y = argument(3), argument(3)
    made = Call("call", np.add, (x, [y, 2.0]), {"axis": x}, (argument(3),))
    assert made.vars() == [x, y, x]
    assert made.vars(float) == [2.0]
    args, kwargs = made.change(lambda v: "v" if isinstance(v, Var) else v)
    assert (args, kwargs) == (("v", ["v", 2.0]), {"axis": "v"})
    assert made.vars() == [x, y, x]


def test_a_program_with_other_calls_says_what_became_of_its_results():
    x = argument(3)
    one, other = call(np.exp, x), call(np.sin, x)
    before = program([x], [one], one.outs[0], 3)
    after = before.with_calls([other], {one.outs[0]: other.outs[0]})
    assert after.results == (other.outs[0], 3)
    assert before.results == (one.outs[0], 3)
    assert after.wanted() == [other.outs[0]]
