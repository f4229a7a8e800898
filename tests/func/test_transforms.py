"""First derivatives, products with second ones, trees and nesting."""

from collections import namedtuple

import numpy as np
import pytest

import retrograd as rg
from helpers import assert_close
from retrograd.func import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

X = np.array([0.5, -1.25, 2.0])


Pair = namedtuple("Pair", "a b")


def model(p):
    return np.sum(np.tanh(X @ p["layers"][0] + p["layers"][1]) * p["out"].a) + p["out"].b ** 2


PARAMS = {
    "layers": [np.arange(6.0).reshape(3, 2) / 10, np.array([0.1, -0.2])],
    "out": Pair(np.array([0.5, 2.0]), 3.0),
}


def test_grad_has_the_tree_of_the_argument():
    g = grad(model)(PARAMS)
    assert set(g) == {"layers", "out"}
    assert type(g["out"]) is Pair
    leaf = rg.tree.map(lambda x: rg.Tensor(np.asarray(x), requires_grad=True), PARAMS)
    model(leaf).backward()
    for got, want in zip(rg.tree.leaves(g), rg.tree.leaves(leaf), strict=True):
        assert type(got) is rg.Tensor
        assert not got.requires_grad
        assert_close(got, want.grad)


def test_value_and_grad_and_aux():
    def f(x):
        return np.sum(x**2), {"doubled": x * 2, "name": "aux"}

    value, g = value_and_grad(lambda x: f(x)[0])(X)
    assert_close(value, np.sum(X**2))
    assert_close(g, 2 * X)
    (value, aux), g = value_and_grad(f, has_aux=True)(X)
    assert_close(aux["doubled"], 2 * X)
    assert aux["name"] == "aux"
    assert not aux["doubled"].requires_grad
    assert not value.requires_grad
    g, aux = grad(f, has_aux=True)(X)
    assert_close(g, 2 * X)
    assert hessian(f, has_aux=True)(X)[1]["name"] == "aux"
    assert jacobian(lambda x: (x * 2, "aux"), has_aux=True)(X)[1] == "aux"
    assert jvp(lambda x: (x * 2, "aux"), (X,), (X,), has_aux=True)[2] == "aux"
    assert vjp(lambda x: (x * 2, "aux"), X, has_aux=True)[2] == "aux"
    assert hvp(f, (X,), (X,), has_aux=True)[1]["name"] == "aux"


def test_vjp_pulls_back_any_number_of_times():
    value, pullback = vjp(lambda x, y: {"p": x * y, "s": np.sum(x)}, X, X + 1)
    assert_close(value["p"], X * (X + 1))
    for scale in (1.0, 2.0):
        gx, gy = pullback({"s": np.array(scale), "p": np.full(3, scale)})
        assert_close(gx, scale * (X + 2))
        assert_close(gy, scale * X)


def test_jvp_pushes_forward():
    value, along = jvp(lambda x, y: [x * y, np.sin(x)], (X, X + 1), (np.ones(3), X))
    assert_close(value[0], X * (X + 1))
    assert_close(along[0], X + 1 + X * X)
    assert_close(along[1], np.cos(X))
    assert_close(jvp(lambda p: p["x"] ** 2, ({"x": X},), ({"x": X},))[1], 2 * X * X)


def test_hvp_is_the_hessian_times_a_vector():
    def f(x, y):
        return np.sum(np.exp(x) * y) + np.sum(x * y) ** 2

    v, w = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -1.0])
    y = X + 1
    (hxx, hxy), (hyx, hyy) = hessian(f, (0, 1))(X, y)
    px, py = hvp(f, (X, y), (v, w))
    assert_close(px, hxx.data @ v + hxy.data @ w)
    assert_close(py, hyx.data @ v + hyy.data @ w)


def test_float32_stays_float32():
    x = X.astype(np.float32)

    def f(x):
        return np.sum(np.tanh(x) ** 2)

    v = np.ones(3)  # takes the dtype of what it belongs to
    assert grad(f)(x).dtype == np.float32
    assert hessian(f)(x).dtype == np.float32
    assert hvp(f, (x,), (v,))[0].dtype == np.float32
    assert jvp(np.sin, (x,), (v,))[1].dtype == np.float32
    assert jacobian(lambda x: np.stack([x] * 4))(x).dtype == np.float32


def test_tangents_and_cotangents_fit():
    _, pullback = vjp(lambda x: {"y": x * 2}, X)
    with pytest.raises(ValueError, match=r"\{'y': \*\}"):
        pullback(X)
    with pytest.raises(ValueError, match=r"shape \(2,\) where it must be \(3,\)"):
        pullback({"y": np.ones(2)})
    for transform in (jvp, hvp):
        f = lambda x: np.sum(x**2)  # noqa: E731
        with pytest.raises(TypeError, match="tuples"):
            transform(f, X, X)
        with pytest.raises(ValueError, match="2 tangents for 1"):
            transform(f, (X,), (X, X))
        with pytest.raises(ValueError, match=r"\(2,\)"):
            transform(f, (X,), (np.ones(2),))


def test_an_argument_that_is_not_used_has_gradient_zero():
    gy = grad(lambda x, y: np.sum(x), 1)(X, X)
    assert_close(gy, np.zeros(3))
    assert_close(hessian(lambda x: np.sum(x))(X), np.zeros((3, 3)))
    assert_close(jacobian(lambda x: np.ones(2))(X), np.zeros((2, 3)))
    assert_close(jvp(lambda x: np.ones(2), (X,), (X,))[1], np.zeros(2))
    assert_close(hvp(lambda x: rg.Tensor(1.0), (X,), (X,))[0], np.zeros(3))


# Nesting


def test_grad_nests_to_fourth_order():
    f = lambda x: np.sin(x) * x**3  # noqa: E731
    s, c, x = np.sin(0.7), np.cos(0.7), 0.7
    third = -c * x**3 - 9 * s * x**2 + 18 * c * x + 6 * s
    assert_close(grad(grad(grad(f)))(0.7), third)
    assert_close(grad(grad(grad(grad(lambda x: x**5))))(2.0), 240.0)


THIRD = {
    "jacobian of hessian": lambda f: jacobian(hessian(f)),
    "hessian of grad": lambda f: jacobian(jacobian(grad(f))),
    "hessian of a product": lambda f: lambda x: jacobian(
        lambda x: np.stack([hvp(f, (x,), (v,))[0] for v in np.eye(3)])
    )(x),
    "jvp of jvp of grad": lambda f: lambda x: np.stack([
        np.stack([
            jvp(lambda x, v=v: jvp(grad(f), (x,), (v,))[1], (x,), (w,))[1] for w in np.eye(3)
        ]) for v in np.eye(3)
    ]),
    "vjp inside": lambda f: jacobian(
        jacobian(lambda x: vjp(f, x)[1](np.array(1.0))[0])
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", THIRD)
def test_transforms_nest_in_each_other_to_third_order(how):
    def f(x):
        return np.sum(x) ** 3 + np.sum(np.exp(x)) * x[0]

    want = np.full((3, 3, 3), 6.0)
    e = np.exp(X)
    for i in range(3):
        want[i, i, i] += e[i] * X[0]
        for order in ((0, i, i), (i, 0, i), (i, i, 0)):
            want[order] += e[i]
    assert_close(THIRD[how](f)(X), want)


def test_products_with_derivatives_of_complex_functions():
    z, v = np.array([1 + 2j, 0.5]), np.array([1j, 2 - 1j])
    value, derivative = rg.func.jvp(lambda z: z**2 * np.conj(z), (z,), (v,))
    np.testing.assert_allclose(value.data, z**2 * z.conj())
    np.testing.assert_allclose(derivative.data, 2 * z * z.conj() * v + z**2 * v.conj())
    (pulled,) = rg.func.vjp(lambda z: z**3, z)[1](v)
    np.testing.assert_allclose(pulled.data, v * np.conj(3 * z**2))
    (product,) = rg.func.hvp(lambda z: np.sum(np.abs(z) ** 2), (z,), (v,))
    np.testing.assert_allclose(product.data, 2 * v)
    with pytest.raises(TypeError, match="complex128 where they must be float64"):
        rg.func.vjp(np.abs, z)[1](v)
