"""Bessel functions against SciPy's, at all orders and sizes."""

import warnings

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from retrograd import special
from special.points import relative

scipy_special = pytest.importorskip("scipy.special")

X = np.concatenate([np.linspace(0.0, 60.0, 301), np.logspace(-8, 2.8, 150), [699.0, 5000.0]])
ORDERS = [0, 1, 2, 5, 20, 60, 0.5, 1.3, 7.7, 33.3, -2, -3, -0.5, -1.5, -2.3]


@pytest.mark.parametrize("order", ORDERS)
def test_functions_of_the_first_kind_agree(order):
    x = X if order >= 0 or order == int(order) else X[X > 0]
    with np.errstate(over="ignore"):
        for name in ("iv", "ive"):
            got, want = getattr(special, name)(order, x), getattr(scipy_special, name)(order, x)
            seen = np.abs(want) > 1e-290
            assert relative(got[seen], want[seen]) < 5e-12
    near = x[x < 700]
    got, want = special.jv(order, near), scipy_special.jv(order, near)
    # beside its zeros it is compared with how far it swings
    swing = np.where(near > abs(order), 0.5 / np.sqrt(near + 1.0), 0.0)
    far = np.maximum(np.abs(want), swing)
    seen = far > 1e-290
    assert np.max(np.abs(got - want)[seen] / far[seen]) < 5e-12


def test_functions_of_the_second_kind_agree():
    x = np.concatenate([np.logspace(-300, 2.8, 400), np.linspace(0.01, 30, 500)])
    assert relative(special.k0(x), scipy_special.k0(x)) < 1e-12
    assert relative(special.k1(x), scipy_special.k1(x)) < 1e-12


def test_values_below_zero_and_at_the_edges():
    inf, nan = np.inf, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fn, x, want in [
            (lambda x: special.iv(3, x), [-2.0, inf, nan], [-0.2127399592398527, inf, nan]),
            (lambda x: special.iv(0.5, x), [-2.0, 0.0], [nan, 0.0]),
            (lambda x: special.jv(3, x), [-2.0, inf, nan], [-0.1289432494744021, 0.0, nan]),
            (lambda x: special.jv(0, x), [0.0], [1.0]),
            (lambda x: special.ive(0, x), [inf], [0.0]),
            (special.k0, [0.0, -1.0, inf, nan], [inf, nan, 0.0, nan]),
            (special.k1, [0.0, -1.0, inf, nan], [inf, nan, 0.0, nan]),
        ]:
            np.testing.assert_allclose(fn(np.array(x)), want, rtol=1e-12)


TINY_AND_HUGE = [1e-320, 1e-300, 1e-200, 1e10, 1e100, 1e300]


@pytest.mark.parametrize("of_whom", ["own", "scipys"])
def test_tiny_and_huge_arguments_have_values_whoever_computes(of_whom, request):
    if of_whom == "scipys":
        request.getfixturevalue("scipys_kernels")
    x = np.array([*TINY_AND_HUGE, np.inf])
    for name in ("i0", "i0e", "i1", "i1e"):
        got, want = getattr(special, name)(x), getattr(scipy_special, name)(x)
        got, want = (v[:-1] if name in ("i0", "i1") else v for v in (got, want))
        np.testing.assert_allclose(got, want, rtol=1e-13)
    np.testing.assert_array_equal(special.iv(2.5, x[3:]), np.inf)
    np.testing.assert_allclose(special.ive(2.5, x[3:]), 1 / np.sqrt(2 * np.pi * x[3:]), rtol=1e-8)
    assert special.jv(1.0, np.inf) == special.ive(3.0, np.inf) == 0.0
    assert np.isnan(special.iv(0.5, -1.0))
    t = rg.Tensor(x[:-1], requires_grad=True)
    np.sum(special.i0e(t)).backward()
    assert np.all(np.isfinite(t.grad))


def test_orders_broadcast_with_arguments_and_programs_run_them():
    orders, x = np.arange(3.0)[:, None], np.linspace(0.5, 3.0, 4)
    got = special.iv(orders, x)
    np.testing.assert_allclose(got, scipy_special.iv(orders, x), rtol=1e-13)

    def make():
        w = rg.Tensor([0.5], requires_grad=True)

        def step(x):
            w.grad = None
            loss = np.sum(special.jv(orders, w * x) + special.k0(x) * w)
            loss.backward()
            return loss

        return step, w

    assert_compiled_agrees(make, [(x,), (x + 1.0,), (x * 3.0,)])


def test_with_scipy_its_kernels_compute(scipys_kernels):
    x = np.linspace(0.1, 20.0, 50)
    np.testing.assert_array_equal(special.jv(1.5, x), scipy_special.jv(1.5, x))
    np.testing.assert_array_equal(special.k1(x), scipy_special.k1(x))
