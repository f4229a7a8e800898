"""Logarithms of sums of exponentials, in entropies, and next to zeros."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import special
from retrograd.testing import gradgradcheck
from special.points import POINTS, relative

scipy_special = pytest.importorskip("scipy.special")


@pytest.mark.parametrize("name", ["xlogy", "xlog1py", "rel_entr", "kl_div", "betaln"])
def test_functions_of_two_arguments_agree(name):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.05, 3, 1000), rng.uniform(0.05, 3, 1000)
    want = getattr(scipy_special, name)(x, y)
    far = np.abs(want) > 0.05
    assert relative(getattr(special, name)(x, y)[far], want[far]) < 1e-12


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_sums_of_exponentials_agree(name, axis):
    x = np.random.default_rng(0).normal(size=(3, 4)) * 300
    got, want = getattr(special, name)(x, axis=axis), getattr(scipy_special, name)(x, axis=axis)
    assert np.shape(got) == np.shape(want)
    assert relative(got, want) < 1e-12
    if name == "logsumexp":
        got = special.logsumexp(x, axis=axis, keepdims=True)
        assert got.shape == scipy_special.logsumexp(x, axis=axis, keepdims=True).shape


def test_derivatives_over_an_axis_are_right():
    x = POINTS[:4].reshape(2, 2)
    gradgradcheck(lambda x: special.logsumexp(x, axis=0), x)
    gradgradcheck(lambda x: special.logsumexp(x, axis=-1, keepdims=True), x)
    gradgradcheck(lambda x: special.softmax(x, axis=1), x)
    gradgradcheck(lambda x: special.log_softmax(x, axis=0), x)


def test_a_weight_of_zero_takes_the_gradient_of_zero_probability_away():
    x, y = rg.Tensor([0.0, 0.5], requires_grad=True), rg.Tensor([0.0, 0.5], requires_grad=True)
    np.sum(special.xlogy(x, y)).backward()
    np.testing.assert_allclose(x.grad, [0.0, np.log(0.5)])
    np.testing.assert_allclose(y.grad, [0.0, 1.0])
