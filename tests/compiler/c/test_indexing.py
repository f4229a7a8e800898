"""Elements that are taken and put by arrays of places in C."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c.assembly import uses_numpy

pytestmark = pytest.mark.usefixtures("compiler")
X = np.random.default_rng(0).normal(size=(4, 3, 5))
PLACES = np.array([[2, -1], [0, -4]])


def takes(x, i, j, mask):
    """Return elements in all the ways in which places name them."""
    fixed = np.array([1, -1, 1])
    return (
        x[i], x[:, j], x[i, :, j], x[i, j], x[..., j], x[i, None, 1], x[i, 1:, j], x[0, i % 3],
        x[[3, 0, 0]], x[:, fixed, 1:], x[fixed, :, fixed], x[np.array([True, False, True, True])],
        x[mask], x[:, :, 0][mask], np.take(x, i, axis=0), np.take(x, i), np.take(x, [7, -1]),
        np.take(x, i, axis=1, mode="wrap"), np.take(x, i * 9, axis=2, mode="clip"),
        np.take_along_axis(x, np.argsort(x, axis=1, kind="stable"), axis=1), x[1, 2, 3],
        np.take_along_axis(x, i[:1, :1, None], axis=0),
    )  # fmt: skip


def puts(x, i, j, mask):
    """Return gradients of what was taken, which are added up where it was."""
    x = rg.Tensor(x.detach(), requires_grad=True)
    found = [t for t in takes(x, i, j, mask) if t.requires_grad]
    weights = [np.cos(np.arange(t.size)).reshape(t.shape) for t in found]
    return [rg.autograd.grad(t, x, w)[0] for t, w in zip(found, weights, strict=True)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("run", [takes, puts])
def test_elements_are_taken_and_put_as_numpy_does(run, dtype):
    mask = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], bool)
    given = X.astype(dtype), PLACES, np.array([[0, 2], [1, -3]]), mask
    ours, theirs = (rg.compile(run, target=target) for target in ("c", "numpy"))
    for _ in range(3):
        found, expected = ours(*given), theirs(*given)
    assert not uses_numpy(ours.programs[-1].code)
    for a, b in zip(rg.tree.flatten(found)[0], rg.tree.flatten(expected)[0], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.data, b.data, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64, np.int64])
def test_places_are_whole_numbers_of_any_kind(dtype):
    step = rg.compile(lambda x, i: x[i] * 2, target="c")
    places = np.array([3, 0, 2], dtype)
    for _ in range(3):
        np.testing.assert_array_equal(step(X, places).data, X[places] * 2)


@pytest.mark.parametrize(
    "take",
    [lambda x, i: x[i] + 1, lambda x, i: np.take(x, i, axis=0) + 1, lambda x, i: x[:, :, i] + 1],
)
def test_a_place_out_of_range_raises_what_numpy_raises(take):
    step = rg.compile(take, target="c")
    for _ in range(3):
        step(X, PLACES)
    for wrong in (5, -6, 2**40):
        with pytest.raises(IndexError, match=f"index {wrong} is out of bounds"):
            step(X, np.array([[0, 1], [wrong, 2]]))
    step(X, PLACES)


def test_another_number_of_elements_under_a_mask_raises():
    step = rg.compile(lambda x, m: x[m] * 2, target="c")
    mask = np.array([True, False, True, False])
    for _ in range(3):
        step(X, mask)
    for wrong in ([True] * 4, [False] * 4):
        with pytest.raises(ValueError, match="wrong shape"):
            step(X, np.array(wrong))
    np.testing.assert_array_equal(step(X, ~mask).data, X[~mask] * 2)


def test_a_write_at_places_is_whole_or_none():
    t = rg.Tensor(np.zeros((4, 2)))

    @rg.compile(target="c")
    def step(i, x):
        with rg.no_grad():
            t[i] = x
        return np.sum(t)

    for _ in range(4):
        step(np.array([1, -1]), np.ones((2, 2)))
    assert not uses_numpy(step.programs[-1].code)
    np.testing.assert_array_equal(t.data[:, 0], [0, 1, 0, 1])
    with pytest.raises(IndexError):
        step(np.array([0, 4]), np.ones((2, 2)) * 7)
    np.testing.assert_array_equal(t.data[:, 0], [0, 1, 0, 1])


def test_one_element_among_zeros_is_at_its_place():
    def run(x):
        x = rg.Tensor(x.detach(), requires_grad=True)
        return rg.autograd.grad(np.sum(x[2] * 3) + x[1] ** 2 + x[(0,)] * 5, x)

    step = rg.compile(run, target="c")
    for _ in range(4):
        np.testing.assert_allclose(step(np.arange(1.0, 5.0))[0].data, [5, 4, 3, 0])
