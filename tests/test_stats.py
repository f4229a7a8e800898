import numpy as np
import pytest

from retrograd import stats
from retrograd.testing import gradcheck, gradgradcheck

scipy_stats = pytest.importorskip("scipy.stats")

X = np.array([-0.7, 0.2, 0.6, 1.9, 7.5])
SHIFT, STRETCH = np.array([0.1, -0.3, 0.05, 0.0, 0.2]), np.array([1.5, 0.8, 2.0, 1.0, 3.0])
COV = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]])
DENSITIES = {
    "norm": (X, SHIFT, STRETCH),
    "t": (X, np.array([0.5, 1.0, 3.0, 10.0, 200.0]), SHIFT, STRETCH),
    "gamma": (X[1:], np.array([0.5, 1.0, 3.0, 8.0]), SHIFT[1:] - 0.5, STRETCH[1:]),
    "beta": tuple(map(np.array, ([0.2, 0.6], [0.5, 3.0], [2.0, 1.5], [0.1, -1.0], [0.5, 3.0]))),
    "multivariate_normal": (X[:3], SHIFT[:3], COV),
}  # fmt: skip
COUNTS = {
    "poisson": (np.array([0.0, 2.0, 7.0]), np.array([0.5, 3.0, 20.0])),
    "binom": (np.array([0.0, 2.0, 7.0]), np.array([3.0, 2.0, 20.0]), np.array([0.1, 0.5, 0.9])),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_log_densities_are_scipys_and_differentiate(name):
    fn, args = getattr(stats, name).logpdf, DENSITIES[name]
    want = getattr(scipy_stats, name).logpdf(*args)
    np.testing.assert_allclose(fn(*args), want, rtol=1e-12)
    gradcheck(fn, *args, full=True)
    gradgradcheck(fn, *args)


@pytest.mark.parametrize("name", COUNTS)
def test_log_probabilities_of_counts_are_scipys_and_differentiate(name):
    fn, (k, *rest) = getattr(stats, name).logpmf, COUNTS[name]
    np.testing.assert_allclose(
        fn(k, *rest), getattr(scipy_stats, name).logpmf(k, *rest), rtol=1e-12
    )
    if name == "binom":
        n, *rest = rest
        gradcheck(lambda p: fn(k, n, p), *rest, full=True)
    else:
        gradcheck(lambda mu: fn(k, mu), *rest, full=True)


def test_there_is_nothing_outside():
    for found in (
        stats.gamma.logpdf(np.array([-1.0, -0.1]), 2.0),
        stats.beta.logpdf(np.array([-0.1, 1.5]), 2, 2),
        stats.poisson.logpmf(np.array([-1, 0.5]), 2.0),
        stats.binom.logpmf(np.array([-1, 4, 1.5]), 3, 0.5),
    ):
        assert np.all(found == -np.inf)
    assert stats.poisson.logpmf(0, 0.0) == 0.0
    assert stats.gamma.logpdf(0.0, 1.0) == 0.0


def test_many_means_and_covariances_broadcast():
    rng = np.random.default_rng(0)
    x, mean = rng.normal(size=(4, 5, 3)), rng.normal(size=(5, 3))
    cov = COV + np.eye(3) * rng.uniform(0.1, 1, size=(5, 1, 1))
    got = stats.multivariate_normal.logpdf(x, mean, cov)
    want = [[scipy_stats.multivariate_normal.logpdf(x[i, j], mean[j], cov[j]) for j in range(5)]
            for i in range(4)]  # fmt: skip
    np.testing.assert_allclose(got, want, rtol=1e-12)
    gradcheck(stats.multivariate_normal.logpdf, x[:1], mean, cov)
