"""NumPy's functions that write into an array, on Tensors."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from retrograd.engine import spelled
from retrograd.rules.writing import WRITERS
from retrograd.testing import gradcheck, gradgradcheck

X = np.linspace(-1.0, 1.2, 12).reshape(3, 4)
V = np.array([0.3, -0.7, 1.1, 0.9])
MASK = np.arange(12).reshape(3, 4) % 3 == 0

CALLS = {
    np.put: [
        lambda t, v: np.put(t, [1, -2, 5], v),
        lambda t, v: np.put(t, np.array([[1, 3], [3, 1]]), v[:3]),
        lambda t, v: np.put(t, [1, 99], v, mode="wrap"),
        lambda t, v: np.put(t, [1, 99], v, mode="clip"),
        lambda t, v: np.put(t, [], v),
        lambda t, v: np.put(t[0], 2, v[0]) if isinstance(t, np.ndarray) else np.put(t, 2, v[0]),
    ],
    np.put_along_axis: [
        lambda t, v: np.put_along_axis(t, np.array([[0], [3], [3]]), v[:1], 1),
        lambda t, v: np.put_along_axis(t, np.array([[0, 1, 2, 1], [0, 2, 0, 0]]), v, axis=0),
        lambda t, v: np.put_along_axis(t, np.array([0, 11, -3]), v[1:], None),
    ],
    np.copyto: [
        lambda t, v: np.copyto(t, v),
        lambda t, v: np.copyto(t, 2, where=MASK),
        lambda t, v: np.copyto(t, v, where=[True, False, True, False]),
    ],
    np.fill_diagonal: [
        lambda t, v: np.fill_diagonal(t, v[:3]),
        lambda t, v: np.fill_diagonal(t, v[0]),
        lambda t, v: np.fill_diagonal(t, v[:2], wrap=True),
    ],
    np.place: [
        lambda t, v: np.place(t, MASK, v[:3]),
        lambda t, v: np.place(t, MASK.ravel().astype(int), v),
        lambda t, v: np.place(t, np.zeros((3, 4)), []),
    ],
    np.putmask: [
        lambda t, v: np.putmask(t, MASK, v),
        lambda t, v: np.putmask(t, MASK, v[0]),
        lambda t, v: np.putmask(t, MASK, []),
    ],
    np.add.at: [
        lambda t, v: np.add.at(t, [0, 0, 2], v),
        lambda t, v: np.add.at(t, ([0, 0, 1], [1, 1, 2]), v[:3]),
        lambda t, v: np.add.at(t, MASK, v[1]),
    ],
    np.subtract.at: [lambda t, v: np.subtract.at(t, [0, 0, 2], v)],
}  # fmt: skip
WAYS = [(fn, way) for fn, ways in CALLS.items() for way in ways]


def functions(way):
    """Return a function of two arrays or Tensors that writes one into a copy of the other."""

    def f(x, v):
        t = x * 1.0
        way(t, v)
        return t

    return f


def test_all_that_write_are_here():
    assert {fn for fn in CALLS if not hasattr(fn, "__self__")} == WRITERS


@pytest.mark.parametrize(("fn", "way"), WAYS, ids=lambda fn: spelled(fn) if fn in CALLS else "")
def test_it_is_numpys_with_its_gradients_also_compiled(fn, way):
    f = functions(way)
    np.testing.assert_array_equal(f(rg.Tensor(X), rg.Tensor(V)).data, f(X, V))
    assert gradcheck(f, X, V)
    assert gradgradcheck(f, X, V)
    gradient = rg.func.grad(lambda x, v: np.sum(np.sin(f(x, v))), argnums=(0, 1))
    compiled = rg.compile(lambda x, v: gradient(x, v))
    for k in (1.0, 2.0):
        for got, want in zip(compiled(k * X, k * V), gradient(k * X, k * V), strict=True):
            np.testing.assert_allclose(got.data, want.data, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("fn", "way"), WAYS, ids=lambda fn: spelled(fn) if fn in CALLS else "")
def test_under_no_grad_leaves_are_written_in_place(fn, way):
    x = rg.Tensor(X, requires_grad=True)
    whole, expected = x[...], X.copy()
    way(expected, V)
    with rg.no_grad():
        way(x, rg.Tensor(V))
    np.testing.assert_array_equal(whole.data, expected)
    assert x.is_leaf


@pytest.mark.parametrize(("fn", "way"), WAYS, ids=lambda fn: spelled(fn) if fn in CALLS else "")
def test_into_an_array_only_values_are_written(fn, way):
    array, expected = X.copy(), X.copy()
    way(expected, V)
    way(array, rg.Tensor(V))
    np.testing.assert_array_equal(array, expected)


def test_into_an_array_no_gradient_is_written():
    v = leaf(*V)
    for write in (
        lambda a: np.put(a, [0], v), lambda a: np.copyto(a, v), lambda a: np.add.at(a, [0], v),
        lambda a: np.place(a, MASK, v), lambda a: np.putmask(a, MASK, v),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"into an array would lose .* rg\.Tensor\(array\)"):
            write(X.copy())


@pytest.mark.parametrize(
    "way",
    [
        lambda t: np.put(t, [99], 1.0), lambda t: np.put(t, [0], 1.0, mode="no"),
        lambda t: np.copyto(t, 1j), lambda t: np.copyto(t, np.ones(5)),
        lambda t: np.copyto(t, np.ones(4), casting="no", where=np.ones(3, bool)),
        lambda t: np.place(t, [True], [1.0]), lambda t: np.place(t, MASK, []),
        lambda t: np.putmask(t, [True], [1.0]), lambda t: np.fill_diagonal(t[0].copy(), 1.0),
        lambda t: np.fill_diagonal((t * np.ones((2, 3, 4))), 1.0),
        lambda t: np.put_along_axis(t, np.array([0]), 1.0, 0),
        lambda t: np.put_along_axis(t, np.array([[0]]), 1.0, 2),
        lambda t: np.put_along_axis(t, np.array([[0]]), 1.0, None),
    ],
)  # fmt: skip
def test_what_numpy_refuses_is_refused_and_nothing_is_written(way):
    t, array = rg.Tensor(X) * 1.0, X.copy()
    with pytest.raises(Exception) as numpys:
        way(array)
    with pytest.raises(numpys.type):
        way(t)
    np.testing.assert_array_equal(t.data, X)


def test_a_number_has_no_size_that_casting_could_forbid():
    t = rg.Tensor(np.zeros(2, np.float32))
    np.copyto(t, 1.5, casting="safe")
    with pytest.raises(TypeError, match="Cannot cast"):
        np.copyto(t, np.zeros(2), casting="safe")
    with pytest.raises(TypeError, match="Cannot cast"):
        np.copyto(rg.Tensor(np.zeros(2, int)), 1.5)
    np.testing.assert_array_equal(t.data, [1.5, 1.5])
