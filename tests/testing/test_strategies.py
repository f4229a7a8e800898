"""The strategies draw what they say."""

import numpy as np
import pytest
from hypothesis import given

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


@given(arrays((2, 3), np.complex64), tensors((4,), complex, values_off_kinks(0.5, 2.0)))
def test_complex_arrays_have_parts_that_are_drawn(x, t):
    assert (x.shape, x.dtype, t.dtype) == ((2, 3), np.complex64, np.complex128)
    assert all(abs(4 * v - round(4 * v)) > 0.1 for v in (*x.real.flat, *x.imag.flat))
    assert np.all((t.data.real >= 0.5) & (t.data.imag >= 0.5))
