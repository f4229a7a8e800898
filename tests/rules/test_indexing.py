import numpy as np
import pytest

import retrograd as rg
from retrograd.rules.indexing import as_places


@pytest.mark.parametrize("dtype", [np.intp, np.uint8, np.int32])
def test_places_that_numpy_takes_everywhere_stay_what_they_are(dtype):
    index = np.array([2, 0], dtype)
    assert as_places(index) is index


def test_places_that_fit_numpys_own_in_no_way_become_such():
    places = as_places(np.array([2, 0], np.uint64))
    assert places.dtype == np.intp
    assert places.tolist() == [2, 0]
    recorded = as_places(rg.Tensor(np.array([2, 0], np.uint64)))
    assert recorded.dtype == np.intp


@pytest.mark.parametrize("index", [[2, 0], 1, np.intp(1), np.array([1, 1])])
def test_gradients_go_twice_through_what_is_taken(index):
    x = rg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    taken = np.take(x, index)
    (slope,) = rg.autograd.grad(np.sum(taken**3), [x], create_graph=True)
    np.sum(slope**2).backward()
    # each element taken n times has the slope 3 n x^2, and that squared 36 n^2 x^3
    counts = np.bincount(np.ravel(index), minlength=3)
    np.testing.assert_allclose(x.grad, 36 * counts**2 * np.array([1.0, 8.0, 27.0]))
