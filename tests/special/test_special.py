"""`rg.special` against SciPy: values to 12 digits, derivatives to second order."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import retrograd as rg
from retrograd import special
from retrograd.testing import gradcheck, gradgradcheck

scipy_special = pytest.importorskip("scipy.special")

WIDE = np.concatenate([np.linspace(-30, 30, 4001), np.logspace(-300, 1.4, 500),
                       -np.logspace(-300, 1.4, 500), [0.0]])  # fmt: skip
POSITIVE = np.concatenate([np.logspace(-300, 8, 2000), np.linspace(0.01, 40, 4001)])
NEAR = np.concatenate([np.logspace(-15, -5, 50), -np.logspace(-15, -5, 50)])
NEGATIVE = -np.linspace(0.05, 20, 997)  # away from the poles and from most of the zeros
UNIT = np.concatenate([np.linspace(0, 1, 2001)[1:-1], np.logspace(-300, -1, 300),
                       1 - np.logspace(-15, -1, 100), 0.5 + np.logspace(-15, -1, 50)])  # fmt: skip

CASES = {
    "erf": WIDE,
    "erfc": WIDE[WIDE < 26],
    "erfcx": WIDE[WIDE > -26],
    "erfinv": np.concatenate([UNIT, -UNIT]),
    "erfcinv": np.concatenate([UNIT, 2 - UNIT[UNIT > 1e-15]]),
    "expit": 20 * WIDE,
    "log_expit": 20 * WIDE,
    "logit": UNIT,
    # SciPy itself loses all digits near the zeros of gammaln, 1 and 2
    "gammaln": POSITIVE[(np.abs(POSITIVE - 1) > 0.05) & (np.abs(POSITIVE - 2) > 0.05)],
    "digamma": POSITIVE[POSITIVE < 1e5],
    "gamma": POSITIVE[(POSITIVE < 170) & (POSITIVE > 1e-307)],
    "entr": POSITIVE,
    "ndtr": WIDE[WIDE > -37],
    "log_ndtr": WIDE,
    "ndtri": UNIT,
}


def relative(got, want):
    with np.errstate(all="ignore"):
        return np.max(np.abs(np.where(got == want, 0, (got - want) / want)))


@pytest.mark.parametrize("name", CASES)
def test_values_agree_with_scipy_to_twelve_digits(name):
    x = CASES[name]
    with np.errstate(over="ignore"):
        got = getattr(special, name)(x)
    assert relative(got, getattr(scipy_special, name)(x)) < 1e-12


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
    else:
        assert np.all(np.isnan(special.polygamma(n, NEGATIVE)))


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


def test_values_at_the_edges():
    inf, nan = np.inf, np.nan
    for fn, x, want in [
        (special.erf, [-inf, 0.0, inf, nan], [-1.0, 0.0, 1.0, nan]),
        (special.erfc, [-inf, inf, nan, 30.0], [2.0, 0.0, nan, 0.0]),
        (special.erfcx, [inf, nan], [0.0, nan]),
        (special.erfinv, [-1.0, 0.0, 1.0, 1.5, nan], [-inf, 0.0, inf, nan, nan]),
        (special.erfcinv, [0.0, 1.0, 2.0, -0.5], [inf, 0.0, -inf, nan]),
        (special.expit, [-inf, inf], [0.0, 1.0]),
        (special.gammaln, [0.0, -1.0, -2.0, inf, 1.0, 2.0], [inf, inf, inf, inf, 0.0, 0.0]),
        (special.digamma, [-1.0, nan], [nan, nan]),
        (special.gamma, [-1.0, 1.0, 2.0, 5.0], [nan, 1.0, 1.0, 24.0]),
        (special.entr, [0.0, -1.0, 1.0], [0.0, -inf, 0.0]),
        (special.logsumexp, [-inf, -inf], -inf),
        (special.logsumexp, [-inf, 0.0], 0.0),
    ]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_allclose(fn(np.array(x)), want, rtol=1e-14)
    assert special.xlogy(np.array(0.0), np.array(0.0)) == 0.0
    assert special.xlog1py(np.array(0.0), np.array(-1.0)) == 0.0
    assert special.rel_entr(np.array(1.0), np.array(0.0)) == np.inf


POINTS = np.array([-2.3, -0.7, 0.4, 1.3, 2.6])
ABOVE = np.array([0.3, 0.8, 1.3, 2.6, 12.5])
WITHIN = np.array([0.11, 0.37, 0.52, 0.93])
DIFFERENTIATED = {
    "erf": (POINTS,), "erfc": (POINTS,), "erfcx": (POINTS,), "erfinv": (WITHIN * 2 - 1,),
    "erfcinv": (2 * WITHIN,), "expit": (POINTS,), "log_expit": (POINTS,), "logit": (WITHIN,),
    "gammaln": (np.append(ABOVE, [-0.4, -1.6]),), "digamma": (np.append(ABOVE, [-0.4, -1.6]),),
    "gamma": (np.append(ABOVE[:4], [-0.4, -1.6]),), "entr": (ABOVE,), "ndtr": (POINTS,),
    "log_ndtr": (POINTS * 4,), "ndtri": (WITHIN,), "xlogy": (POINTS, ABOVE),
    "xlog1py": (POINTS, ABOVE - 0.9), "rel_entr": (ABOVE, ABOVE[::-1] + 0.1),
    "kl_div": (ABOVE, ABOVE[::-1] + 0.1), "betaln": (ABOVE, ABOVE[::-1]),
    "logsumexp": (POINTS,), "softmax": (POINTS,), "log_softmax": (POINTS,),
}  # fmt: skip


def test_every_function_is_differentiated_here():
    assert {*DIFFERENTIATED, "polygamma"} == set(special.__all__)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_derivatives_are_right_to_second_order(name):
    fn, inputs = getattr(special, name), DIFFERENTIATED[name]
    gradcheck(fn, *inputs, full=True)
    gradgradcheck(fn, *inputs, full=True)


def test_derivatives_of_polygamma_and_over_an_axis_are_right():
    gradcheck(lambda x: special.polygamma(1, x), np.append(ABOVE, -0.4))
    gradgradcheck(lambda x: special.polygamma(3, x), ABOVE)
    x = POINTS[:4].reshape(2, 2)
    gradgradcheck(lambda x: special.logsumexp(x, axis=0), x)
    gradgradcheck(lambda x: special.logsumexp(x, axis=-1, keepdims=True), x)
    gradgradcheck(lambda x: special.softmax(x, axis=1), x)
    gradgradcheck(lambda x: special.log_softmax(x, axis=0), x)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_float32_stays_float32(name):
    inputs = [x.astype(np.float32) for x in DIFFERENTIATED[name]]
    leaves = [rg.Tensor(x, requires_grad=True) for x in inputs]
    out = getattr(special, name)(*leaves)
    assert out.dtype == np.float32
    assert getattr(special, name)(*inputs).dtype == np.float32
    np.sum(out).backward()
    assert leaves[0].grad.dtype == np.float32
    np.testing.assert_allclose(
        out.data, getattr(special, name)(*DIFFERENTIATED[name]), rtol=2e-4, atol=1e-5
    )


def test_a_weight_of_zero_takes_the_gradient_of_zero_probability_away():
    x, y = rg.Tensor([0.0, 0.5], requires_grad=True), rg.Tensor([0.0, 0.5], requires_grad=True)
    np.sum(special.xlogy(x, y)).backward()
    np.testing.assert_allclose(x.grad, [0.0, np.log(0.5)])
    np.testing.assert_allclose(y.grad, [0.0, 1.0])


def test_bad_orders_of_polygamma_are_named():
    with pytest.raises(TypeError, match=r"1\.5"):
        special.polygamma(1.5, POINTS)
    with pytest.raises(ValueError, match="-1"):
        special.polygamma(-1, POINTS)


# SciPy's own functions ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(DIFFERENTIATED) - {"logsumexp", "softmax",
                                                               "log_softmax"}))  # fmt: skip
def test_scipys_function_of_a_tensor_is_differentiated(name):
    inputs = DIFFERENTIATED[name]
    gradgradcheck(getattr(scipy_special, name), *inputs)
    out = getattr(scipy_special, name)(*(rg.Tensor(x, requires_grad=True) for x in inputs))
    assert type(out) is rg.Tensor
    assert out.requires_grad
    np.testing.assert_allclose(out.data, getattr(scipy_special, name)(*inputs), rtol=1e-11)


def test_a_scipy_function_without_a_rule_is_named_as_scipys():
    with pytest.raises(TypeError, match=r"scipy\.special\.jv has no gradient rule"):
        scipy_special.jv(1.0, rg.Tensor([1.0], requires_grad=True))


def test_scipy_is_never_imported():
    code = (
        "import sys, numpy as np, retrograd as rg\n"
        "rg.special.erf(rg.Tensor([0.5], requires_grad=True)).backward()\n"
        "try:\n    np.frompyfunc(abs, 1, 1)(rg.Tensor([1.0]))\nexcept TypeError:\n    pass\n"
        "assert not any(name.startswith('scipy') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
