"""`gradient_property` needs one line, and catches what it says."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import strategies as st

import retrograd as rg
from retrograd.testing import gradient_property
from retrograd.testing.strategies import arrays, shapes

test_a_ufunc_needs_one_line = gradient_property(np.logaddexp)


test_a_product_needs_one_line = gradient_property(np.matmul)


test_a_sum_needs_one_line = gradient_property(np.sum)


test_a_maximum_needs_one_line = gradient_property(np.max)


@gradient_property
def test_a_function_of_ones_own_needs_two_lines(x, y):
    return np.tanh(x) * y + np.abs(x - y)


@gradient_property(x=arrays(shapes(min_dims=1, min_side=1), distinct=True), axis=st.just(-1))
def test_arguments_may_be_drawn_by_strategies(x, axis):
    return np.max(x, axis=axis)


@gradient_property(order=1)
def test_a_function_of_first_order_only_says_so(x):
    return FirstOnly.apply(x)


class FirstOnly(rg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @rg.autograd.once_differentiable
    def backward(ctx, g):
        return g * 2


def caught(body, *vjps):
    fn = rg.primitive(body)
    rg.defvjp(fn, *vjps)
    with pytest.raises(AssertionError) as error:
        gradient_property(fn)()
    return str(error.value)


def test_a_wrong_formula_is_caught():
    assert "differs from the difference quotient" in caught(
        lambda x: np.sin(x), lambda g, out, x: g * np.sin(x)
    )


def test_a_constant_that_widens_float32_is_caught():
    assert "are its constants Python floats" in caught(
        lambda x: x * 2.0, lambda g, out, x: g * np.float64(2)
    )


def test_a_rule_that_writes_is_caught():
    def writes(g, out, x):
        if isinstance(g, np.ndarray) and not g.flags.writeable:
            g *= 2
            return g
        return g * 2

    assert "writes into its input" in caught(lambda x: x * 2.0, writes)


def test_it_refuses_what_it_cannot_test():
    with pytest.raises(TypeError, match="decorates a function"):
        gradient_property(3)
    with pytest.raises(ValueError, match="order"):
        gradient_property(order=3)(np.sin)
    with pytest.raises(TypeError, match="no parameter y"):
        gradient_property(y=st.just(1))(lambda x: x)


def test_gradcheck_works_without_hypothesis_and_the_rest_says_what_is_missing():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import numpy as np, retrograd as rg\n"
        "assert rg.testing.gradcheck(np.sin, np.ones(2))\n"
        "try:\n    rg.testing.gradient_property\n"
        "except ModuleNotFoundError as error:\n    print(error.__notes__[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install hypothesis" in done.stdout
