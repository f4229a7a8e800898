"""The strategies draw what they say, and `gradient_property` catches what it says."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrograd as rg
from retrograd.testing import gradient_property
from retrograd.testing.strategies import (
    arrays,
    broadcastable,
    for_function,
    shapes,
    tensors,
    values_off_kinks,
)


@given(values_off_kinks(), values_off_kinks(0.5, 2.0), values_off_kinks(-2.0, -0.5))
def test_values_lie_in_their_range_and_off_the_kinks(any_, positive, negative):
    assert -3 <= any_ <= 3
    assert 0.5 <= positive <= 2
    assert -2 <= negative <= -0.5
    assert all(abs(4 * v - round(4 * v)) > 0.1 for v in (any_, positive, negative))


def test_a_range_without_values_is_an_error():
    with pytest.raises(ValueError, match="none from"):
        values_off_kinks(0.0, 0.05)


@given(broadcastable(3))
def test_shapes_broadcast_together(drawn):
    assert len(drawn) == 3
    np.broadcast_shapes(*drawn)


@given(tensors(), tensors((2, 3), np.float32, requires_grad=False), tensors(shapes(1, 1)))
def test_tensors_are_leaves_of_the_shape_and_dtype_asked_for(x, y, z):
    assert x.requires_grad
    assert x.is_leaf
    assert (y.shape, y.dtype, y.requires_grad) == ((2, 3), np.float32, False)
    assert z.ndim == 1


@given(arrays((3, 3), distinct=True))
def test_distinct_arrays_have_no_ties(x):
    assert np.unique(x).size == 9


@given(for_function(np.logaddexp), for_function(np.log), for_function(np.where))
def test_arguments_fit_the_function(two, one, three):
    np.logaddexp(*two)
    assert np.all(np.isfinite(np.log(*one)))
    np.where(*three)


@given(for_function(np.maximum))
def test_two_arrays_never_tie(args):
    x, y = np.broadcast_arrays(*args)
    assert not np.any(x == y)


@given(for_function(np.matmul))
def test_products_fit(args):
    np.matmul(*args)


def test_a_function_that_does_not_tell_its_arrays_is_an_error():
    with pytest.raises(TypeError, match="how many arrays"):
        for_function(lambda *arrays: arrays[0])


# gradient_property --------------------------------------------------------------------------------

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


# Without Hypothesis -------------------------------------------------------------------------------


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
