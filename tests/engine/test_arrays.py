"""What becomes an array, and of which dtype."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from retrograd.engine import Constants


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.0, np.float64),
        ([1.0, 2.0], np.float64),
        ([1, 2], int),
        (True, np.bool_),
        (np.float32(1), np.float32),
        (np.ones(2, np.float16), np.float16),
        (np.arange(3, dtype=np.uint8), np.uint8),
    ],
)
def test_what_comes_in_keeps_its_dtype(data, dtype):
    assert rg.Tensor(data).dtype == dtype


def test_lists_and_python_floats_take_the_default_dtype_and_arrays_do_not():
    rg.set_default_dtype(np.float32)
    try:
        assert rg.Tensor([0.5]).dtype == np.float32
        assert rg.Tensor(0.5).dtype == np.float32
        assert rg.Tensor(np.array([0.5])).dtype == np.float64
        assert rg.Tensor([1]).dtype == int
        assert rg.get_default_dtype() == np.float32
        assert rg.nn.Linear(2, 2).weight.dtype == np.float32
    finally:
        rg.set_default_dtype(np.float64)


@pytest.mark.parametrize("dtype", [int, bool, complex, "no dtype"])
def test_the_default_dtype_must_be_floating(dtype):
    with pytest.raises(TypeError):
        rg.set_default_dtype(dtype)
    assert rg.get_default_dtype() == np.float64


@pytest.mark.parametrize("data", ["text", None, [None], {"a": 1}, object()])
def test_what_is_no_number_is_a_type_error(data):
    with pytest.raises(TypeError, match="a Tensor holds numbers"):
        rg.Tensor(data)


def test_a_ragged_list_is_an_error():
    with pytest.raises(ValueError, match="inhomogeneous"):
        rg.Tensor([[1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    "call",
    [
        lambda m, t: t * m,
        lambda m, t: m * t,
        lambda m, t: np.ma.exp(t),
        lambda m, t: rg.Tensor(m),
    ],
)
def test_masked_arrays_are_refused(call):
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    with pytest.raises(TypeError, match="array"):
        call(masked, leaf(1.0, 2.0))


def test_constants_are_made_once_for_a_dtype_and_cannot_be_written():
    constants = Constants(0.5, 2.0)
    half, two = constants[np.dtype(np.float32)]
    assert (half.dtype, half.shape, float(two)) == (np.float32, (), 2.0)
    assert constants[np.dtype(np.float32)][0] is half
    assert constants[np.dtype(np.int64)][0].dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        half[...] = 1.0
    assert Constants.number(half) == 0.5
    assert Constants.number(np.array(0.5, np.float32)) is None
