"""Modules as functions, trees as vectors, and what is computed twice."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.func import checkpoint, functional_call, grad, hessian, ravel_pytree

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))


def make_net():
    return nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))


# functional_call ----------------------------------------------------------------------------------


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


# ravel_pytree -------------------------------------------------------------------------------------


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
    with pytest.raises(TypeError, match="int64"):
        ravel_pytree([1.0, 2])
    with pytest.raises(ValueError, match=r"2 elements, not shape \(3,\)"):
        ravel_pytree([1.0, 2.0])[1](np.ones(3))
    with pytest.raises(ValueError, match=r"\(2, 1\)"):
        ravel_pytree([1.0, 2.0])[1](np.ones((2, 1)))


# checkpoint ---------------------------------------------------------------------------------------


@rg.primitive
def counted(x):
    RUNS.append(1)
    return np.sin(x)


RUNS = []
rg.defvjp(counted, lambda g, out, x: g * np.cos(x))


def test_a_checkpoint_gives_the_same_gradients_from_a_second_run():
    def segment(x, scale):
        return counted(counted(x) * scale["s"]) + x

    def run(wrapped):
        x = rg.Tensor(X, requires_grad=True)
        s = rg.Tensor(2.0, requires_grad=True)
        y = x * 1
        for _ in range(3):
            y = checkpoint(segment, y, {"s": s}) if wrapped else segment(y, {"s": s})
        y = np.sum(y)
        RUNS.clear()
        y.backward()
        return y.item(), x.grad, s.grad, len(RUNS)

    plain, saved = run(False), run(True)
    assert saved[0] == plain[0]
    np.testing.assert_allclose(saved[1], plain[1], rtol=1e-12)
    np.testing.assert_allclose(saved[2], plain[2], rtol=1e-12)
    assert (plain[3], saved[3]) == (0, 6)


def test_a_checkpoint_keeps_only_what_goes_in_and_out():
    x = rg.Tensor(X, requires_grad=True)
    y = checkpoint(lambda x: np.exp(np.sin(np.cos(x))), x)
    (whole, _) = y.inputs
    assert whole.inputs == (x,)
    assert all(a is x._array for a in whole.args)


def test_a_checkpoint_leaves_nothing_for_the_garbage_collector(garbage):
    def use():
        x = rg.Tensor(X, requires_grad=True)
        np.sum(checkpoint(lambda x: np.exp(np.sin(x)), x)).backward()

    assert garbage(use) == 0


def test_gradients_flow_to_what_the_function_uses_besides():
    net = make_net()
    y = net[0](X)  # recorded before, and used by the checkpoint
    checkpoint(lambda: np.sum(net(X)) + np.sum(y * net[0].bias)).backward()
    found = {name: p.grad for name, p in net.named_parameters()}
    net.zero_grad()
    (np.sum(net(X)) + np.sum(net[0](X) * net[0].bias)).backward()
    for name, p in net.named_parameters():
        np.testing.assert_allclose(found[name], p.grad, rtol=1e-12)


def test_dropout_draws_the_same_again():
    x = rg.Tensor(np.ones(100), requires_grad=True)
    rg.manual_seed(3)
    y = checkpoint(lambda x: rg.nn.functional.dropout(x, 0.5), x)
    after = rg.nn.functional.dropout(rg.Tensor(np.ones(5)), 0.5)
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, y.data)
    again = rg.nn.functional.dropout(rg.Tensor(np.ones(5)), 0.5)
    rg.manual_seed(3)
    rg.nn.functional.dropout(rg.Tensor(np.ones(100)), 0.5)
    for held in (after, again):
        fresh = rg.nn.functional.dropout(rg.Tensor(np.ones(5)), 0.5)
        np.testing.assert_array_equal(held.data, fresh.data)


def test_checkpoints_are_differentiated_again():
    def f(x):
        return np.sum(checkpoint(lambda x: np.sin(x) * x**2, x))

    got = hessian(f)(X[0])
    x = X[0]
    np.testing.assert_allclose(
        np.diag(got.data), -np.sin(x) * x**2 + 4 * x * np.cos(x) + 2 * np.sin(x)
    )


def test_trees_come_out_and_what_needs_no_gradient_has_none():
    x = rg.Tensor(X, requires_grad=True)
    out = checkpoint(lambda x: {"y": [x * 2], "order": np.argsort(x, axis=0), "same": x}, x)
    assert out["y"][0].requires_grad
    assert not out["order"].requires_grad
    np.sum(out["y"][0] + out["same"]).backward()
    np.testing.assert_array_equal(x.grad, np.full((5, 3), 3.0))
    with rg.no_grad():
        assert not checkpoint(np.sin, x).requires_grad
    assert not checkpoint(np.sin, rg.Tensor(X)).requires_grad
    with pytest.raises(TypeError, match="function first"):
        checkpoint(X, np.sin)
