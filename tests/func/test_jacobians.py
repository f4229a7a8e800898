"""Whole matrices of derivatives: their shapes, their trees, and both ways to them."""

from collections import namedtuple

import numpy as np
import pytest

from helpers import assert_close
from retrograd.func import grad, hessian, jacobian

X = np.array([0.5, -1.25, 2.0])


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,)])
def test_derivatives_have_the_shapes_they_should(shape):
    x = np.full(shape, 0.5)
    assert grad(lambda x: np.sum(x**2))(x).shape == shape
    assert jacobian(np.sin)(x).shape == shape * 2
    assert jacobian(lambda x: np.stack([x] * 4))(x).shape == (4, *shape, *shape)
    assert jacobian(np.sum)(x).shape == shape
    assert hessian(lambda x: np.sum(x**2))(x).shape == shape * 2


def test_jacobians_of_trees_are_trees_of_trees():
    def f(p, x):
        return Pair(p["w"] @ x, np.sum(p["b"]) * x)

    p = {"w": np.arange(6.0).reshape(2, 3), "b": np.ones(2)}
    j = jacobian(f)(p, X)
    assert_close(j.a["w"], np.einsum("ik,j->ikj", np.eye(2), X))
    assert_close(j.a["b"], np.zeros((2, 2)))
    assert_close(j.b["b"], np.stack([X, X], axis=1))
    jp, jx = jacobian(f, (0, 1))(p, X).a
    assert_close(jx, p["w"])
    assert set(jp) == {"w", "b"}


@pytest.mark.parametrize("rows", [1, 2, 3, 40])
def test_jacobians_forward_and_backward_agree(rows):
    w = np.random.default_rng(0).normal(size=(rows, 3))

    def f(x):
        return np.tanh(w @ x) * np.sum(x)

    t = np.tanh(w @ X)
    assert_close(jacobian(f)(X), (1 - t**2)[:, None] * w * np.sum(X) + t[:, None])


def test_real_results_of_complex_arguments_have_jacobians_and_complex_ones_say_why_not():
    z = np.array([3 + 4j, 1.0])
    assert_close(jacobian(np.abs)(z), np.diag([0.6 + 0.8j, 1.0]))
    assert_close(grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * z)
    for transform in (jacobian(np.exp), hessian(lambda z: np.sum(np.abs(z)))):
        with pytest.raises(TypeError, match=r"complex results.*vjp and jvp"):
            transform(z)
    with pytest.raises(TypeError, match=r"complex number.*z\.real"):
        grad(np.sum)(z)
