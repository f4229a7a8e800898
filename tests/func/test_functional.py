"""Modules as functions of their parameters."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import func, nn
from retrograd.func import functional_call, grad

RNG = np.random.default_rng(0)


X = RNG.normal(size=(5, 3))


def make_net():
    return nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))


def test_a_module_is_called_with_other_parameters_and_keeps_its_own():
    net = make_net()
    held = dict(net.named_parameters())
    params = {name: 2 * array for name, array in net.state_dict().items()}
    other = make_net()
    other.load_state_dict(params)
    np.testing.assert_array_equal(functional_call(net, params, X).data, other(X).data)
    assert all(p is held[name] for name, p in net.named_parameters())
    np.testing.assert_array_equal(
        functional_call(net, {"0.bias": params["0.bias"]}, X).shape, (5, 1)
    )


def test_its_gradient_is_that_of_the_module():
    net = make_net()
    g = grad(lambda p: np.mean(functional_call(net, p, X) ** 2))(net.state_dict())
    np.mean(net(X) ** 2).backward()
    for name, p in net.named_parameters():
        np.testing.assert_allclose(g[name].data, p.grad, rtol=1e-12)


def test_the_parameters_come_back_after_an_error():
    net = make_net()
    held = net[0].weight
    with pytest.raises(ValueError):
        functional_call(net, net.state_dict(), np.ones((5, 7)))
    assert net[0].weight is held


def test_a_shared_parameter_is_replaced_everywhere():
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    net[1].weight = net[0].weight
    w = RNG.normal(size=(3, 3))
    got = functional_call(net, {"0.weight": w}, X)
    np.testing.assert_allclose(got.data, X @ w.T @ w.T)


def test_a_shared_module_goes_by_all_its_names():
    layer = nn.Linear(3, 3, rng=0)
    net = nn.Sequential(layer, nn.Tanh(), layer)
    np.testing.assert_array_equal(functional_call(net, net.state_dict(), X).data, net(X).data)


def test_buffers_are_replaced_too():
    class Centred(nn.Module):
        def __init__(self):
            self.register_buffer("mean", np.zeros(3))

        def forward(self, x):
            return x - self.mean

    net = Centred()
    np.testing.assert_array_equal(functional_call(net, {"mean": np.ones(3)}, X), X - 1)
    np.testing.assert_array_equal(net.mean, np.zeros(3))


def test_bad_parameters_are_named_and_nothing_is_replaced():
    net = make_net()
    held = net[0].weight
    with pytest.raises(KeyError, match=r"'0\.wieght', 'more'"):
        functional_call(net, {"0.wieght": 1.0, "more": 1.0, "0.bias": np.ones(4)}, X)
    with pytest.raises(ValueError, match=r"0.bias has shape \(4,\).*\(2,\)"):
        functional_call(net, {"0.weight": np.ones((4, 3)), "0.bias": np.ones(2)}, X)
    with pytest.raises(TypeError, match="Module first"):
        functional_call(np.sin, {}, X)
    with pytest.raises(TypeError, match="dict of parameters"):
        functional_call(net, [np.ones(2)], X)
    assert net[0].weight is held


def test_arguments_may_come_in_a_tuple_as_in_pytorch():
    net = nn.Linear(2, 1)
    params, x = net.state_dict(), np.ones((3, 2))
    expected = net(x).data
    for out in (
        func.functional_call(net, params, x),
        func.functional_call(net, params, (x,)),
        func.functional_call(net, params, (x,), {}),
        func.functional_call(net, params, (), {"input": x}),
        func.functional_call(net, params, input=x),
    ):
        np.testing.assert_array_equal(out.data, expected)

    class First(nn.Module):
        def forward(self, pair):
            return pair[0]

    assert func.functional_call(First(), {}, ((1, 2),)) == 1


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "CG", "SLSQP"])
def test_scipy_minimizes_what_value_and_grad_returns(method):
    optimize = pytest.importorskip("scipy.optimize")
    fun = func.value_and_grad(lambda x: np.sum((x - 1.0) ** 2))
    found = optimize.minimize(fun, np.zeros(2), jac=True, method=method)
    np.testing.assert_allclose(np.asarray(found.x), 1.0, atol=1e-4)


def test_a_tensor_in_the_place_of_a_buffer_keeps_its_gradient():
    loss, logits = nn.BCEWithLogitsLoss(pos_weight=np.ones(2)), np.array([[0.5, -1.0]])

    def weighed(w):
        return functional_call(loss, {"pos_weight": w}, (logits, np.ones((1, 2))))

    expected = -nn.functional.logsigmoid(logits[0]) / 2
    np.testing.assert_allclose(grad(weighed)(np.ones(2)).data, expected)
    assert type(loss.pos_weight) is np.ndarray


def test_scipy_fits_with_a_jacobian_and_finds_roots_with_a_hessian():
    optimize = pytest.importorskip("scipy.optimize")

    def residuals(x):
        return rg.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])

    def loss(x):
        return np.sum(residuals(x) ** 2)

    start = np.array([-1.2, 1.0])
    fit = optimize.least_squares(
        lambda x: residuals(rg.Tensor(x)), start, jac=func.jacobian(residuals), method="lm"
    )
    np.testing.assert_allclose(fit.x, [1.0, 1.0])
    root = optimize.root(grad(loss), [0.9, 0.9], jac=func.hessian(loss))
    np.testing.assert_allclose(root.x, [1.0, 1.0])


@pytest.mark.parametrize("fn", [np.atleast_1d, np.atleast_2d, np.atleast_3d])
def test_arrays_of_at_least_so_many_axes_are_made_as_np_asarray_makes_them(fn):
    t = rg.Tensor(2.0)
    assert type(fn(t)) is np.ndarray
    assert [a.shape for a in fn(t, t)] == [a.shape for a in fn(2.0, 2.0)]
    assert type(rg.compile(lambda x: fn(x) * 1.0)(t)) is rg.Tensor
    assert fn(t.requires_grad_()).requires_grad
    assert type(np.vstack([rg.Tensor([1.0]), [2.0]])) is rg.Tensor
