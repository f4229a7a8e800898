"""Functions of complex numbers have the derivatives of their values, or say that they have none."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrograd as rg
from retrograd import tree
from retrograd.engine import spelled
from retrograd.testing import gradcheck, gradgradcheck
from rules import cases  # noqa: F401, fills CASES
from rules.checking import floats, make, replace_floats
from rules.drawing import CASES, STAND_INS, Draw
from rules.test_elementwise import UFUNCS, arguments

# Functions that take complex numbers in NumPy and refuse them here, with what they say.
REFUSED = {np.histogram: "real numbers", np.histogram_bin_edges: "real numbers"}


# Vectors of decompositions are determined but for factors of length 1, which have no gradient, and
# NumPy hands out what it finds in no order.


def by_real_part(a):
    values = np.linalg.eigvals(a)
    return np.take(values, np.argsort(np.real(values)))


def eigenvalues_and_sizes(a):
    values, vectors = np.linalg.eig(a)
    order = np.argsort(np.real(values), axis=-1)
    sizes = np.abs(vectors)
    return (
        np.take_along_axis(values, order, -1),
        np.take_along_axis(sizes, order[..., None, :], -1),
    )


def without_factors(decompose):
    def parts(*args, **kwargs):
        found = decompose(*args, **kwargs)
        return [np.abs(p) for p in found] if isinstance(found, tuple) else found

    return parts


COMPLEX_STAND_INS = {
    np.linalg.eigvals: by_real_part,
    np.linalg.eig: eigenvalues_and_sizes,
    np.linalg.eigh: without_factors(np.linalg.eigh),
    np.linalg.svd: without_factors(np.linalg.svd),
    # complex with the imaginary part 0 in NumPy 2.0
    np.linalg.cond: lambda *args: np.real(np.linalg.cond(*args)),
    np.unique_values: lambda x: np.sort(np.unique_values(x)),
}


def draw_arrays(fn, data):
    """Return a call drawn for real numbers, its arrays, and these with complex ones among them."""
    draw = Draw(data)
    given = draw.one_of(*CASES[fn])(draw) if fn in CASES else (arguments(fn, data), {})
    rng = np.random.default_rng(draw.integer(0, 1000))
    inputs = make(given, rng)
    turned = [
        x + 1j * rng.uniform(-1, 1, x.shape) if i == 0 or draw.flag() else x
        for i, x in enumerate(map(np.asarray, floats(inputs)))
    ]
    return inputs, turned


@pytest.mark.parametrize("fn", [*CASES, *UFUNCS], ids=spelled)
@settings(max_examples=max(2, settings.default.max_examples // 10))
@given(st.data())
def test_a_function_of_complex_numbers_has_the_derivatives_of_its_values(fn, data):
    inputs, arrays = draw_arrays(fn, data)
    function = COMPLEX_STAND_INS.get(fn) or STAND_INS.get(fn, fn)

    def run(*values):
        args, kwargs = replace_floats(inputs, list(values))
        return function(*args, **kwargs)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = tree.leaves(run(*arrays))
        except (TypeError, ValueError, NotImplementedError, AttributeError, IndexError):
            return  # NumPy itself takes no complex numbers here
        if fn in REFUSED:
            with pytest.raises(TypeError, match=REFUSED[fn]):
                run(*(rg.Tensor(a, requires_grad=True) for a in arrays))
            return
        found = tree.leaves(run(*(rg.Tensor(a) for a in arrays)))
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            assert (f.shape, f.dtype) == (np.shape(e), np.asarray(e).dtype)
            assert np.allclose(f.data, e, equal_nan=True, rtol=1e-9, atol=1e-9)
        if any(o.dtype.kind in "fc" and np.isfinite(o.data).all() for o in found) and all(
            np.isfinite(o.data).all() for o in found
        ):
            gradcheck(run, *arrays)
            gradgradcheck(run, *arrays)
