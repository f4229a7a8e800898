"""Variables that are never taken for each other, and what may go in and come out."""

import numpy as np
import pytest

import retrograd as rg
from helpers import assert_close
from retrograd import func
from retrograd.func import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

X = np.array([0.5, -1.25, 2.0])


def test_argnums_choose_arguments_from_the_front_or_the_back():
    def f(x, y, z):
        return np.sum(x * y**2 * z)

    y = X + 1
    assert_close(grad(f, 1)(X, y, 3.0), 2 * X * y * 3)
    assert_close(grad(f, -2)(X, y, 3.0), 2 * X * y * 3)
    gx, gz = grad(f, (0, 2))(X, y, 3.0)
    assert_close(gx, y**2 * 3)
    assert_close(gz, np.sum(X * y**2))
    (only,) = grad(f, (0,))(X, y, 3.0)
    assert_close(only, gx.data)


def test_keywords_are_passed_and_not_differentiated():
    assert_close(grad(lambda x, *, power: np.sum(x**power))(X, power=3), 3 * X**2)


# Perturbation confusion


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


# When results keep a graph


def test_a_derivative_inside_a_loss_reaches_the_parameters():
    w = rg.Tensor([0.5, -0.3, 0.2], requires_grad=True)

    def critic(x):
        return np.sum(np.tanh(w * x))

    np.sum(grad(critic)(X) ** 2).backward()
    t = np.tanh(w.data * X)
    u = w.data * (1 - t**2)
    assert_close(w.grad, 2 * u * ((1 - t**2) - w.data * 2 * t * (1 - t**2) * X))
    assert hvp(critic, (X,), (X,))[0].requires_grad
    assert jacobian(lambda x: w * x)(X).requires_grad


def test_under_no_grad_derivatives_are_computed_and_not_kept():
    w = rg.Tensor(X, requires_grad=True)
    with rg.no_grad():
        assert not rg.is_grad_enabled()
        g = grad(lambda x: np.sum(w * x**2))(X)
        h = hessian(lambda x: np.sum(w * x**2))(X)
    assert_close(g, 2 * X * X)
    assert_close(h, np.diag(2 * X))
    assert not g.requires_grad
    assert not h.requires_grad


def test_a_leaf_given_as_argument_gets_no_grad_and_can_be_differentiated_further():
    x = rg.Tensor(X, requires_grad=True)
    g = grad(lambda x: np.sum(x**3))(x)
    assert x.grad is None
    np.sum(g).backward()
    assert_close(x.grad, 6 * X)


def test_they_leave_nothing_for_the_garbage_collector(garbage):
    def use():
        f = lambda x: np.sum(np.exp(x) * x)  # noqa: E731
        hessian(f)(X)
        hvp(f, (X,), (X,))
        grad(lambda x: np.sum(grad(f)(x)))(X)
        vjp(f, X)[1](1.0)

    assert garbage(use) == 0


# Bad input


def test_functions_of_more_than_one_number_have_no_gradient():
    for transform in (grad, value_and_grad, hessian):
        with pytest.raises(ValueError, match=r"of <lambda>.*\(3,\).*jacobian or vjp"):
            transform(lambda x: x * 2)(X)
    with pytest.raises(ValueError, match="one number"):
        hvp(lambda x: x * 2, (X,), (X,))
    with pytest.raises(ValueError, match="one number"):
        grad(lambda x: (np.sum(x), np.sum(x)))(X)


def test_arguments_that_are_not_floating_are_named():
    with pytest.raises(TypeError, match=r"int\d+.*astype\(float\)"):
        grad(lambda x: np.sum(x))(np.arange(3))
    with pytest.raises(TypeError, match=r"an argument\['b'\]\[1\] of dtype int\d+"):
        grad(lambda p: p["a"])({"a": 1.0, "b": [1.0, 2]})
    with pytest.raises(TypeError, match="a Tensor holds numbers"):
        grad(lambda x: x)("text")
    with pytest.raises(TypeError, match="real number"):
        grad(lambda x: x)(1j)


@pytest.mark.parametrize(
    ("argnums", "error"),
    [(2, ValueError), (-3, ValueError), ((), ValueError), ((0, 0), ValueError),
     ((0, -2), ValueError), ("0", TypeError), ([0.0], TypeError), (1.0, TypeError)],
)  # fmt: skip
def test_argnums_name_positional_arguments(argnums, error):
    with pytest.raises(error, match="argnums"):
        grad(lambda x, y: np.sum(x * y), argnums)(X, X)


def test_what_functions_return_is_checked():
    for wrong in ("text", [1j, "text"], object()):
        with pytest.raises(TypeError, match="function returned"):
            vjp(lambda x, wrong=wrong: wrong, X)
    with pytest.raises(TypeError, match=r"returned bool.*has_aux"):
        vjp(lambda x: x > 0, X)
    with pytest.raises(TypeError, match=r"\(out, aux\)"):
        grad(lambda x: np.sum(x), has_aux=True)(X)
    with pytest.raises(TypeError, match="function first"):
        vjp(X, np.sin)


def test_a_gradient_lost_on_the_way_out_is_refused():
    for f, way in (
        (lambda x: float(x[0]) ** 2, r"float\(t\)"),
        (lambda x: np.sum(x.data), r"t\.data"),
        (lambda x: np.exp(x[0]).item(), r"t\.item\(\)"),
    ):
        for transform in (grad, hessian, jacobian, lambda f: lambda x: jvp(f, (x,), (x,))):
            with pytest.raises(TypeError, match=f"({way}) took a value out of the graph"):
                transform(f)(X)

    # also where NumPy puts words of its own in place of the error
    def store(x):
        states = np.zeros(3)
        states[0] = x[0]
        return np.sum(states) + np.sum(x)

    with pytest.raises(TypeError, match="took a value out of the graph") as error:
        grad(store)(X)
    assert "store" in [entry.name for entry in error.traceback]
    # looking at a value on the way to a Tensor is fine
    assert_close(grad(lambda x: np.sum(x) * (2.0 if x[0].item() > -9 else 3.0))(X), np.full(3, 2.0))


def test_words_of_others_are_answered_with_those_of_here():
    for transform in (func.grad, func.value_and_grad, func.jacobian, func.hessian):
        with pytest.raises(
            TypeError, match=rf"{transform.__name__} has no argument argnum=: write"
        ):
            transform(np.sin, argnum=0)
        with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
            transform(np.sin, foo=0)
    with pytest.raises(TypeError, match=r"argnums is an int or a tuple of ints, not 1\.0"):
        func.grad(np.multiply, argnums=1.0)(1.0, 2.0)
    with pytest.raises(AttributeError, match=r"rg\.func\.grad\(lambda x: np\.sum\(f\(x\)\)\)"):
        func.elementwise_grad  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
        func.nothing  # noqa: B018
    with pytest.raises(TypeError, match=r"int\d+ has no derivative: use 3\.0"):
        func.grad(np.sin)(3)
    with pytest.raises(TypeError, match=r"int\d+ has no derivative: use \.astype\(float\)"):
        func.grad(np.sum)(np.arange(3))


def test_argnums_in_a_list_are_as_those_in_a_tuple():
    for transform in (func.grad, func.value_and_grad, func.jacobian, func.hessian):
        assert str(transform(np.multiply, [0, 1])(2.0, 3.0)) == str(
            transform(np.multiply, (0, 1))(2.0, 3.0)
        )
