"""A run whose calls are done in double precision, and what it tells a comparison."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import tree
from retrograd.compiler.precise import PreciseTape
from retrograd.compiler.recorder import record_run

LONG = np.full(
    (2_000_000, 2), 0.1, np.float32
)  # NumPy's sum along the rows is off by 1e-3 and more


def run(fn, *args):
    leaves, structure = tree.flatten((args, {}))
    tape, result = record_run(fn, "fn", leaves, structure, kind=PreciseTape)
    tape.put_back()
    return result


def test_each_call_of_short_floats_is_rounded_once():
    exact = np.sum(LONG, axis=0, dtype=np.float64)
    assert np.abs(np.sum(LONG, axis=0) - exact).max() > 50
    found = run(lambda x: np.sum(x, axis=0), LONG)._array
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, exact.astype(np.float32))


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "float64", "int32", "bool"])
def test_dtypes_and_views_stay_what_they_are(dtype):
    x = np.arange(12).reshape(3, 4).astype(dtype)

    def fn(x):
        return x.T, x[1:], x + x, np.where(x, x, x * x), np.sum(x, axis=0), x != x[0]

    plain = fn(x)
    for found, expected in zip(run(fn, x), plain, strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found._array, expected, rtol=1e-3)


def test_gradients_are_computed_so_too():
    w = rg.Tensor(np.float32([1.0, 2.0]), requires_grad=True)

    def fn(x):
        w.grad = None
        np.sum(x * w).backward()
        return w.grad

    exact = np.sum(LONG, axis=0, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(run(fn, LONG), exact)
