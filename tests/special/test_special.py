"""All of `rg.special` against SciPy: values to 12 digits, derivatives to second order."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import retrograd as rg
from retrograd import special
from retrograd.testing import gradcheck, gradgradcheck
from special.points import DIFFERENTIATED, POSITIVE, UNIT, WIDE, WITH_PARAMETERS, relative

scipy_special = pytest.importorskip("scipy.special")

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


@pytest.mark.parametrize("name", CASES)
def test_values_agree_with_scipy_to_twelve_digits(name):
    x = CASES[name]
    with np.errstate(over="ignore"):
        got = getattr(special, name)(x)
    assert relative(got, getattr(scipy_special, name)(x)) < 1e-12


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
        (special.digamma, [-1.0, nan, 0.0, -0.0], [nan, nan, -inf, inf]),
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


def test_every_function_is_differentiated_here():
    assert {*DIFFERENTIATED, *WITH_PARAMETERS, "polygamma"} == set(special.__all__)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_derivatives_are_right_to_second_order(name):
    fn, inputs = getattr(special, name), DIFFERENTIATED[name]
    gradcheck(fn, *inputs, full=True)
    gradgradcheck(fn, *inputs, full=True)


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_derivatives_to_the_last_argument_are_right_to_second_order(name):
    fn, (*parameters, x) = getattr(special, name), WITH_PARAMETERS[name]
    gradcheck(lambda x: fn(*parameters, x), x, full=True)
    gradgradcheck(lambda x: fn(*parameters, x), x, full=True)
    small = rg.Tensor(x.astype(np.float32), requires_grad=True)
    out = fn(*parameters, small)
    np.sum(out).backward()
    assert out.dtype == small.grad.dtype == np.float32
    np.testing.assert_allclose(out.data, fn(*parameters, x), rtol=2e-4)
    np.testing.assert_array_equal(out.data, fn(*parameters, small.data))
    if name != "zeta":
        half = x.astype(np.float16)
        assert fn(*parameters, half).dtype == np.float16


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_a_gradient_that_no_formula_has_is_refused(name):
    *parameters, x = WITH_PARAMETERS[name]
    first = rg.Tensor(parameters[0], requires_grad=True)
    with pytest.raises(TypeError, match="has no gradient here"):
        np.sum(getattr(special, name)(first, *parameters[1:], x)).backward()
    with rg.no_grad():
        getattr(special, name)(first, *parameters[1:], x)


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


def test_what_nets_do_not_need_is_loaded_on_first_use():
    code = (
        "import sys, numpy as np, retrograd as rg\n"
        "loaded = lambda: {name.removeprefix('retrograd.special.') for name in sys.modules\n"
        "                  if name.startswith('retrograd.special.')}\n"
        "rg.nn.functional.softmax(np.ones(2))\n"
        "assert loaded() == {'logistic', 'precision'}, loaded()\n"
        "rg.special.erf(np.ones(2))\n"
        "assert loaded() == {'logistic', 'errors', 'precision', 'series'}, loaded()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_it_does_not_have_is_no_attribute():
    with pytest.raises(AttributeError, match="airy"):
        special.airy  # noqa: B018


@pytest.mark.parametrize("of_whom", ["own", "scipys"])
def test_nan_stays_nan_in_every_argument(of_whom, request):
    if of_whom == "scipys":
        pytest.importorskip("scipy.special")
        request.getfixturevalue("scipys_kernels")
    all_of_them = DIFFERENTIATED | WITH_PARAMETERS
    for name, points in all_of_them.items():
        args = [np.atleast_1d(p)[0] for p in points]
        for i in range(len(args)):
            given = [np.array([np.nan if i == k else a]) for k, a in enumerate(args)]
            assert np.isnan(getattr(special, name)(*given)).all(), (name, i)
    assert all(np.isnan(special.polygamma(n, np.array(np.nan))) for n in range(4))


def test_a_product_with_a_logarithm_is_0_where_its_factor_is_whatever_the_other():
    y = np.array([-1.0, 0.0, 5.0, np.inf])
    np.testing.assert_array_equal(special.xlogy(np.zeros(4), y), 0.0)
    np.testing.assert_array_equal(special.xlog1py(np.zeros(4), y), 0.0)
