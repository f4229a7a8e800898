"""What a failed check tells, and kinks, which are no mistakes."""

import math

import numpy as np
import pytest

import retrograd as rg
from helpers import with_rule
from retrograd.testing import KinkError, gradcheck

X = np.array([0.5, -1.25, 2.0])


def test_the_table_names_the_function_the_step_and_the_worst_entry():
    def softplus(x):
        return np.log1p(np.exp(x))

    fn = with_rule(softplus, lambda g, out, x: g / (1 + np.exp(x)))
    with pytest.raises(AssertionError) as caught:
        gradcheck(fn, X, step=1e-4)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "the gradient of softplus differs from the difference quotient in 3 places "
        "(step 0.0001, float64)"
    )
    assert lines[1].split() == ["analytic", "numeric", "difference"]
    (worst,) = [line for line in lines if "worst" in line]
    assert "d out[2] / d x[2]" in worst
    analytic, numeric = worst.split()[5:7]
    assert float(analytic) == pytest.approx(1 / (1 + math.exp(2)), rel=1e-6)
    assert float(numeric) == pytest.approx(1 / (1 + math.exp(-2)), rel=1e-6)


def test_a_long_table_is_cut_and_keeps_the_worst():
    def square(x):
        return np.square(x)

    fn = with_rule(square, lambda g, out, x: g * x / 2)
    with pytest.raises(AssertionError, match=r"d x\[45\].*worst") as caught:
        gradcheck(fn, np.arange(46.0))
    assert "and 37 more" in str(caught.value)


def test_a_factor_is_named():
    fn = with_rule(np.square, lambda g, out, x: g * 4 * x)
    with pytest.raises(AssertionError, match="All are 2 times the difference quotient"):
        gradcheck(fn, X)


def test_paths_into_trees_are_named():
    def model(params):
        return params["layers"][1] * params["layers"][0].data

    with pytest.raises(AssertionError, match=r"d params\['layers'\]\[0\]\[0\]"):
        gradcheck(model, {"layers": [np.ones(1), np.full(1, 2.0)]})


# Kinks


@pytest.mark.parametrize("full", [False, True], ids=["directions", "full"])
@pytest.mark.parametrize(
    ("fn", "point"),
    [
        (rg.nn.functional.relu, np.zeros(2)),
        (np.abs, np.array([1e-4, 1.0])),
        (lambda x: np.maximum(x, 1.0), np.array([1.0 + 3e-4])),
        (np.max, np.array([1.0, 1.0 + 2e-4, 0.5])),
    ],
)
def test_a_kink_is_reported_as_such(fn, point, full):
    with pytest.raises(KinkError, match="kink: slopes"):
        gradcheck(fn, point, full=full)


def test_a_gradient_outside_the_slopes_of_a_kink_is_wrong():
    fn = with_rule(np.abs, lambda g, out, x: g * 2)
    with pytest.raises(AssertionError) as caught:
        gradcheck(fn, np.zeros(2))
    assert not isinstance(caught.value, KinkError)


def test_a_wrong_entry_beside_a_kink_is_wrong():
    fn = with_rule(rg.nn.functional.relu.__wrapped__, lambda g, out, x: g * (x > 0) * 3)
    with pytest.raises(AssertionError) as caught:
        gradcheck(fn, np.array([0.0, 1.0]))
    assert not isinstance(caught.value, KinkError)
