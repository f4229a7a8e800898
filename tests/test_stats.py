import numpy as np
import pytest

import retrograd as rg
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


def test_what_cannot_be_is_nan_as_scipys():
    bad, x = [-1.0, 0.0, np.nan], np.array([-0.5, 0.3, 1.0, 2.0, np.nan])[:, None]
    with np.errstate(all="ignore"):
        for name, others in [("gamma", ()), ("beta", (2.0,)), ("poisson", ()), ("binom", (0.3,))]:
            kind = "logpmf" if name in ("poisson", "binom") else "logpdf"
            got = getattr(getattr(stats, name), kind)(x, np.array([*bad, 2.0, 2.5]), *others)
            want = getattr(getattr(scipy_stats, name), kind)(x, [*bad, 2.0, 2.5], *others)
            np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=name)
        p = np.array([-0.1, 0.5, 1.1, np.nan])
        np.testing.assert_allclose(
            stats.binom.logpmf(2.0, 3.0, p), scipy_stats.binom.logpmf(2, 3, p), rtol=1e-12
        )
        for scale in (0.0, -1.0):
            assert np.isnan(stats.gamma.logpdf(0.5, 2.0, scale=scale))
            assert np.isnan(stats.beta.logpdf(0.5, 2.0, 3.0, scale=scale))


def test_large_parameters_cost_no_digits():
    for df in (1e6, 1e10, 1e15):
        np.testing.assert_allclose(
            stats.t.logpdf(1.3, df), scipy_stats.t.logpdf(1.3, df), rtol=1e-13
        )
    np.testing.assert_allclose(
        stats.beta.logpdf(1e-10, 2.0, 1e10), scipy_stats.beta.logpdf(1e-10, 2.0, 1e10), rtol=1e-13
    )
    # many rare successes are Poisson's
    np.testing.assert_allclose(
        stats.binom.logpmf(3, 1e12, 1e-12), stats.poisson.logpmf(3, 1.0), rtol=1e-11
    )


def test_float32_is_kept_beside_numbers_and_whole_arrays():
    x = np.array([0.3, 0.6], np.float32)
    for values in (x, rg.Tensor(x)):
        found = [
            stats.norm.logpdf(values), stats.t.logpdf(values, 4), stats.gamma.logpdf(values, 2.0),
            stats.beta.logpdf(values, 2.0, 3.0), stats.poisson.logpmf(np.array([1, 2]), values),
            stats.binom.logpmf(1, 3, values),
            stats.multivariate_normal.logpdf(values, [0.0, 1.0], np.eye(2, dtype=np.float32)),
        ]  # fmt: skip
        assert {f.dtype.name for f in found} == {"float32"}
