"""`gradcheck` and `gradgradcheck`: right rules pass, wrong ones do not."""

import math

import numpy as np
import pytest

import retrograd as rg
from helpers import with_rule
from retrograd.testing import KinkError, gradcheck, gradgradcheck

X = np.array([0.5, -1.25, 2.0])


# What is right passes


@pytest.mark.parametrize("full", [False, True], ids=["directions", "full"])
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize(
    ("fn", "inputs"),
    [
        (np.exp, (X,)),
        (np.logaddexp, (X, np.array(0.25))),
        (np.matmul, (np.arange(6.0).reshape(2, 3), X)),
        (lambda x: x.sum(), (np.ones((2, 0)),)),
        (lambda d: d["a"] * np.sin(d["b"][0]), ({"a": X, "b": [X + 1]},)),
        (lambda x, y: {"sum": x + y, "products": [x * y, x * x]}, (X, X + 0.1)),
        (lambda x, n: x**n, (X, 3)),
        (lambda x, c: x * c, (X, rg.Tensor([1.0, 2.0, 3.0]))),
        (lambda x: x * 1e6, (X,)),
        (lambda x: np.sum(x**2) * 1e-6, (X * 1e4,)),
        (np.floor, (X + 0.1,)),
    ],
)
def test_right_gradients_pass(check, fn, inputs, full):
    assert check(fn, *inputs, full=full) is True


def test_a_tensor_is_varied_where_it_requires_grad_and_its_grad_is_left_alone():
    seen = []

    def fn(x, c):
        seen.append(c.data.copy())
        return x * c

    x, c = rg.Tensor(X, requires_grad=True), rg.Tensor(X)
    gradcheck(fn, x, c)
    assert all(np.array_equal(s, X) for s in seen)
    assert x.grad is None


def test_the_inputs_are_not_written():
    x = X.copy()
    x.flags.writeable = False
    gradgradcheck(np.sin, x)


def test_float32_inputs_are_checked_in_float64():
    assert gradcheck(np.tanh, X.astype(np.float32))


# Every kind of broken rule is caught


BROKEN = {
    "wrong formula": with_rule(np.sin, lambda g, out, x: g * np.sin(x)),
    "wrong sign": with_rule(np.cos, lambda g, out, x: g * np.sin(x)),
    "twice too much": with_rule(np.square, lambda g, out, x: g * 4 * x),
    "a little off": with_rule(np.sin, lambda g, out, x: g * np.cos(x) * (1 + 1e-4)),
    "one element wrong": with_rule(np.sin, lambda g, out, x: g * np.cos(x) * (x != 2.0)),
    "forgotten axis": with_rule(lambda x: np.sum(x, axis=0), lambda g, out, x: np.sum(g) / g.size),
    "lost gradient": with_rule(np.sin, lambda g, out, x: g * 0.0),
    "transposed": with_rule(lambda x: x @ np.array([[0.0, 1], [2, 3]]),
                            lambda g, out, x: g @ np.array([[0.0, 1], [2, 3]])),
}  # fmt: skip


@pytest.mark.parametrize("full", [False, True], ids=["directions", "full"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_rule_is_caught(kind, full):
    point = np.array([[0.5, 2.0], [-1.25, 0.75]])
    with pytest.raises(AssertionError, match="differs from the difference quotient") as caught:
        gradcheck(BROKEN[kind], point, full=full)
    assert not isinstance(caught.value, KinkError)


def test_a_gradient_lost_on_the_way_is_caught():
    with pytest.raises(AssertionError, match=r"lost on the way.*\.data"):
        gradcheck(lambda x: x.detach() * 1.0, X)
    with pytest.raises(AssertionError, match=r"d b\[0\]"):
        gradcheck(lambda a, b: a * b.data, X, X)


@pytest.mark.parametrize(
    "vjp",
    [
        lambda g, out, x: g * np.cos(x.data if isinstance(x, rg.Tensor) else x),
        lambda g, out, x: g * np.cos(x.detach() if isinstance(x, rg.Tensor) else x),
        lambda g, out, x: g * np.cos(x) + 0 * x if isinstance(x, np.ndarray) else g * np.sin(x),
    ],
    ids=["data", "detach", "another formula for Tensors"],
)
def test_a_rule_right_at_first_order_only_is_caught_at_the_second(vjp):
    def sine(x):  # a ufunc of NumPy 2.0 tells neither its module nor its arguments
        return np.sin(x)

    fn = with_rule(sine, vjp)
    assert gradcheck(fn, X)
    with pytest.raises(AssertionError, match="the gradient of the gradient of sine"):
        gradgradcheck(fn, X)


# Bad input


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_bad_input_is_named(check):
    with pytest.raises(TypeError, match="function first"):
        check(X, np.exp)
    with pytest.raises(TypeError, match=r"np\.array\(2\.0\)"):
        check(np.exp, 2.0)
    with pytest.raises(TypeError, match="requires grad"):
        check(np.exp, rg.Tensor(X))
    with pytest.raises(TypeError, match="no floating array"):
        check(lambda x: x > 0, X)
    for options in ({"step": 0.0}, {"step": math.nan}, {"rtol": -1.0}, {"directions": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            check(np.exp, X, **options)
    with pytest.raises(TypeError, match="rng"):
        check(np.exp, X, rng="seed")


def test_a_function_that_draws_is_told_from_a_wrong_one():
    draw = np.random.default_rng(0)
    with pytest.raises(ValueError, match="another value each time"):
        gradcheck(lambda x: x * draw.random(), X)


def test_a_point_at_the_edge_of_the_domain_is_told_from_a_wrong_gradient():
    with pytest.raises(ValueError, match="not finite within"):
        gradcheck(np.log, np.array([1e-5]))
    with pytest.raises(ValueError, match="not finite at"), np.errstate(divide="ignore"):
        gradcheck(np.log, np.array([0.0]))
    assert gradcheck(np.log, np.array([1e-5]), step=1e-8)


def test_arguments_given_as_one_tuple_are_explained():
    with pytest.raises(TypeError) as caught:
        gradcheck(lambda x, y: x * y, (np.ones(2), np.ones(2)))
    assert "write gradcheck(fn, x, y), not gradcheck(fn, (x, y))" in caught.value.__notes__[-1]


# Neither a large value nor a strong bend is a false alarm


STEEP = {
    "a small wave on a large value": (lambda x: np.sin(x) + 1e8, X),
    "a wave on a larger value": (lambda x: np.sin(x) + 1e12, X),
    "a fast wave": (lambda x: np.sin(300 * x), X),
    "a faster wave": (lambda x: np.sin(3e4 * x), X),
    "a pole nearby": (lambda x: 1 / x, np.array([2e-3, -3e-3])),
    "a pole within the step": (lambda x: 1 / x, np.array([3e-4])),
    "a logarithm near 0": (np.log, np.array([2e-3])),
    "a root near 0": (np.sqrt, np.array([1.5e-3])),
    "a steep step": (lambda x: np.tanh(1e4 * x), np.array([1e-5, 0.0, -2e-5])),
    "a steep exponential": (lambda x: np.exp(2000 * x), np.array([0.01, 0.02])),
    "a large power": (lambda x: x**9, np.array([1e3, 2e3])),
}


@pytest.mark.parametrize("full", [False, True], ids=["directions", "full"])
@pytest.mark.parametrize("name", STEEP)
def test_a_steep_function_or_a_large_value_is_no_false_alarm(name, full):
    fn, point = STEEP[name]
    assert gradcheck(fn, point, full=full)
    assert gradgradcheck(fn, point, full=full)


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.parametrize("factor", [2.0, 1.001, -1.0])
def test_a_wrong_gradient_of_a_steep_function_is_caught(name, factor):
    fn, point = STEEP[name]
    wrong = with_rule(lambda x: x * 1.0, lambda g, out, x: g * factor)
    if "larger" in name:
        return  # of sin(x) + 1e12 a quotient has no digits
    with pytest.raises(AssertionError) as caught:
        gradcheck(lambda x: wrong(fn(x)), point)
    assert not isinstance(caught.value, KinkError)


# Complex numbers


Z = X + 1j * np.array([1.5, 0.25, -0.75])


@pytest.mark.parametrize("full", [False, True], ids=["directions", "full"])
def test_complex_arguments_and_results_are_checked_by_their_parts(full):
    for fn, inputs in (
        (np.exp, (Z,)), (np.multiply, (Z, X)), (np.fft.rfft, (X,)), (np.abs, (Z,)),
        (lambda z: np.conj(z) * z**2, (rg.Tensor(Z, requires_grad=True),)),
    ):  # fmt: skip
        gradcheck(fn, *inputs, full=full)
        gradgradcheck(fn, *inputs, full=full)


def test_a_wrong_rule_for_complex_numbers_is_found():
    @rg.primitive
    def squared_size(z):
        return z * np.conj(z)

    rg.defvjp(squared_size, lambda g, out, z: 2 * g * z)  # which would do for real numbers
    with pytest.raises(AssertionError, match="gradient of squared_size"):
        gradcheck(squared_size, Z)


@rg.testing.gradient_property(
    z=rg.testing.strategies.arrays(dtype=complex), x=rg.testing.strategies.arrays(())
)
def test_a_property_draws_complex_arguments(z, x):
    return np.abs(z * np.exp(1j * x)) ** 2 + np.angle(x + 2j)
