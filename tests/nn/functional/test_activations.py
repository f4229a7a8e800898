import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.special import logistic


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.prelu(x(2, 3), x(2)), r"\(2,\) for input \(2, 3\)"),
        (lambda: F.glu(x(2, 3)), r"even, shape is \(2, 3\)"),
        (lambda: F.gelu(x(2), "fast"), "fast"),
        (lambda: F.softmax(x(2), axis=3), "axis"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_dropout_takes_a_probability(p):
    with pytest.raises(ValueError, match="probability"):
        F.dropout(rg.Tensor([1.0]), p)


def test_dropout_of_all_leaves_nothing():
    x = rg.Tensor(np.ones((5, 2, 4)))
    np.testing.assert_array_equal(F.dropout(x, 1.0).data, np.zeros(x.shape))


def test_the_logistic_functions_are_those_of_special():
    for name in ("sigmoid", "logsigmoid", "softmax", "log_softmax"):
        assert getattr(F, name) is getattr(logistic, name)


HALF = np.array([-1e4, -1e3, -50.0, -17.0, -6.5, -0.25, 0.0, 0.25, 1.5, 15.0, 300.0, 5e4], "f2")


@pytest.mark.parametrize("fn", [
    F.silu, F.mish, F.gelu, lambda x: F.gelu(x, "tanh"), F.softplus, F.elu, F.selu, F.softsign,
    F.logsigmoid, F.tanh, F.relu, F.hardtanh, F.leaky_relu, F.celu,
    lambda x: F.softplus(x, 2.0, 10.0),
])  # fmt: skip
def test_float16_is_right_to_its_own_digits(fn):
    def run(x):
        leaf = rg.Tensor(x, requires_grad=True)
        out = fn(leaf)
        out.backward(np.ones_like(x))
        return out, leaf.grad

    with np.errstate(over="ignore", under="ignore"):
        (out, grad), right = run(HALF), run(HALF.astype(float))
        wanted = [np.asarray(a).astype("f2") for a in (right[0].data, right[1])]
    assert out.dtype == grad.dtype == np.float16
    np.testing.assert_allclose(out.data, wanted[0], rtol=4e-3, atol=6e-5)
    np.testing.assert_allclose(grad, wanted[1], rtol=4e-3, atol=4e-4)


def test_a_sigmoid_of_float16_is_right_to_its_smallest_numbers():
    x = np.linspace(-18.0, 18.0, 145).astype("f2")
    leaf = rg.Tensor(x, requires_grad=True)
    out = F.sigmoid(leaf)
    out.backward(np.ones_like(x))
    right = 1.0 / (1.0 + np.exp(-x.astype(float)))
    for found, wanted in ((out.data, right), (leaf.grad, right * right[::-1])):
        assert found.dtype == np.float16
        np.testing.assert_allclose(found, wanted.astype("f2"), rtol=2e-3, atol=6e-8)
    assert F.sigmoid(np.array([-6e4, 6e4], "f2")).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("fn", [F.silu, F.mish, F.gelu, F.softplus])
def test_the_input_may_be_given_by_name(fn):
    x = np.array([0.5])
    assert fn(input=x) == fn(x)


def test_one_slope_keeps_the_shape_of_a_number():
    for shape in ((), (1,), (2, 1)):
        x = rg.Tensor(np.full(shape, -2.0), requires_grad=True)
        weight = rg.Tensor([0.25], requires_grad=True)
        out = F.prelu(x, weight)
        assert out.shape == rg.nn.PReLU()(x).shape == shape
        np.sum(out).backward()
        assert (x.grad.shape, weight.grad.tolist()) == (shape, [-2.0 * x.size])


def test_softsign_has_a_second_derivative_at_0():
    assert rg.func.hessian(lambda x: F.softsign(x))(np.array(0.0)).data == 0.0


def test_a_gate_of_float16_closes_wholly():
    assert F.glu(np.array([1000.0, -1000.0], "f2")).tolist() == [0.0]
