"""Tensor has ndarray's methods, and they are NumPy's functions."""

import numpy as np
import pytest

import retrograd as rg
from rules.checking import Array, check, distinct

METHODS = {
    "sum": {"axis": 0},
    "mean": {"axis": -1},
    "max": {"axis": 0},
    "min": {"axis": (0, 1)},
    "prod": {"axis": 1},
    "var": {"ddof": 1},
    "std": {"axis": 0},
    "clip": {"min": -1.0, "max": 1.0},
    "reshape": {"shape": (3, 2)},
    "ravel": {},
    "flatten": {},
    "transpose": {},
    "swapaxes": {"args": (0, 1)},
    "squeeze": {},
    "astype": {"dtype": np.float64},
    "copy": {},
    "conj": {},
    "conjugate": {},
    "diagonal": {"offset": 1},
    "trace": {},
    "cumsum": {"axis": 1},
    "cumprod": {},
    "take": {"indices": [0, 0, 1], "axis": 1},
    "repeat": {"repeats": 2, "axis": 0},
    "compress": {"condition": [True, False, True], "axis": 1},
    "dot": {"b": np.ones((3, 2), int)},
}


def test_every_method_that_counts_is_checked():
    counted = {name for name in rg.coverage().methods if name.startswith("ndarray.")}
    assert counted == {f"ndarray.{name}" for name in METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_the_derivatives_of_its_values(name):
    options = dict(METHODS[name])
    args = [options.pop(key) for key in ("b", "shape") if key in options]
    args += options.pop("args", ())
    check(lambda x: getattr(x, name)(*args, **options), [Array((2, 3), distinct)])


@pytest.mark.parametrize("name", ["argsort", "round", "argmax", "argmin", "any", "all"])
def test_a_method_without_gradient_gives_numpys_values(name):
    x = np.array([[1.7, -0.2], [0.4, 3.1]])
    out = getattr(rg.Tensor(x, requires_grad=True), name)()
    np.testing.assert_array_equal(out.data, getattr(x, name)())
    assert not out.requires_grad
