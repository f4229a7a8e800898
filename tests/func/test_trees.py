"""Trees as vectors, and as constants."""

import numpy as np
import pytest

from helpers import assert_close
from retrograd.func import grad, hessian, ravel_pytree, stop_gradient

X = np.random.default_rng(0).normal(size=(5, 3))


def test_a_tree_comes_back_from_its_vector_with_shapes_and_dtypes():
    tree = {"w": np.arange(4.0).reshape(2, 2), "b": [np.ones(1, np.float32), 2.0], "e": ()}
    vector, unravel = ravel_pytree(tree)
    np.testing.assert_array_equal(vector, [0.0, 1.0, 2.0, 3.0, 1.0, 2.0])
    back = unravel(vector + 1)
    np.testing.assert_array_equal(back["w"], [[1.0, 2.0], [3.0, 4.0]])
    assert back["b"][0].dtype == np.float32
    assert back["b"][1].shape == ()
    assert ravel_pytree({})[0].shape == (0,)
    assert ravel_pytree({})[1]([]) == {}


def test_derivatives_flow_through_both_directions():
    tree = {"w": X, "b": np.ones(2)}
    vector, unravel = ravel_pytree(tree)
    g = grad(lambda v: np.sum(unravel(v)["w"] ** 3) + np.sum(unravel(v)["b"]))(vector)
    np.testing.assert_allclose(g.data, [*(3 * X.ravel() ** 2), 1.0, 1.0])
    g = grad(lambda t: np.sum(ravel_pytree(t)[0] ** 2))(tree)
    np.testing.assert_allclose(g["w"].data, 2 * X)
    assert hessian(lambda v: np.sum(unravel(v)["b"] ** 3))(vector).shape == (17, 17)


def test_only_floating_leaves_make_a_vector_and_only_its_length_a_tree():
    with pytest.raises(TypeError, match=r"int\d+"):
        ravel_pytree([1.0, 2])
    with pytest.raises(ValueError, match=r"2 elements, not shape \(3,\)"):
        ravel_pytree([1.0, 2.0])[1](np.ones(3))
    with pytest.raises(ValueError, match=r"\(2, 1\)"):
        ravel_pytree([1.0, 2.0])[1](np.ones((2, 1)))


def test_stop_gradient_holds_whole_trees():
    assert_close(grad(lambda x: np.sum(x * stop_gradient({"x": x})["x"]))(X), X)
