"""The gamma function and its derivatives, below zero and at their zeros too."""

import math
import warnings

import numpy as np
import pytest

from retrograd import special
from retrograd.testing import gradcheck, gradgradcheck
from special.points import ABOVE, NEAR, NEGATIVE, POINTS, POSITIVE, relative

scipy_special = pytest.importorskip("scipy.special")


@pytest.mark.parametrize("name", ["gammaln", "digamma", "gamma"])
def test_values_below_zero_agree_too(name):
    x = NEGATIVE[np.abs(NEGATIVE - np.rint(NEGATIVE)) > 1e-6]
    got, want = getattr(special, name)(x), getattr(scipy_special, name)(x)
    far = np.abs(want) > 0.05  # a zero of the function costs digits
    assert relative(got[far], want[far]) < 1e-11


def test_the_zeros_of_gammaln_keep_their_digits():
    euler, zeta2 = 0.5772156649015329, np.pi**2 / 6
    for x, slope, bend in ((1.0, -euler, zeta2), (2.0, 1 - euler, zeta2 - 1)):
        h = (x + NEAR) - x
        want = h * (slope + h * (bend / 2 + h * (special.polygamma(2, np.array(x)) / 6)))
        assert relative(special.gammaln(x + h), want) < 1e-12


@pytest.mark.parametrize("n", [0, 1, 2, 3, 6])
def test_polygammas_agree(n):
    x = POSITIVE[(POSITIVE > 1e-20) & (POSITIVE < 1e5)]
    assert relative(special.polygamma(n, x), scipy_special.polygamma(n, x)) < 1e-12
    if n <= 2:
        below = NEGATIVE[np.abs(NEGATIVE - np.rint(NEGATIVE)) > 0.01]
        got, want = special.polygamma(n, below), scipy_special.polygamma(n, below)
        if n == 1:  # SciPy has the others for positive arguments only
            assert relative(got, want) < 1e-10


@pytest.mark.parametrize("n", range(9))
def test_polygammas_below_zero_obey_the_recurrence(n):
    # psi_n(x + 1) = psi_n(x) + (-1)^n n! x^-(n + 1), up to where SciPy's are known
    x = np.array([-0.3, -1.7, -2.45, -0.52, -5.9, -0.01])
    steps = 7
    want = special.polygamma(n, x + steps)
    for k in range(steps):
        want = want - (-1.0) ** n * math.factorial(n) * (x + k) ** -(n + 1.0)
    np.testing.assert_allclose(special.polygamma(n, x), want, rtol=1e-9)
    gradcheck(lambda x: special.polygamma(n, x), x[:-1], rtol=1e-4)


def test_polygammas_have_poles_at_whole_numbers_from_0_down():
    for n in range(1, 6):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = special.polygamma(n, np.array([0.0, -1.0, -7.0, 0.25]))
        assert np.all(found[:3] == np.inf) if n % 2 else np.all(np.isnan(found[:3]))
        assert np.isfinite(found[3])


def test_derivatives_of_polygamma_are_right():
    gradcheck(lambda x: special.polygamma(1, x), np.append(ABOVE, -0.4))
    gradgradcheck(lambda x: special.polygamma(3, x), ABOVE)


def test_bad_orders_of_polygamma_are_named():
    with pytest.raises(TypeError, match=r"1\.5"):
        special.polygamma(1.5, POINTS)
    with pytest.raises(ValueError, match="-1"):
        special.polygamma(-1, POINTS)
