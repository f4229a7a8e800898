"""Hooks of Modules, and the summary that uses them."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn


def test_a_forward_hook_sees_and_may_change_the_output():
    layer, seen = nn.Linear(2, 3, rng=0), []
    layer.register_forward_hook(lambda module, args, out: seen.append((module, args[0], out)))
    layer.register_forward_hook(lambda module, args, out: out * 2)
    x = np.ones((1, 2))
    out = layer(x)
    assert seen[0][0] is layer
    assert seen[0][1] is x
    np.testing.assert_array_equal(out.data, 2 * seen[0][2].data)


def test_a_pre_hook_may_change_the_input():
    layer = nn.Identity()
    handle = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    assert layer(1) == 2
    handle.remove()
    handle.remove()
    assert layer(1) == 1


def test_a_backward_hook_sees_both_gradients_once():
    layer, seen = nn.Linear(2, 3, rng=0), []
    layer.register_full_backward_hook(lambda *given: seen.append(given))
    x = rg.Tensor(np.ones((4, 2)), requires_grad=True)
    (layer(x) * 3).sum().backward()
    assert len(seen) == 1
    module, (grad_input,), (grad_output,) = seen[0]
    assert module is layer
    np.testing.assert_array_equal(grad_output.data, np.full((4, 3), 3.0))
    np.testing.assert_allclose(grad_input.data, x.grad)


def test_a_backward_hook_may_change_the_gradient_of_the_input():
    layer = nn.Linear(2, 3, rng=0)
    layer.register_full_backward_hook(lambda module, before, after: (before[0] * 0,))
    x = rg.Tensor(np.ones((4, 2)), requires_grad=True)
    layer(x).sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros((4, 2)))
    assert np.any(layer.weight.grad != 0)


def test_a_backward_hook_of_several_inputs_and_outputs_is_called_once():
    class Both(nn.Module):
        def forward(self, x, y, z):
            return x * y, x + z

    both, seen = Both(), []
    both.register_full_backward_hook(lambda module, before, after: seen.append((before, after)))
    x, y = (rg.Tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
    product, total = both(x, y, np.ones(2))
    (product.sum() + 2 * total.sum()).backward()
    ((dx, dy, dz), (dproduct, dtotal)), *others = seen
    assert not others
    assert dz is None
    np.testing.assert_array_equal(dx.data, [5.0, 6.0])
    np.testing.assert_array_equal(dy.data, [1.0, 2.0])
    np.testing.assert_array_equal(dproduct.data, [1.0, 1.0])
    np.testing.assert_array_equal(dtotal.data, [2.0, 2.0])


def test_a_backward_hook_of_a_first_layer_is_called_too():
    layer, seen = nn.Linear(2, 3, rng=0), []
    layer.register_full_backward_hook(lambda module, before, after: seen.append(before))
    layer(np.ones((4, 2))).sum().backward()
    assert seen == [(None,)]


def test_a_backward_hook_leaves_second_derivatives_right():
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda *given: None)
    x = rg.Tensor([0.3, 0.7], requires_grad=True)
    (dx,) = rg.autograd.grad(layer(x).sum(), x, create_graph=True)
    (d2x,) = rg.autograd.grad(dx.sum(), x)
    t = np.tanh(x.data)
    np.testing.assert_allclose(d2x.data, -2 * t * (1 - t * t))


def test_a_hook_is_a_function():
    with pytest.raises(TypeError, match="function"):
        nn.ReLU().register_forward_hook(3)


def test_a_backward_hook_does_not_compile():
    layer = nn.ReLU()
    layer.register_full_backward_hook(lambda *given: None)
    x = rg.nn.Parameter([1.0])

    @rg.compile
    def step():
        layer(x).sum().backward()

    with pytest.raises(RuntimeError, match="hook"):
        step()


def test_a_summary_counts_and_leaves_the_net_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    net[3].bias.requires_grad_(False)
    before = net.state_dict()
    text = net.summary(np.ones((2, 1, 8, 8)))
    lines = text.splitlines()
    assert lines[0].split() == ["module", "output", "parameters"]
    assert lines[2].split() == ["0:", "Conv2d", "(2,", "4,", "6,", "6)", "40"]
    assert lines[-1] == "338 parameters, 336 trained, 2704 bytes"
    assert all(module.training for module in net.modules())
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert "output" not in net.summary()


def test_a_summary_finds_the_shape_of_the_first_of_several_outputs():
    assert "(5, 2, 4)" in nn.LSTM(3, 4).summary(np.ones((5, 2, 3)))
