"""Functions of single elements in C, beside NumPy's."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c.assembly import uses_numpy
from retrograd.compiler.c.functions import has_form
from retrograd.engine.rule import RULES, load_rules

pytestmark = pytest.mark.usefixtures("compiler")


def all_ufuncs():
    load_rules()
    found = [f for f in RULES if isinstance(f, np.ufunc) and f.nout == 1 and not f.signature]
    return sorted(found, key=lambda f: f.__name__)


def arguments(dtype):
    """Return values of both signs, near and far, whole and not, and those that are none."""
    rng = np.random.default_rng(3)
    if dtype.kind == "b":
        values = np.array([True, False])
    elif dtype.kind == "f":
        ends = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, -2.5, 3.0, np.nan, np.inf, -np.inf, 700.0, -80.0]
        values = np.concatenate([ends, rng.normal(size=20) * 2, rng.uniform(-1, 1, 11)])
    else:
        info = np.iinfo(dtype)
        ends = [0, 1, 2, 3, 7, info.max, info.min, info.max - 1]
        values = np.array(ends + ([-1, -2, -7] if info.min else []))
    values = values.astype(dtype)
    x, y = np.meshgrid(values, values)
    return x.ravel(), y.ravel()


@np.errstate(all="ignore")
def takes(f, dtype):
    """Tell whether NumPy's function takes arrays of a dtype, and C has a form of it."""
    x, y = arguments(dtype)
    other = y.astype(int) % 9 if f is np.ldexp else y
    try:
        out = f(*(x, other)[: f.nin])
        kind = f.resolve_dtypes((dtype,) * f.nin + (None,))[0] if f is not np.ldexp else dtype
    except (TypeError, ValueError):  # of integers with negative exponents
        return False
    return out.dtype != np.float16 and has_form(f, np.dtype(kind))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["float64", "float32", "int64", "int32", "int8", "uint8", "bool"])
def test_all_functions_of_elements_are_as_numpy_has_them(name):
    dtype = np.dtype(name)
    functions = [f for f in all_ufuncs() if takes(f, dtype)]
    assert len(functions) > (50 if dtype.kind == "f" else 10)
    x, y = arguments(dtype)

    def apply(x, y, n):
        return [f(*((x, n) if f is np.ldexp else (x, y)[: f.nin])) for f in functions]

    step = rg.compile(apply, target="c")
    n = (
        y.astype(np.int32) % 9
        if dtype.kind == "f" and np.isfinite(y).all()
        else np.full(x.shape, 3)
    )
    with np.errstate(all="ignore"):
        for _ in range(2):
            found = step(x, y, n)
        assert not uses_numpy(step.programs[-1].code)
        for f, t in zip(functions, found, strict=True):
            expected = f(*((x, n) if f is np.ldexp else (x, y)[: f.nin]))
            assert t.dtype == expected.dtype, f.__name__
            if expected.dtype.kind != "f":
                wrong = t.data != expected
            else:
                with np.errstate(all="ignore"):
                    near = np.abs(t.data - expected) <= 4 * np.spacing(np.abs(expected))
                same = (t.data == expected) | (np.isnan(t.data) & np.isnan(expected))
                wrong = ~(near | same)
            at = np.flatnonzero(wrong)[:3]
            assert not at.size, (f.__name__, x[at], y[at], t.data[at], expected[at])
