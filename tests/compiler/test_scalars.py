"""Which results are numbers of Python."""

from __future__ import annotations

import numpy as np

from compiler.parts import argument, call
from retrograd.compiler.scalars import find_numbers

V, W = argument(4), argument(4)


def test_what_is_computed_of_dot_products_is_a_number():
    dot = call(np.matmul, V, W)
    double = call(np.multiply, dot.outs[0], 2.0)
    assert find_numbers([dot, double], []) == {dot.outs[0], double.outs[0]}


def test_a_gradient_and_what_an_array_function_takes_are_arrays():
    dot = call(np.matmul, V, W)
    double = call(np.multiply, dot.outs[0], 2.0)
    assert find_numbers([dot, double], [double.outs[0]]) == set()
    exp = call(np.exp, double.outs[0])
    assert find_numbers([dot, double, exp], []) == set()


def test_a_long_chain_that_ends_in_an_array_is_found_at_once():
    calls = [call(np.matmul, V, W)]
    for _ in range(2000):
        calls.append(call(np.add, calls[-1].outs[0], 1.0))
    calls.append(call(np.exp, calls[-1].outs[0]))
    assert find_numbers(calls, []) == set()
