"""Sums and products over time become one, where nothing comes between."""

from __future__ import annotations

import operator

import numpy as np

from compiler.parts import argument, call, listing, outside, write
from retrograd.compiler.passes import prune
from retrograd.compiler.stacking import MANY, products_at_once, sums_at_once

STEPS = MANY


def products(pairs):
    """Return calls for the sum of `a.T @ b` over pairs."""
    calls, total = [], None
    for a, b in pairs:
        turned = call(np.transpose, a)
        term = call(np.matmul, turned.outs[0], b)
        calls += [turned, term]
        if total is None:
            total = term.outs[0]
        else:
            calls.append(call(np.add, total, term.outs[0]))
            total = calls[-1].outs[0]
    return calls, total


def test_a_sum_of_products_is_a_product_of_the_stacked_factors():
    pairs = [(argument(2, 3), argument(2, 4)) for _ in range(STEPS)]
    calls, total = products(pairs)
    found = prune(sums_at_once(calls, [total]), [total])
    assert [c.fn.__name__ for c in found] == ["concat", "concat", "transpose", "matmul"]
    assert found[-1].outs == (total,)
    factors = zip(found[0].args, found[1].args, strict=True)
    assert set(factors) == set(pairs)


def test_a_sum_of_few_products_stays():
    calls, total = products([(argument(2, 3), argument(2, 4)) for _ in range(STEPS - 1)])
    assert sums_at_once(calls, [total]) == calls


def test_a_product_that_is_a_result_too_stays_in_the_sum():
    calls, total = products([(argument(2, 3), argument(2, 4)) for _ in range(STEPS)])
    term = calls[1].outs[0]
    assert sums_at_once(calls, [total, term]) == calls


def slices(base, matrix, steps):
    calls = []
    for i in range(steps):
        part = call(operator.getitem, base, i)
        calls += [part, call(np.matmul, part.outs[0], matrix)]
    return calls


def test_products_of_all_slices_with_one_matrix_are_one():
    x, w = argument(STEPS, 2, 3), outside(3, 5)
    calls = slices(x, w, STEPS)
    outs = [c.outs[0] for c in calls[1::2]]
    found = prune(products_at_once(calls), outs)
    assert listing(found, x, w) == [
        "a = reshape(x, (-1, 3))",
        "b = matmul(a, y)",
        "c = getitem(b, 0:2)",
        "d = getitem(b, 2:4)",
        "e = getitem(b, 4:6)",
        "f = getitem(b, 6:8)",
    ]
    assert [c.outs[0] for c in found[2:]] == outs


def test_products_of_some_slices_stay():
    x, w = argument(STEPS + 1, 2, 3), outside(3, 5)
    calls = slices(x, w, STEPS)
    assert products_at_once(calls) == calls


def test_products_between_which_the_matrix_is_written_stay():
    x, w = argument(STEPS, 2, 3), outside(3, 5)
    calls = slices(x, w, STEPS)
    calls.insert(2, write(np.multiply, w, 0.5))
    assert products_at_once(calls) == calls
