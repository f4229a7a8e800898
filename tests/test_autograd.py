"""`autograd.grad`: gradients as values."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from retrograd.autograd import grad


def test_it_returns_tensors_and_leaves_every_grad_alone():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    inner = (x * y).retain_grad()
    x.grad = np.array([7.0, 7.0])
    dx, dy, di = grad(np.sum(inner * inner), [x, y, inner])
    assert {type(d) for d in (dx, dy, di)} == {rg.Tensor}
    np.testing.assert_array_equal(dx.data, 2 * inner.data * y.data)
    np.testing.assert_array_equal(dy.data, 2 * inner.data * x.data)
    np.testing.assert_array_equal(di.data, 2 * inner.data)
    np.testing.assert_array_equal(x.grad, [7.0, 7.0])
    assert y.grad is None
    assert inner.grad is None


def test_the_result_cannot_be_differentiated_unless_asked():
    x = leaf(2.0)
    (plain,) = grad(x**3, x)
    assert not plain.requires_grad
    (graph,) = grad(x**3, x, create_graph=True)
    assert graph.requires_grad


def test_only_what_lies_between_is_visited():
    @rg.primitive
    def trap(x):
        return x * 1

    def fails(g, out, x):
        raise AssertionError("visited")

    rg.defvjp(trap, fails)
    x, y = leaf(1.0), leaf(2.0)
    (dy,) = grad(trap(x) * y, y)
    assert dy.item() == 1.0


def test_the_graph_is_freed_unless_kept():
    x = leaf(2.0)
    y = x * x
    grad(y, x, retain_graph=True)
    grad(y, x)
    with pytest.raises(RuntimeError, match="retain_graph"):
        grad(y, x)
    y = x * x
    grad(y, x, create_graph=True)
    grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="retain_graph"):
        grad(y, x)


def test_an_input_that_is_not_used_is_an_error_or_none():
    x, y = leaf(1.0), leaf(2.0)
    with pytest.raises(RuntimeError, match=r"\(1,\).*allow_unused"):
        grad(x * 2, [x, y])
    dx, dy = grad(x * 2, [x, y], allow_unused=True)
    assert dx.item() == 2.0
    assert dy is None


def test_several_outputs_are_weighed_and_added():
    x = leaf(1.0, 2.0)
    (dx,) = grad([x * 2, np.sum(x * x)], x, [np.array([1.0, 10.0]), 3.0])
    np.testing.assert_array_equal(dx.data, [2 + 6.0, 20 + 12.0])
    (dx,) = grad((np.sum(x), np.sum(x * x)), x)
    np.testing.assert_array_equal(dx.data, [3.0, 5.0])


def test_an_output_may_be_its_own_input_and_twice():
    x = leaf(3.0)
    y = x * x
    (dy,) = grad(y, y, retain_graph=True)
    assert dy.item() == 1.0
    dx, again = grad([y, y], [x, x])
    assert dx.item() == again.item() == 12.0
    (dx,) = grad(x, x)
    assert dx.item() == 1.0


def test_the_weights_of_outputs_have_gradients_too():
    x, v = leaf(2.0, 3.0), leaf(1.0, 1.0)
    (dx,) = grad(np.exp(x), x, v, create_graph=True)
    (dv,) = grad(np.sum(dx), v)
    np.testing.assert_allclose(dv.data, np.exp(x.data))


def test_grad_inside_no_grad_with_create_graph_still_builds_one():
    x = leaf(2.0)
    y = x**3
    with rg.no_grad():
        (dx,) = grad(y, x, create_graph=True)
        assert not rg.is_grad_enabled()
    (d2x,) = grad(dx, x)
    assert d2x.item() == pytest.approx(12.0)


def test_what_a_result_holds_is_its_own():
    x = leaf(1.0, 2.0)
    v = np.ones(2)
    (dx,) = grad(x * 1.0 + 0.0, x, v)
    assert not np.shares_memory(dx.data, v)


def test_bad_input_is_named():
    x = leaf(1.0, 2.0)
    y = x * x
    with pytest.raises(TypeError, match="ndarray"):
        grad(np.ones(2), x)
    with pytest.raises(TypeError, match="float"):
        grad(y, [x, 1.0])
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad(np.sum(y), rg.Tensor([1.0]))
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad(rg.Tensor(1.0), x)
    with pytest.raises(RuntimeError, match="one number"):
        grad(y, x)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        grad(y, x, np.ones(3))
    with pytest.raises(ValueError, match="2 entries for 1 outputs"):
        grad([y], x, [np.ones(2), np.ones(2)])
    np.testing.assert_array_equal(grad(np.sum(y), x)[0].data, [2.0, 4.0])


def test_second_derivatives_through_a_layer_with_a_plain_array_as_weight():
    x = rg.Tensor(np.arange(6.0).reshape(2, 3) / 6, requires_grad=True)
    out = rg.nn.functional.linear(x, np.arange(12.0).reshape(4, 3)) ** 3
    (g,) = rg.autograd.grad(out.sum(), x, create_graph=True)
    (h,) = rg.autograd.grad(g.sum(), x)
    w = np.arange(12.0).reshape(4, 3)
    np.testing.assert_allclose(h.data, (6 * (x.data @ w.T) * w.sum(1)) @ w, rtol=1e-12)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_loss_of_saturated_probabilities_sends_back_what_backward_does(create_graph):
    z = rg.Tensor([-900.0, 0.5, 900.0], requires_grad=True)
    target = np.array([1.0, 0.0, 0.0])

    def loss():
        return rg.nn.functional.binary_cross_entropy(rg.nn.functional.sigmoid(z), target)

    loss().backward()
    (g,) = rg.autograd.grad(loss(), z, create_graph=create_graph)
    np.testing.assert_array_equal(g.data, z.grad)
    assert abs(g.data[0]) > 0.3
    if create_graph:
        (h,) = rg.autograd.grad(g.sum(), z)
        s = 1 / (1 + np.exp(-0.5))
        np.testing.assert_allclose(h.data, [0, s * (1 - s) / 3, 0], atol=1e-15)


def test_what_lies_between_is_asked_for_too():
    z = rg.Tensor([0.5, -1.0], requires_grad=True)
    p = rg.nn.functional.sigmoid(z)
    loss = rg.nn.functional.binary_cross_entropy(p, np.array([1.0, 0.0]))
    dp, dz = rg.autograd.grad(loss, [p, z])
    np.testing.assert_allclose(dz.data, (dp * p * (1 - p)).data, rtol=1e-12)
