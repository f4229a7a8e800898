"""What is done along an axis in C, and elements that move, for numbers of all kinds."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c.assembly import uses_numpy

pytestmark = pytest.mark.usefixtures("compiler")
KINDS = ["float64", "float32", "int64", "int32", "int8", "uint8", "uint64", "bool"]


def numbers(name):
    """Return an array with ties, of floats also with nan."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 9, (4, 5, 6))
    x = (x - 4) / 2 if name.startswith("float") else x
    x = x.astype(name)
    if x.dtype.kind == "f":
        x[1, 2, 3] = x[3, 0, 0] = x[3, 0, 4] = np.nan
    return x


def along_lines(x, kind):
    """Return what takes numbers of all kinds."""
    found = [f(x, axis=axis) for f in (np.argmax, np.argmin) for axis in (None, 0, 1, -1)]
    found += [np.argmax(x, axis=1, keepdims=True), np.count_nonzero(x, axis=1)]
    found += [np.roll(x, 2, axis=1), np.roll(x, 3), np.tile(x, (2, 1, 2)), np.repeat(x, 2, 1)]
    found += [np.resize(x, (5, 7)), np.delete(x, [0, 3], axis=2), np.flip(x, 1) + x]
    found += [np.repeat(x, [1, 0, 2, 1], axis=0), np.rot90(x) + np.rot90(x), np.diag(x[0, :3, :3])]
    found += [np.stack([x, x]), np.zeros_like(x), np.isclose(x, x[::-1]), np.where(x, x, x[::-1])]
    found += [np.nonzero(x != x[0]), np.flatnonzero(x), np.isnan(x), np.mean(x, axis=1)]
    found += [x.astype(k) for k in ("float32", "float64", "bool")]
    if kind != "b":
        found += [np.cumsum(x, axis=axis) for axis in (None, 0, 2)]
        found += [np.argsort(x, axis=axis, kind="stable") for axis in (0, -1)]
        found += [np.sort(x, axis=1, kind="stable"), np.round(x), np.nan_to_num(x)]
        found += [np.searchsorted(x[0, 0] * 0 + np.arange(6).astype(x.dtype), x, side)
                  for side in ("left", "right")]  # fmt: skip
        found += [np.digitize(x, np.array([0, 2, 4], x.dtype)), np.clip(x, 1, 3)]
    if kind == "f":
        found += [np.fix(x)]  # of small whole numbers float16, in some versions of NumPy
        found += [f(x, axis=axis, ddof=1) for f in (np.var, np.std) for axis in (None, 0, (0, 2))]
        found += [np.round(x, 1), np.round(x, -1), np.median(x, axis=1), np.nanmedian(x, axis=2)]
        found += [x[0].astype(k) for k in ("int64", "int32", "int8", "uint8", "uint64")]
    if kind in "iu":
        found += [np.divmod(x, 3), np.bincount(np.ravel(x).astype("int64") * 0 + 3)]
        found += [np.choose((x % 2).astype("int64"), [x, x + 1])]
    return found


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:numpy.fix:DeprecationWarning")
@pytest.mark.parametrize("name", KINDS)
def test_numbers_of_all_kinds_are_as_numpy_has_them(name):
    x = numbers(name)
    step = rg.compile(lambda x: along_lines(x, x.dtype.kind), target="c")
    with np.errstate(all="ignore"):
        for _ in range(2):
            found = step(x)
        expected = along_lines(x, x.dtype.kind)
    left = {s.call.fn for s in uses_numpy(step.programs[-1].code) if s.call.view_of is None}
    assert left <= {np.argsort}
    found, structure = rg.tree.flatten(found)
    for i, (a, b) in enumerate(zip(found, rg.tree.flatten(expected)[0], strict=True)):
        where = f"{structure.paths()[i]} of {name}"
        assert a.dtype == b.dtype, where
        rounding = 8 * np.finfo(b.dtype).eps if b.dtype.kind == "f" else 0
        np.testing.assert_allclose(a.data, b, rtol=rounding, atol=rounding, err_msg=where)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("subscripts", [
    "ij,jk->ik", "bij,bjk->bik", "bij,kj->bik", "ijk,jil->kl", "ij,kj->ik", "ii->i", "ij->ji",
    "ij,ij->", "i,j->ij", "bhqd,bhkd->bhqk", "ij,jk,kl->il", "ijk->j", "ij,k->jk",
])  # fmt: skip
def test_einstein_sums_are_numpys(subscripts):
    rng = np.random.default_rng(0)
    sizes = dict(zip("ijklbhqd", (3, 4, 5, 2, 2, 3, 4, 5), strict=True))
    terms = subscripts.split("->")[0].split(",")
    arrays = [rng.normal(size=[sizes[c] for c in term]) for term in terms]
    step = rg.compile(lambda *arrays: np.einsum(subscripts, *arrays) * 1.5, target="c")
    for _ in range(3):
        found = step(*arrays)
    assert not uses_numpy(step.programs[-1].code)
    np.testing.assert_allclose(found.data, np.einsum(subscripts, *arrays) * 1.5, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_stacks_of_products_are_numpys(dtype):
    rng = np.random.default_rng(0)
    shapes = [((2, 3, 4, 5), (2, 3, 5, 6)), ((3, 4, 5), (5, 2)), ((4, 5), (3, 5, 2)),
              ((2, 1, 4, 5), (3, 5, 2)), ((5,), (3, 5, 2)), ((3, 4, 5), (5,)), ((1, 4, 5), (5, 1)),
              ((2, 4, 1), (2, 1, 3))]  # fmt: skip
    arrays = [rng.normal(size=s).astype(dtype) for pair in shapes for s in pair]

    def run(*arrays):
        pairs = [*zip(arrays[::2], arrays[1::2], strict=True)]
        found = [np.matmul(x, y) for x, y in pairs]
        turned = [(np.swapaxes(x, -1, -2), np.swapaxes(y, -1, -2)) for x, y in pairs[:1]]
        return found + [np.matmul(y, x) for x, y in turned]

    step = rg.compile(run, target="c")
    for _ in range(2):
        found = step(*arrays)
    assert not uses_numpy(step.programs[-1].code)
    for a, b in zip(found, run(*arrays), strict=True):
        np.testing.assert_allclose(a.data, b, rtol=0, atol=40 * np.finfo(dtype).eps)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_results_of_no_elements_are_numpys():
    def run(x, e):
        return (
            np.sum(e, axis=0), np.prod(e, axis=0), np.matmul(x, e), np.mean(e, axis=0),
            np.searchsorted(e[:, 0], x), np.any(e, axis=0), np.take(x, e[:, 0].astype(int)),
            np.einsum("ij,jk->ik", x, e), np.diagflat(e[:, 0], 2), e * 2, np.count_nonzero(e, 0),
        )  # fmt: skip

    x, e = np.ones((3, 0)), np.ones((0, 4))
    step = rg.compile(run, target="c")
    for _ in range(2):
        found = step(x, e)
    assert not uses_numpy(step.programs[-1].code)
    for a, b in zip(found, run(x, e), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.data, b)


@pytest.mark.parametrize("name", ["sum", "mean"])
@pytest.mark.parametrize("axis", [0, 1])
def test_long_sums_of_short_floats_are_right_where_numpy_loses_digits(name, axis):
    # along the rows NumPy adds up float32 numbers one after the other, and is off by 1e-3 and more
    x = np.full((2_000_000, 2), 0.1, np.float32)
    fn = getattr(np, name)
    step = rg.compile(lambda x: fn(x if axis == 0 else x.T, axis=axis), target="c")
    for _ in range(3):
        found = step(x)
    exact = fn(x, axis=0, dtype=np.float64)
    np.testing.assert_allclose(found._array, exact, rtol=1e-6)
