"""Incomplete gamma and beta functions, beta and zeta, against SciPy's."""

import warnings
from decimal import Decimal

import numpy as np
import pytest

from retrograd import special
from special.points import relative

scipy_special = pytest.importorskip("scipy.special")

X = np.concatenate([np.linspace(0.0, 60.0, 301), np.logspace(-8, 2.8, 150)])
U = np.concatenate([np.linspace(0, 1, 301), np.logspace(-10, -1, 50)])


@pytest.mark.parametrize("a", [0.05, 0.3, 1.0, 2.5, 10.0, 19.0, 21.0, 50.0, 300.0, 1e4])
@pytest.mark.parametrize("name", ["gammainc", "gammaincc"])
def test_shares_of_the_gamma_function_agree(name, a):
    x = X * max(a / 10, 1.0)
    got, want = getattr(special, name)(a, x), getattr(scipy_special, name)(a, x)
    seen = want > 1e-290
    assert relative(got[seen], want[seen]) < 2e-12


@pytest.mark.parametrize("a", [0.1, 1.0, 2.5, 20.0, 100.0])
@pytest.mark.parametrize("b", [0.2, 1.0, 3.0, 40.0])
def test_shares_of_the_beta_function_agree(a, b):
    got, want = special.betainc(a, b, U), scipy_special.betainc(a, b, U)
    seen = want > 1e-290
    assert relative(got[seen], want[seen]) < 2e-12


def test_the_upper_share_keeps_its_digits_where_it_is_tiny():
    a = np.array([1e-300, 1e-16, 1e-10, 1e-3, 0.1, 0.49, 0.5, 0.9])[:, None]
    x = np.array([1e-300, 1e-30, 1e-8, 0.1, 0.5, 1.0, 1.09, 1.11, 1.5])
    got, want = special.gammaincc(a, x), scipy_special.gammaincc(a, x)
    assert relative(got, want) < 1e-12


def test_all_of_the_beta_function_may_lie_at_one_end():
    a, b = np.array([[0.0, 2.0, np.inf, 3.0], [2.0, 0.0, 3.0, np.inf]])
    x = np.array([0.0, 1e-10, 0.5, 1.0])[:, None]
    got = special.betainc(a, b, x)
    np.testing.assert_array_equal(got, scipy_special.betainc(a, b, x))
    assert np.isnan(special.betainc(0.0, 0.0, 0.5))


def test_the_logarithm_of_the_beta_function_keeps_its_digits_for_large_arguments():
    a = np.array([1e-300, 0.01, 0.5, 3.0, 9.9, 10.1, 1e3, 1e6, 1e10, 1e15, 1e100])
    # SciPy's has 10 digits about 1e6
    assert relative(special.betaln(a[:, None], a), scipy_special.betaln(a[:, None], a)) < 1e-9
    exact = [float((2 / (Decimal(b) * (Decimal(b) + 1) * (Decimal(b) + 2))).ln()) for b in a]
    assert relative(special.betaln(3.0, a), exact) < 1e-13
    assert special.betaln(2.0, np.array(np.inf)) == -np.inf
    assert special.betaln(np.float32(0.5), np.float32(100.0)).dtype == np.float32


def test_beta_and_zeta_agree():
    a = np.concatenate([np.linspace(0.1, 30, 50), -np.linspace(0.13, 2.9, 11)])
    got = special.beta(a[:, None], a + 0.05)
    np.testing.assert_allclose(got, scipy_special.beta(a[:, None], a + 0.05), rtol=5e-12)
    q = np.linspace(0.01, 50, 300)
    for x in (1.0001, 1.5, 2.0, 3.3, 10.0, 40.0):
        assert relative(special.zeta(x, q), scipy_special.zeta(x, q)) < 1e-12
    assert abs(special.zeta(2.0) - np.pi**2 / 6) < 1e-15


def test_values_at_the_edges():
    inf, nan = np.inf, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fn, args, want in [
            (special.gammainc, ([1.0, 1.0, 1.0, 0.0, 0.0, -1.0], [0.0, inf, -1.0, 1.0, 0.0, 1.0]),
             [0.0, 1.0, nan, 1.0, nan, nan]),
            (special.gammaincc, ([1.0, 1.0, 0.0, inf], [0.0, inf, 1.0, 1.0]), [1.0, 0.0, 0.0, 1.0]),
            (special.betainc, ([1.0, 1.0, 1.0, -1.0], [2.0] * 4, [0.0, 1.0, 1.5, 0.5]),
             [0.0, 1.0, nan, nan]),
            (special.zeta, ([1.0, 0.5, 2.0, 2.0], [1.0, 1.0, 0.0, -0.5]), [inf, nan, inf, nan]),
        ]:  # fmt: skip
            np.testing.assert_array_equal(fn(*map(np.array, args)), want)


def test_logsumexp_takes_weights():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)), rng.uniform(0.1, 2.0, size=(4,))
    b[1] = 0.0
    for options in ({"axis": 1}, {"axis": 0, "keepdims": True}, {}):
        got = special.logsumexp(a, b=b, **options)
        want = scipy_special.logsumexp(a, b=b, **options)
        np.testing.assert_allclose(got, want, rtol=1e-13)
    assert special.logsumexp(np.array([1e4, 1.0]), b=np.array([0.0, 1.0])) == 1.0
    assert special.logsumexp(np.array([1.0, 1.0]), b=np.array([1.0, -1.0])) == -np.inf
    assert np.isnan(special.logsumexp(np.array([1.0, 1.0]), b=np.array([1.0, -2.0])))


def test_weighed_sums_of_exponentials_have_gradients_to_both():
    from retrograd.testing import gradcheck, gradgradcheck

    a, b = np.array([[0.3, -0.5, 1.2]]), np.array([[0.5], [2.0]])
    for axis in (None, 0, -1):
        gradcheck(lambda a, b, axis=axis: special.logsumexp(a, axis, b), a, b, full=True)
        gradgradcheck(lambda a, b, axis=axis: special.logsumexp(a, axis, b), a, b, full=True)
