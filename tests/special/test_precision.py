"""In which dtype special functions are computed, and by whose code."""

import subprocess
import sys

import numpy as np
import pytest

import retrograd as rg
from retrograd import special
from special.points import DIFFERENTIATED

TWO = ["xlogy", "xlog1py", "rel_entr", "kl_div", "betaln", "beta"]
HALF = np.array([-5e4, -300.0, -17.0, -6.5, -0.25, 0.0, 0.25, 1.5, 6.0, 17.0, 300.0, 5e4], "f2")
WITHIN = np.array([0.001, 0.25, 0.5, 0.75, 0.999], "f2")
SLOPES_IN_HALF = {name: HALF for name in DIFFERENTIATED if name not in TWO}
SLOPES_IN_HALF |= dict.fromkeys(["erfinv", "erfcinv", "ndtri", "logit", "entr"], WITHIN)


def value_and_slope(fn, *inputs):
    leaves = [rg.Tensor(x, requires_grad=True) for x in inputs]
    with np.errstate(all="ignore"):
        out = fn(*leaves)
        grads = rg.autograd.grad(np.sum(out), leaves)
    return out.data, *(g.data for g in grads)


def assert_rounded(found, right):
    """Each is what the right one rounds to, but for a few of the last bits of float16."""
    for f, r in zip(found, right, strict=True):
        assert f.dtype == np.float16
        with np.errstate(over="ignore"):
            r = r.astype("f2")
        np.testing.assert_allclose(f, r, rtol=4e-3, atol=6e-5)


@pytest.mark.parametrize("name", SLOPES_IN_HALF)
def test_float16_is_right_to_its_own_digits(name):
    fn, x = getattr(special, name), SLOPES_IN_HALF[name]
    found = value_and_slope(fn, x)
    right = value_and_slope(fn, x.astype(float))
    assert_rounded(found, right)


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("kinds", [("f4", "f8"), ("f8", "f4"), ("f2", "f8"), ("i1", "f8"),
                                   ("f8", "i1"), ("f2", "f2"), ("f2", "f4")])  # fmt: skip
def test_arguments_of_two_dtypes_are_computed_in_that_of_the_result(name, kinds):
    fn = getattr(special, name)
    x, y = np.array([3.0, 1.0, 5.0]).astype(kinds[0]), np.array([2.0, 7.0, 4.0]).astype(kinds[1])
    dtype = np.result_type(x, y)
    right = fn(x.astype(float), y.astype(float))
    rtol = 1e-14 if dtype == "f8" else 2e-3
    for found in (fn(x, y), fn(rg.Tensor(x), y).data, fn(x, rg.Tensor(y)).data):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, right, rtol=rtol)


@pytest.mark.parametrize("name", ["erf", "erfc", "erfcx", "erfinv", "erfcinv", "log_ndtr",
                                  "gammaln", "digamma", "gamma"])  # fmt: skip
def test_scipys_kernel_computes_where_scipy_is_imported(name, scipys_kernels):
    theirs = getattr(pytest.importorskip("scipy.special"), name)
    (x,) = DIFFERENTIATED[name]
    for fn in (getattr(special, name), theirs):
        leaf = rg.Tensor(x, requires_grad=True)
        np.testing.assert_array_equal(fn(leaf).data, theirs(x))
    np.testing.assert_array_equal(getattr(special, name)(x), theirs(x))
    single = getattr(special, name)(x.astype("f4"))
    assert single.dtype == np.float32
    compiled = rg.compile(getattr(special, name))(rg.Tensor(x))
    np.testing.assert_allclose(compiled.data, theirs(x), rtol=1e-11)


def test_the_edges_are_those_of_scipy(scipys_kernels):
    theirs = pytest.importorskip("scipy.special")
    x = np.array([-2.0, -1.0, -0.0, 0.0, np.inf, np.nan])
    for name in ("gamma", "digamma"):
        with np.errstate(all="ignore"):
            kernel = getattr(theirs, name)(x)
            own = rg.compile(getattr(special, name))(rg.Tensor(x)).data
        np.testing.assert_array_equal(np.isnan(own), np.isnan(kernel))
        np.testing.assert_array_equal(own[3:], kernel[3:])


def test_without_scipy_the_formulas_here_compute():
    code = (
        "import sys, numpy as np, retrograd as rg\n"
        "x = np.linspace(0.1, 9.0, 50)\n"
        "own = rg.special.gammaln(x)\n"
        "assert 'scipy' not in sys.modules\n"
        "np.testing.assert_allclose(np.exp(own[0]), 9.513507698668732)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
