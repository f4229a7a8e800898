"""What nets and statistics share: the logistic function, the softmax, and their logarithms."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import special
from retrograd.nn import functional
from retrograd.special import logistic

X = np.array([-800.0, -40.0, -1.5, 0.0, 0.3, 40.0, 800.0])


@pytest.mark.parametrize("name", ["sigmoid", "logsigmoid", "softmax", "log_softmax"])
def test_nets_use_the_functions_that_stand_here(name):
    assert getattr(functional, name) is getattr(logistic, name)


def test_the_logistic_function_of_nets_is_that_of_statistics():
    np.testing.assert_allclose(functional.sigmoid(X), special.expit(X), rtol=1e-15, atol=1e-300)
    np.testing.assert_array_equal(functional.logsigmoid(X), special.log_expit(X))


def test_the_tails_of_expit_and_of_its_slope_keep_their_digits():
    x = rg.Tensor([-740.0, -40.0, 40.0], requires_grad=True)
    out = special.expit(x)
    np.testing.assert_allclose(out.data[:2], np.exp(x.data[:2]), rtol=1e-15, atol=0)
    out.backward(np.ones(3))
    np.testing.assert_allclose(x.grad, np.exp(-np.abs(x.data)), rtol=1e-14, atol=0)


def test_logit_is_the_inverse_of_expit():
    p = np.array([1e-300, 0.2, 0.5, 0.9])
    np.testing.assert_allclose(special.expit(special.logit(p)), p, rtol=1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        edges = special.logit(np.array([0.0, 1.0, 1.5]))
    np.testing.assert_array_equal(edges, [-np.inf, np.inf, np.nan])


def test_a_softmax_goes_over_the_last_axis_in_nets_and_over_all_in_statistics():
    x = np.arange(6.0).reshape((2, 3))
    np.testing.assert_array_equal(functional.softmax(x), special.softmax(x, axis=1))
    np.testing.assert_allclose(np.sum(functional.softmax(x), axis=-1), [1.0, 1.0])
    np.testing.assert_allclose(np.sum(special.softmax(x)), 1.0)
    np.testing.assert_allclose(special.log_softmax(x), np.log(special.softmax(x)), rtol=1e-14)
