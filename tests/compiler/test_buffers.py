"""Arrays share memory one after the other, and never at the same time."""

from __future__ import annotations

import numpy as np

from compiler.parts import argument, call, program, write
from retrograd.compiler.assembly import assemble
from retrograd.compiler.buffers import find_joined
from retrograd.compiler.ir import Flow
from retrograd.compiler.writer import setup_lines
from retrograd.rules.joining import concat

X = argument(3, 4)


def setup(calls, *results):
    return setup_lines(assemble(program([X], calls, *results)))


def test_an_output_lies_over_an_argument_that_is_used_no_more():
    a = call(np.exp, X)
    b = call(np.sin, a.outs[0])
    assert setup([a, b], b.outs[0])[-1] == "sin = exp"


def test_an_argument_that_is_used_later_is_kept():
    a = call(np.exp, X)
    b = call(np.sin, a.outs[0])
    c = call(np.add, a.outs[0], b.outs[0])
    lines = setup([a, b, c], c.outs[0])
    assert "sin = np.empty(12, np.float64).reshape((3, 4))" in lines
    assert lines[-1] == "add = exp"


def test_memory_that_is_over_is_used_again():
    a = call(np.exp, X)
    b = call(np.sort, a.outs[0])  # no ufunc: not over its argument
    c = call(np.sort, b.outs[0])
    assert setup([a, b, c], c.outs[0]) == [
        "buffer = np.empty(12, np.float64)",
        "exp = buffer.reshape((3, 4))",
        "sort = np.empty(12, np.float64).reshape((3, 4))",
        "sort_2 = buffer.reshape((3, 4))",
    ]


def test_a_smaller_array_takes_the_first_part_of_a_buffer_but_of_no_huge_one():
    a = call(np.exp, X)
    b = call(np.sum, a.outs[0], axis=0)
    c = call(np.sort, b.outs[0])
    lines = setup([a, b, c], c.outs[0])
    assert "sort = buffer[:4]" in lines
    big = argument(1000)
    a = call(np.exp, big)
    b = call(np.add, call(np.sort, a.outs[0]).outs[0], 1.0)
    assert not any("[:" in line for line in setup([a], a.outs[0]))


def test_a_view_keeps_the_memory_that_it_looks_at():
    a = call(np.exp, X)
    view = call(np.transpose, a.outs[0])
    b = call(np.sort, X)
    c = call(np.add, view.outs[0], 1.0)
    lines = setup([a, view, b, c], b.outs[0], c.outs[0])
    assert len([line for line in lines if "np.empty(12" in line]) == 2


def test_what_is_written_is_not_computed_where_it_is_joined():
    a, b = call(np.exp, X), call(np.sin, X)
    joined = call(concat, a.outs[0], b.outs[0], axis=0)
    calls = [a, b, joined]
    assert find_joined(calls, Flow(calls))[b.outs[0]] == (joined.outs[0], 12)
    calls.insert(2, write(np.add, a.outs[0], 1.0))
    assert a.outs[0] not in find_joined(calls, Flow(calls))
