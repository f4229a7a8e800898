"""`rg.func`: values, trees, nesting, and variables that are never taken for each other."""

from collections import namedtuple

import numpy as np
import pytest

import retrograd as rg
from retrograd.func import grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp

X = np.array([0.5, -1.25, 2.0])
Pair = namedtuple("Pair", "a b")


def close(got, want):
    np.testing.assert_allclose(got.data if isinstance(got, rg.Tensor) else got, want, rtol=1e-10,
                               atol=1e-12)  # fmt: skip


def model(p):
    return np.sum(np.tanh(X @ p["layers"][0] + p["layers"][1]) * p["out"].a) + p["out"].b ** 2


PARAMS = {
    "layers": [np.arange(6.0).reshape(3, 2) / 10, np.array([0.1, -0.2])],
    "out": Pair(np.array([0.5, 2.0]), 3.0),
}


# Values -------------------------------------------------------------------------------------------


def test_grad_has_the_tree_of_the_argument():
    g = grad(model)(PARAMS)
    assert set(g) == {"layers", "out"}
    assert type(g["out"]) is Pair
    leaf = rg.tree.map(lambda x: rg.Tensor(np.asarray(x), requires_grad=True), PARAMS)
    model(leaf).backward()
    for got, want in zip(rg.tree.leaves(g), rg.tree.leaves(leaf), strict=True):
        assert type(got) is rg.Tensor
        assert not got.requires_grad
        close(got, want.grad)


def test_argnums_choose_arguments_from_the_front_or_the_back():
    def f(x, y, z):
        return np.sum(x * y**2 * z)

    y = X + 1
    close(grad(f, 1)(X, y, 3.0), 2 * X * y * 3)
    close(grad(f, -2)(X, y, 3.0), 2 * X * y * 3)
    gx, gz = grad(f, (0, 2))(X, y, 3.0)
    close(gx, y**2 * 3)
    close(gz, np.sum(X * y**2))
    (only,) = grad(f, (0,))(X, y, 3.0)
    close(only, gx.data)


def test_keywords_are_passed_and_not_differentiated():
    close(grad(lambda x, *, power: np.sum(x**power))(X, power=3), 3 * X**2)


def test_value_and_grad_and_aux():
    def f(x):
        return np.sum(x**2), {"doubled": x * 2, "name": "aux"}

    value, g = value_and_grad(lambda x: f(x)[0])(X)
    close(value, np.sum(X**2))
    close(g, 2 * X)
    (value, aux), g = value_and_grad(f, has_aux=True)(X)
    close(aux["doubled"], 2 * X)
    assert aux["name"] == "aux"
    assert not aux["doubled"].requires_grad
    assert not value.requires_grad
    g, aux = grad(f, has_aux=True)(X)
    close(g, 2 * X)
    assert hessian(f, has_aux=True)(X)[1]["name"] == "aux"
    assert jacobian(lambda x: (x * 2, "aux"), has_aux=True)(X)[1] == "aux"
    assert jvp(lambda x: (x * 2, "aux"), (X,), (X,), has_aux=True)[2] == "aux"
    assert vjp(lambda x: (x * 2, "aux"), X, has_aux=True)[2] == "aux"
    assert hvp(f, (X,), (X,), has_aux=True)[1]["name"] == "aux"


def test_vjp_pulls_back_any_number_of_times():
    value, pullback = vjp(lambda x, y: {"p": x * y, "s": np.sum(x)}, X, X + 1)
    close(value["p"], X * (X + 1))
    for scale in (1.0, 2.0):
        gx, gy = pullback({"s": np.array(scale), "p": np.full(3, scale)})
        close(gx, scale * (X + 2))
        close(gy, scale * X)


def test_jvp_pushes_forward():
    value, along = jvp(lambda x, y: [x * y, np.sin(x)], (X, X + 1), (np.ones(3), X))
    close(value[0], X * (X + 1))
    close(along[0], X + 1 + X * X)
    close(along[1], np.cos(X))
    close(jvp(lambda p: p["x"] ** 2, ({"x": X},), ({"x": X},))[1], 2 * X * X)


def test_hvp_is_the_hessian_times_a_vector():
    def f(x, y):
        return np.sum(np.exp(x) * y) + np.sum(x * y) ** 2

    v, w = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -1.0])
    y = X + 1
    (hxx, hxy), (hyx, hyy) = hessian(f, (0, 1))(X, y)
    px, py = hvp(f, (X, y), (v, w))
    close(px, hxx.data @ v + hxy.data @ w)
    close(py, hyx.data @ v + hyy.data @ w)


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
    close(j.a["w"], np.einsum("ik,j->ikj", np.eye(2), X))
    close(j.a["b"], np.zeros((2, 2)))
    close(j.b["b"], np.stack([X, X], axis=1))
    jp, jx = jacobian(f, (0, 1))(p, X).a
    close(jx, p["w"])
    assert set(jp) == {"w", "b"}


@pytest.mark.parametrize("rows", [1, 2, 3, 40])
def test_jacobians_forward_and_backward_agree(rows):
    w = np.random.default_rng(0).normal(size=(rows, 3))

    def f(x):
        return np.tanh(w @ x) * np.sum(x)

    t = np.tanh(w @ X)
    close(jacobian(f)(X), (1 - t**2)[:, None] * w * np.sum(X) + t[:, None])


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


def test_stop_gradient_holds_whole_trees():
    close(grad(lambda x: np.sum(x * stop_gradient({"x": x})["x"]))(X), X)


# Nesting ------------------------------------------------------------------------------------------


def test_grad_nests_to_fourth_order():
    f = lambda x: np.sin(x) * x**3  # noqa: E731
    s, c, x = np.sin(0.7), np.cos(0.7), 0.7
    third = -c * x**3 - 9 * s * x**2 + 18 * c * x + 6 * s
    close(grad(grad(grad(f)))(0.7), third)
    close(grad(grad(grad(grad(lambda x: x**5))))(2.0), 240.0)


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
    close(THIRD[how](f)(X), want)


def test_a_derivative_inside_a_loss_reaches_the_parameters():
    w = rg.Tensor([0.5, -0.3, 0.2], requires_grad=True)

    def critic(x):
        return np.sum(np.tanh(w * x))

    np.sum(grad(critic)(X) ** 2).backward()
    t = np.tanh(w.data * X)
    u = w.data * (1 - t**2)
    close(w.grad, 2 * u * ((1 - t**2) - w.data * 2 * t * (1 - t**2) * X))
    assert hvp(critic, (X,), (X,))[0].requires_grad
    assert jacobian(lambda x: w * x)(X).requires_grad


def test_under_no_grad_derivatives_are_computed_and_not_kept():
    w = rg.Tensor(X, requires_grad=True)
    with rg.no_grad():
        assert not rg.is_grad_enabled()
        g = grad(lambda x: np.sum(w * x**2))(X)
        h = hessian(lambda x: np.sum(w * x**2))(X)
    close(g, 2 * X * X)
    close(h, np.diag(2 * X))
    assert not g.requires_grad
    assert not h.requires_grad


def test_a_leaf_given_as_argument_gets_no_grad_and_can_be_differentiated_further():
    x = rg.Tensor(X, requires_grad=True)
    g = grad(lambda x: np.sum(x**3))(x)
    assert x.grad is None
    np.sum(g).backward()
    close(x.grad, 6 * X)


# Perturbation confusion ---------------------------------------------------------------------------


def test_variables_of_different_transforms_are_never_confused():
    # d/dx x (d/dy (x + y)) = 1, not 2
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0).item() == 1.0
    # the inner function takes the outer variable itself: d/dx x (d/dy x y at y=x) = 2 x
    assert grad(lambda x: x * grad(lambda y: x * y)(x))(2.0).item() == 4.0
    assert grad(lambda x: x * jvp(lambda y: x * y, (x,), (1.0,))[1])(2.0).item() == 4.0
    assert jvp(lambda x: x * grad(lambda y: x * y)(x), (2.0,), (1.0,))[1].item() == 4.0
    assert jvp(lambda x: x * jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1].item() == 1
    assert jacobian(lambda x: x * jacobian(lambda y: x * y)(x))(2.0).item() == 4.0
    f = lambda x: x * hvp(lambda y: x * y**3, (x,), (1.0,))[0]  # 6 x^3  # noqa: E731
    assert grad(f)(2.0).item() == 72.0


def test_one_tensor_may_be_two_arguments():
    x = rg.Tensor(3.0, requires_grad=True)
    gx, gy = grad(lambda x, y: x**2 * y, (0, 1))(x, x)
    assert (gx.item(), gy.item()) == (18.0, 9.0)


# Bad input ----------------------------------------------------------------------------------------


def test_functions_of_more_than_one_number_have_no_gradient():
    for transform in (grad, value_and_grad, hessian):
        with pytest.raises(ValueError, match=r"of <lambda>.*\(3,\).*jacobian or vjp"):
            transform(lambda x: x * 2)(X)
    with pytest.raises(ValueError, match="one number"):
        hvp(lambda x: x * 2, (X,), (X,))
    with pytest.raises(ValueError, match="one number"):
        grad(lambda x: (np.sum(x), np.sum(x)))(X)


def test_arguments_that_are_not_floating_are_named():
    with pytest.raises(TypeError, match=r"int64.*astype\(float\)"):
        grad(lambda x: np.sum(x))(np.arange(3))
    with pytest.raises(TypeError, match=r"an argument\['b'\]\[1\] of dtype int64"):
        grad(lambda p: p["a"])({"a": 1.0, "b": [1.0, 2]})
    with pytest.raises(TypeError, match="a Tensor holds numbers"):
        grad(lambda x: x)("text")
    with pytest.raises(TypeError, match="complex"):
        grad(lambda x: x)(1j)


@pytest.mark.parametrize(
    ("argnums", "error"),
    [(2, ValueError), (-3, ValueError), ((), ValueError), ((0, 0), ValueError),
     ((0, -2), ValueError), ("0", TypeError), ([0], TypeError), (1.0, TypeError)],
)  # fmt: skip
def test_argnums_name_positional_arguments(argnums, error):
    with pytest.raises(error, match="argnums"):
        grad(lambda x, y: np.sum(x * y), argnums)(X, X)


def test_what_functions_return_is_checked():
    for wrong in ("text", 1j, object()):
        with pytest.raises(TypeError, match="function returned"):
            vjp(lambda x, wrong=wrong: wrong, X)
    with pytest.raises(TypeError, match=r"returned bool.*has_aux"):
        vjp(lambda x: x > 0, X)
    with pytest.raises(TypeError, match=r"\(out, aux\)"):
        grad(lambda x: np.sum(x), has_aux=True)(X)
    with pytest.raises(TypeError, match="function first"):
        vjp(X, np.sin)


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


def test_a_gradient_lost_on_the_way_out_is_refused():
    for f, way in (
        (lambda x: float(x[0]) ** 2, r"float\(t\)"),
        (lambda x: np.sum(x.data), r"t\.data"),
        (lambda x: np.exp(x[0]).item(), r"t\.item\(\)"),
    ):
        for transform in (grad, hessian, jacobian, lambda f: lambda x: jvp(f, (x,), (x,))):
            with pytest.raises(TypeError, match=f"({way}) took a value out of the graph"):
                transform(f)(X)
    # looking at a value on the way to a Tensor is fine
    close(grad(lambda x: np.sum(x) * (2.0 if x[0].item() > -9 else 3.0))(X), np.full(3, 2.0))


def test_an_argument_that_is_not_used_has_gradient_zero():
    gy = grad(lambda x, y: np.sum(x), 1)(X, X)
    close(gy, np.zeros(3))
    close(hessian(lambda x: np.sum(x))(X), np.zeros((3, 3)))
    close(jacobian(lambda x: np.ones(2))(X), np.zeros((2, 3)))
    close(jvp(lambda x: np.ones(2), (X,), (X,))[1], np.zeros(2))
    close(hvp(lambda x: rg.Tensor(1.0), (X,), (X,))[0], np.zeros(3))


def test_they_leave_nothing_for_the_garbage_collector(garbage):
    def use():
        f = lambda x: np.sum(np.exp(x) * x)  # noqa: E731
        hessian(f)(X)
        hvp(f, (X,), (X,))
        grad(lambda x: np.sum(grad(f)(x)))(X)
        vjp(f, X)[1](1.0)

    assert garbage(use) == 0
