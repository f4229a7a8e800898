"""nan, zeros of both signs and numbers out of range in C, as NumPy has them."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrograd as rg
from retrograd.compiler.c.assembly import uses_numpy

pytestmark = [
    pytest.mark.usefixtures("compiler"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
ENDS = np.array([0.0, -0.0, 1, -1, 2.5, np.nan, np.inf, -np.inf, 1e300, 5e-324])


def in_c(fn, *calls):
    """Return what a function gives in C for each call, all of it without NumPy."""
    step = rg.compile(fn, target="c")
    with np.errstate(all="ignore"):
        found = [[t.data for t in step(*call)] for call in (calls[0], *calls)][1:]
    assert not uses_numpy(step.programs[-1].code)
    return found


def assert_same_bits(fn, *calls):
    """Compare with NumPy, also the signs of zeros."""
    for call, found in zip(calls, in_c(fn, *calls), strict=True):
        with np.errstate(all="ignore"):
            expected = [np.asarray(a) for a in fn(*call)]
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=str(i))
            if a.dtype.kind == "f":
                signs = np.signbit(a) == np.signbit(b)
                assert (signs | np.isnan(b)).all(), (i, a, b)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_clip_gives_nan_where_a_bound_is_nan(dtype):
    x, y = (a.ravel().astype(dtype) for a in np.meshgrid(ENDS, ENDS))

    def clips(x, y):
        return [
            np.clip(x, y, 1.0), np.clip(x, -1.0, y), np.clip(x, y, y[::-1]), np.clip(x, y, None),
            np.clip(x, None, y), np.clip(x, np.nan, 1.0), np.clip(x, 1.0, np.nan),
            np.clip(x, 2.0, -2.0), np.clip(x, -0.0, 0.0), np.clip(x, -1.0, 1.0),
        ]  # fmt: skip

    for call in [(x, y), (y, x)]:
        for found, expected in zip(in_c(clips, call)[0], clips(*call), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_bounds_may_be_of_another_dtype():
    x, y = np.linspace(-3, 3, 7), np.linspace(2, -2, 7)

    def clips(x, y):
        narrow, whole = x.astype(np.float32), (x * 2).astype(np.int32)
        return [
            np.clip(narrow, y, 1.0), np.clip(narrow, -1, y), np.clip(whole, y, 2),
            np.clip(x > 0, 0, 1), np.clip(x, whole, None), np.clip(whole, -2, 3),
        ]  # fmt: skip

    assert_same_bits(clips, (x, y), (y, x))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_sign_of_zero_and_first_terms_are_numpys(dtype):
    x = np.stack([np.roll(ENDS, k)[:6] for k in range(len(ENDS))]).astype(dtype)
    assert_same_bits(
        lambda x: [np.sign(x), np.cumsum(x, axis=0), np.cumsum(x, axis=1), np.maximum(x, 0)],
        (x,), (-x,),
    )  # fmt: skip


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="other processors give other numbers"
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_floats_too_large_for_whole_numbers_of_64_bits_are_what_processors_give(dtype):
    x = np.array([0.5, -1.5, 3e9, 1e19, 2.0**63, 2.0**64, 1e20, np.inf, np.nan, -np.inf], dtype)
    assert_same_bits(lambda x: [x.astype(np.uint64)], (x,), (x[::-1].copy(),))


@given(
    st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint64]),
    st.integers(0, 9),
)
@settings(max_examples=12, deadline=None)
def test_powers_of_whole_numbers_run_over_as_numpys(dtype, exponent):
    info = np.iinfo(dtype)
    x = np.array([0, 1, 2, 3, 7, info.max, info.min, info.max - 1, info.max // 3], dtype)
    assert_same_bits(lambda x: [x**exponent, x**True], (x,), (x[::-1].copy(),))


def test_negative_exponents_of_whole_numbers_raise_what_numpy_raises():
    step = rg.compile(lambda x, n: x**n, target="c")
    x, n = np.array([1, 2, 3]), np.array([0, 1, 2])
    for _ in range(3):
        step(x, n)
    with pytest.raises(ValueError, match="negative integer powers"):
        step(x, n - 1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_floats_are_searched_among_floats_of_another_size(side):
    edges = np.array([-0.1, 0.1, 0.3])
    x = np.array([0.1, 0.3, -0.1, np.nan, 5, -5], np.float32)
    assert_same_bits(
        lambda x, edges: [np.searchsorted(edges, x, side), np.searchsorted(x, edges, side)],
        (np.sort(x), edges),
    )
