"""Arguments of different dtypes: NumPy's dtype and precision, in values and in gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrograd.engine import Tensor, spelled
from rules import cases  # noqa: F401, fills CASES
from rules.checking import ASKED, floats, gradients, make, replace_floats, tensors
from rules.drawing import CASES, STAND_INS, Draw
from rules.test_elementwise import UFUNCS
from rules.test_elementwise import arguments as ufunc_arguments

PAIRS = [("f4", "f8"), ("f8", "f4"), ("f2", "f8"), ("f8", "f2"), ("f2", "f4")]
FEW = settings(max_examples=max(5, settings.default.max_examples // 4))


def check_pair(fn, args, kwargs, pair, seed):
    rng = np.random.default_rng(seed)
    tree = make((tuple(args), kwargs), rng)
    # values that every dtype has
    wide = [x.astype("f2").astype("f8") for x in floats(tree)][: ASKED.get(fn)]
    rest = floats(tree)[len(wide) :]
    if len(wide) < 2:
        return
    mixed = [x.astype(pair[i % 2]) for i, x in enumerate(wide)]

    def run(leaves):
        given, named = replace_floats(tree, [*leaves, *rest])
        out = fn(*given, **named)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    try:
        with np.errstate(all="ignore"):
            expected = [np.asarray(o) for o in run([x.copy() for x in mixed])]
    except TypeError:  # a function that NumPy does not have for float16
        assert "f2" in pair
        return
    leaves = tensors(mixed)
    with np.errstate(all="ignore"):
        found = run(leaves)
    assert [f.dtype for f in found] == [e.dtype for e in expected]
    outs = [o for o in floats(found) if o.dtype == "f8"]
    if len(outs) < len(floats(found)) or not outs:
        return
    doubles = tensors(wide)
    exact = run(doubles)
    # as exact as NumPy, where that itself computes some of it in less
    off = max(np.max(np.abs(e - d.data), initial=0.0) for e, d in zip(expected, exact, strict=True))
    for f, d in zip(found, exact, strict=True):
        np.testing.assert_allclose(f.data, d.data, rtol=1e-10, atol=1e-10 + off)
    if off > 1e-10:
        return
    us = [np.cos(np.arange(o.size)).reshape(o.shape) for o in outs]
    right = gradients(floats(exact), doubles, us, False)
    for g, x, r in zip(gradients(outs, leaves, us, False), mixed, right, strict=True):
        if x.dtype == "f8":
            np.testing.assert_allclose(g.data, r.data, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("fn", CASES, ids=spelled)
@FEW
@given(st.data())
def test_a_function_of_two_dtypes_has_numpys_precision(fn, data):
    draw = Draw(data)
    args, kwargs = draw.one_of(*CASES[fn])(draw)
    fn = STAND_INS.get(fn, fn)
    check_pair(fn, args, kwargs, draw.one_of(*PAIRS), draw.integer(0, 1000))


@pytest.mark.parametrize("fn", [fn for fn in UFUNCS if fn.nin > 1], ids=lambda fn: fn.__name__)
@FEW
@given(st.data())
def test_a_ufunc_of_two_dtypes_has_numpys_precision(fn, data):
    pair, seed = data.draw(st.sampled_from(PAIRS)), data.draw(st.integers(0, 1000))
    check_pair(fn, ufunc_arguments(fn, data), {}, pair, seed)


def test_places_in_half_precision_cost_the_slopes_between_them_no_digits():
    f, x = np.cos(np.arange(12.0)).reshape(4, 3), np.array([0.1, 0.47, 1.6, 2.9], "f2")
    found = np.gradient(Tensor(f), x, axis=0)
    np.testing.assert_allclose(found.data, np.gradient(f, x.astype("f8"), axis=0), rtol=1e-12)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "i4", "i8"])
@pytest.mark.parametrize("fn", [fn for fn in UFUNCS if fn.nin == 2 and fn is not np.ldexp],
                         ids=lambda fn: fn.__name__)  # fmt: skip
def test_a_ufunc_with_whole_numbers_has_the_gradient_for_floats(fn, kind):
    x, n = np.array([1.25, 0.5, 2.75]), np.array([100, 1, 0], kind)

    def gradient(number, place):
        (leaf,) = tensors([x])
        with np.errstate(all="ignore"):
            outs = fn(*((leaf, number) if place == 0 else (number, leaf)))
            outs = list(outs) if isinstance(outs, (tuple, list)) else [outs]
            us = [np.ones(o.shape, o.dtype) for o in outs]
            return gradients(outs, [leaf], us, False)[0].data

    for place in (0, 1):
        right = gradient(n.astype(float), place)
        np.testing.assert_allclose(gradient(n, place), right, rtol=1e-12)


KINDS = ["f2", "f4", "f8", "i1", "i4", "i8", "u1", "?"]
OF_TWO = {
    "polyval": lambda a, b: np.polyval(a[0], b), "vecdot": np.vecdot, "vdot": np.vdot,
    "lstsq": lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0], "solve": np.linalg.solve,
    "gradient": lambda a, b: np.gradient(a[0], np.cumsum(b[0])), "dot": np.dot,
    "quantile": lambda a, b: np.quantile(a * 1, 0.3, weights=b, method="inverted_cdf"),
    "average": lambda a, b: np.average(a, weights=b), "cov": np.cov, "trapezoid": np.trapezoid,
    "concatenate": lambda a, b: np.concatenate([a, b]), "kron": np.kron, "append": np.append,
    "einsum": lambda a, b: np.einsum("ij,jk", a, b), "where": lambda a, b: np.where(a > 1, a, b),
    "convolve": lambda a, b: np.convolve(a[0], b[0]), "clip": lambda a, b: np.clip(a, b, 3),
    "linspace": lambda a, b: np.linspace(a, b, 3), "histogram":
    lambda a, b: np.histogram(a, bins=2, weights=b)[0],
}  # fmt: skip


@pytest.mark.parametrize("fn", OF_TWO.values(), ids=OF_TWO)
def test_whole_numbers_and_floats_of_any_kind_give_numpys_dtype(fn):
    rng = np.random.default_rng(0)
    for one in KINDS:
        for two in KINDS:
            a = (rng.integers(1, 3, (2, 2)) + 2 * np.eye(2)).astype(one)
            b = (rng.integers(1, 3, (2, 2)) + 2 * np.eye(2)).astype(two)
            try:
                expected = np.asarray(fn(a, b))
            except (TypeError, RuntimeWarning, np.linalg.LinAlgError):  # what NumPy cannot do
                continue
            for pair in ((Tensor(a), b), (a, Tensor(b)), (Tensor(a), Tensor(b))):
                found = fn(*pair)
                assert found.dtype == expected.dtype, (one, two)
                rtol = 4e-3 if "f2" in (one, two) else 1e-5 if "f4" in (one, two) else 1e-12
                np.testing.assert_allclose(
                    np.asarray(found, float), expected.astype(float), rtol=rtol, atol=rtol
                )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fn", [np.sum, np.prod, np.cumsum, np.cumprod, np.nansum, np.nancumprod,
                                np.trace, np.nanmean, np.mean, np.add.reduce],
                         ids=lambda fn: fn.__name__)  # fmt: skip
def test_sums_and_products_have_the_dtype_that_is_asked_for_or_numpys(fn, kind):
    a = np.array([[1, 0], [2, 1]]).astype(kind)
    for dtype in (None, np.float32, np.float64, np.int8):
        if dtype is np.int8 and fn in (np.mean, np.nanmean):
            continue
        found = fn(Tensor(a), dtype=dtype)
        expected = fn(a, dtype=dtype)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.data, expected)
