"""How each call is spelled, on programs of one or two calls written out by hand."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import retrograd as rg
from compiler.parts import argument, call, constant, outside, program, write
from retrograd.compiler.assembly import assemble
from retrograd.compiler.live import Live, Reading
from retrograd.compiler.writer import PYTHON, setup_lines
from retrograd.engine import astype
from retrograd.rules.joining import concat
from retrograd.rules.products import contract

X, Y = argument(3, 4), argument(3, 4)
ROW, SQUARE = argument(1, 4), argument(4, 4)
MADE = call(np.exp, X)  # arguments are others in every run, what is made lies in a buffer
OUT = MADE.outs[0]


def body(args, calls, **more):
    results = (calls[-1].outs[0],)
    code = assemble(program(args, calls, *results, **more))
    return [PYTHON.statement(step.statement) for step in code.body], code


@pytest.mark.parametrize(
    ("spelled", "text"),
    [
        (call(np.exp, X), ["np.exp(x, out=exp)"]),
        (call(np.add, X, Y), ["np.add(x, y, out=add)"]),
        (call(np.multiply, X, 2.0), ["np.multiply(x, two, out=multiply)"]),
        (call(np.maximum, X, 0.0), ["np.maximum(x, zero, out=maximum)"]),
        (call(np.ldexp, X, 2), ["np.ldexp(x, 2, out=ldexp)"]),
        (call(np.sum, X), ["np.add.reduce(x, axis=None, out=sum_2)"]),
        (call(np.sum, X, axis=0), ["ones.dot(x, out=sum_2)"]),
        (call(np.sum, X, axis=1, keepdims=True), ["x.dot(ones, out=sum_2_flat)"]),
        (call(np.max, X, axis=1), ["np.maximum.reduce(x, axis=1, out=max_2)"]),
        (call(np.mean, X, axis=0), ["ones.dot(x, out=mean)", "np.divide(mean, c_3, out=mean)"]),
        (call(np.copy, X), ["np.copyto(copy, x)"]),
        (call(astype, X, np.dtype("f4")), ['np.copyto(astype, x, casting="unsafe")']),
        (call(np.clip, X, 0.0, 1.0), ["np.clip(x, 0.0, 1.0, out=clip)"]),
        (call(np.argmax, X, axis=1), ["np.argmax(x, axis=1, out=argmax)"]),
        (call(np.where, X, Y, 0.5), ["np.copyto(where, 0.5)",
                                     "np.copyto(where, y, where=np.not_equal(x, 0))"]),
        (call(np.sort, X, axis=0), ["sort[...] = np.sort(x, axis=0)"]),
        (call(operator.getitem, X, (slice(None, None, 2), 1)), ["part = x[::2, 1]"]),
        (call(np.transpose, X), ["x_T = x.T"]),
        (call(np.reshape, X, (-1,)), ["x_flat = x.reshape(-1)"]),
        (call(np.swapaxes, X, 0, 1), ["swapaxes = x.swapaxes(0, 1)"]),
        (call(concat, X, Y, axis=1), ["np.concatenate((x, y), axis=1, out=joined)"]),
        (call(contract, X, Y, subscripts="ij,ij->i"),
         ['np.einsum("ij,ij->i", x, y, out=einsum)']),
    ],
)  # fmt: skip
def test_a_call_of_arguments(spelled, text):
    assert body([X, Y], [spelled])[0] == text


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        (X, SQUARE, "x.dot(y, out=matmul)"),
        (argument(2, 3, 4), SQUARE, "np.matmul(x, y, out=matmul)"),
        (argument(3, 4, dtype=np.float32), SQUARE, "np.matmul(x, y, out=matmul)"),
        (argument(3, 4, dtype=int), argument(4, 2, dtype=int), "np.matmul(x, y, out=matmul)"),
    ],
)
def test_a_product_is_a_dot_of_floats_of_one_dtype_with_two_axes(left, right, text):
    assert body([left, right], [call(np.matmul, left, right)])[0] == [text]


def test_a_product_with_one_row_or_column_is_one_of_vectors():
    weight = call(np.exp, ROW)
    product = call(np.matmul, weight.outs[0], SQUARE)
    text, code = body([ROW, SQUARE], [weight, product])
    assert text[1] == "exp_flat.dot(y, out=matmul_flat)"
    assert "exp_flat = exp.reshape(-1)" in setup_lines(code)


def test_a_small_sum_of_all_elements_is_a_product_with_ones():
    assert body([X], [MADE, call(np.sum, OUT)])[0][1] == "sum_2 = ones.dot(exp_flat)"


def test_views_of_what_lies_still_are_made_before_all_runs():
    text, code = body([X], [MADE, turned := call(np.transpose, OUT), call(np.exp, turned.outs[0])])
    assert text == ["np.exp(x, out=exp)", "np.exp(exp_T, out=exp_2)"]
    assert "exp_T = exp.T" in setup_lines(code)


def test_parts_are_computed_where_they_are_joined():
    other = call(np.sin, Y)
    joined = call(concat, OUT, other.outs[0], axis=0)
    text, code = body([X, Y], [MADE, other, joined])
    assert text == ["np.exp(x, out=exp)", "np.sin(y, out=sin)"]
    assert setup_lines(code) == [
        "joined = np.empty((6, 4), np.float64)",
        "exp = joined[0:3]",
        "sin = joined[3:6]",
    ]


def test_what_is_joined_but_made_elsewhere_is_copied():
    joined = call(concat, OUT, Y, axis=0)
    text, _ = body([X, Y], [MADE, joined])
    assert text[1:] == ["np.copyto(joined[3:6], y)"]


def test_a_write_goes_into_its_target():
    w = outside(3, 4)
    text, code = body([X], [MADE, write(np.add, w, OUT)])
    assert text == ["np.exp(x, out=exp)", "np.add(w, exp, out=w)"]
    assert code.data["w"] is w.array


def test_a_number_that_is_read_anew_is_put_into_an_array_once():
    lr = Reading("lr", "lr", {"lr": 0.5}, (("lr",),))
    step = 1 - Live.of(lr) * 2
    calls = [call(np.multiply, X, step), call(np.multiply, Y, step), call(np.add, X, Live.of(lr))]
    text, code = body([X, Y], calls, lives=(lr,))
    assert text == [
        "factor[...] = 1 - (lr * 2)",
        "np.multiply(x, factor, out=multiply)",
        "np.multiply(y, factor, out=multiply_2)",
        "lr_now[...] = lr",
        "np.add(x, lr_now, out=add)",
    ]
    assert code.lives == ["lr"]


def test_a_result_whose_size_values_decide_is_checked_for_its_size():
    mask = argument(3, dtype=bool)
    found = call(operator.getitem, argument(3), mask)
    x = found.args[0]
    assert body([x, mask], [found])[0] == ["np.concatenate((x[y],), out=part)"]


def test_several_outputs_are_copied_into_their_arrays():
    both = call(np.frexp, X)
    first, second = (call(np.exp, X).outs[0], call(np.floor, X).outs[0])
    both.outs = (first, second)
    assert body([X], [both])[0] == [
        "frexp_new, frexp_2_new = np.frexp(x)",
        "frexp[...] = frexp_new",
        "frexp_2[...] = frexp_2_new",
    ]


def test_numbers_from_dot_products_are_numbers_of_python():
    v, w = argument(4), argument(4)
    dot = call(np.matmul, v, w)
    half = call(np.multiply, dot.outs[0], 0.5)
    assert body([v, w], [dot, half])[0] == ["matmul = x.dot(y)", "multiply = matmul * 0.5"]


def test_constants_of_one_value_are_written_as_such():
    calls = [call(np.add, X, constant(np.zeros((3, 4)))), call(np.add, X, constant(3.5))]
    text, code = body([X], calls)
    assert text == ["np.add(x, zeros, out=add)", "np.add(x, c_3p5, out=add_2)"]
    lines = setup_lines(code)
    assert "zeros = np.full((3, 4), 0.0, np.float64)" in lines
    assert "c_3p5 = np.array(3.5, np.float64)" in lines
    assert code.data == {}


def test_a_stack_times_one_matrix_is_one_product():
    step = rg.compile(lambda x, w: np.matmul(np.exp(x), w) * 2)
    rng = np.random.default_rng(0)
    for shapes in (((3, 4, 5), (5, 2)), ((2, 3, 4, 5), (5, 1)), ((1, 1, 5), (5, 3))):
        x, w = (rng.normal(size=s) for s in shapes)
        for _ in range(3):
            np.testing.assert_allclose(step(x, w).data, np.exp(x) @ w * 2, rtol=1e-13)
        assert ".dot(w" in step.fast_source
        turned = np.asfortranarray(w)
        np.testing.assert_allclose(step(x, turned).data, np.exp(x) @ w * 2, rtol=1e-13)
