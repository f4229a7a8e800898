"""The error function and the normal distribution undo their inverses."""

import numpy as np
import pytest

from retrograd import special

PROBABILITIES = np.array([1e-300, 1e-20, 0.01, 0.3, 0.5, 0.8, 0.999])


@pytest.mark.parametrize(
    ("fn", "inverse", "values"),
    [
        (special.erf, special.erfinv, 2 * PROBABILITIES[2:] - 1),
        (special.erfc, special.erfcinv, 2 * PROBABILITIES),
        (special.ndtr, special.ndtri, PROBABILITIES),
    ],
    ids=["erf", "erfc", "ndtr"],
)
def test_an_inverse_is_undone(fn, inverse, values):
    np.testing.assert_allclose(fn(inverse(values)), values, rtol=1e-11, atol=1e-16)


def test_the_tails_are_those_of_the_scaled_function():
    x = np.array([0.5, 5.0, 20.0])
    np.testing.assert_allclose(special.erfcx(x) * np.exp(-x * x), special.erfc(x), rtol=1e-14)
    np.testing.assert_allclose(special.log_ndtr(x), np.log1p(-special.ndtr(-x)), rtol=1e-14)
