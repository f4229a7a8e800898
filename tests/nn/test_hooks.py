"""Hooks of Modules: what they see and may change, and that they leave nothing behind."""

import copy
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrograd as rg
from retrograd import nn

KINDS = ("register_forward_pre_hook", "register_forward_hook", "register_full_backward_hook")


def nothing(*given):
    """Be a hook that changes nothing."""


def nested():
    return nn.Sequential(nn.Linear(2, 3, rng=0), nn.Sequential(nn.Tanh(), nn.Linear(3, 1, rng=0)))


def runs_directly(net):
    """Whether calls of a net and of all inside it go straight to `forward`."""
    roundabout = []

    def call(self, args, kwargs):
        roundabout.append(self)
        return self.forward(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "_call", call)
        net(np.ones((1, 2)))
    return not roundabout and not any("_hooks" in vars(module) for module in net.modules())


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


# What hooks leave behind


def test_a_net_without_hooks_runs_directly_and_one_with_hooks_does_not():
    net = nested()
    assert runs_directly(net)
    for kind in KINDS:
        handle = getattr(net[1], kind)(nothing)
        assert not runs_directly(net)
        handle.remove()


def test_a_net_runs_directly_again_after_summaries():
    net = nested()
    for _ in range(2):
        net.summary(np.ones((4, 2)))
        assert runs_directly(net)
    net.summary()
    assert runs_directly(net)


def test_a_net_runs_directly_again_after_a_summary_that_failed():
    net = nested()
    with pytest.raises(ValueError, match="linear"):
        net.summary(np.ones((4, 3)))
    assert runs_directly(net)
    assert all(module.training for module in net.modules())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_net_runs_directly_again_after_each_kind_of_hook_in_any_order(order):
    net = nested()
    for module in net.modules():
        handles = [getattr(module, kind)(nothing) for kind in KINDS]
        net.summary(np.ones((4, 2)))
        for i in order:
            assert not runs_directly(net)
            handles[i].remove()
            handles[i].remove()
        assert runs_directly(net)
        for handle in handles:
            handle.remove()
        assert runs_directly(net)


def test_a_second_removal_leaves_the_hooks_of_others():
    layer, seen = nn.Identity(), []
    first = layer.register_forward_hook(lambda *given: seen.append("first"))
    second = layer.register_forward_hook(lambda *given: seen.append("second"))
    first.remove()
    hooks = layer._hooks
    first.remove()
    assert layer._hooks is hooks
    layer(1)
    assert seen == ["second"]
    second.remove()
    third = layer.register_forward_hook(lambda *given: seen.append("third"))
    first.remove(), second.remove()
    layer(1)
    assert seen == ["second", "third"]
    third.remove()
    assert "_hooks" not in vars(layer)


ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 3), st.sampled_from(KINDS)),
    st.tuples(st.just("remove"), st.integers(0, 9), st.none()),
    st.tuples(st.just("summary"), st.integers(0, 3), st.none()),
)


@given(actions=st.lists(ACTIONS, max_size=12), rng=st.randoms(use_true_random=False))
def test_the_hooks_that_are_on_are_called_and_a_net_runs_directly_once_all_are_off(actions, rng):
    net, seen, handles, on = nested(), [], {}, []
    modules = list(net.modules())
    inputs = {0: (4, 2), 1: (4, 2), 2: (4, 3), 3: (4, 3)}

    def called():
        seen.clear()
        net(rg.Tensor(np.ones((1, 2)), requires_grad=True)).sum().backward()
        return sorted(seen)

    for action, number, kind in actions:
        if action == "add":
            name = len(handles)
            hook = lambda *given, name=name: seen.append(name)  # noqa: E731
            handles[name] = getattr(modules[number], kind)(hook)
            on.append(name)
        elif action == "remove" and number in handles:
            handles[number].remove()
            on = [name for name in on if name != number]
        elif action == "summary":
            modules[number].summary(np.ones(inputs[number]))
        assert called() == sorted(on)
    names = list(handles)
    rng.shuffle(names)
    for name in [*names, *names]:
        handles[name].remove()
    assert called() == []
    assert runs_directly(net)


def test_a_hook_may_take_itself_off_while_it_runs():
    net, seen = nested(), []

    def hook(module, args, out):
        seen.append(module)
        handle.remove()

    handle = net[1].register_forward_hook(hook)
    net(np.ones((1, 2)))
    net(np.ones((1, 2)))
    assert seen == [net[1]]
    assert runs_directly(net)


def test_a_summary_from_inside_a_hook_leaves_that_hook_and_no_other():
    net, texts = nested(), []

    def hook(module, args, out):
        if not texts:
            texts.append("")
            texts.append(module.summary(args[0]))

    handle = net.register_forward_hook(hook)
    net(np.ones((4, 2)))
    assert "(4, 1)" in texts[1]
    assert [module for module in net.modules() if "_hooks" in vars(module)] == [net]
    handle.remove()
    assert runs_directly(net)


def test_a_copy_has_hooks_of_its_own():
    layer, seen = nn.Identity(), []
    handle = layer.register_forward_hook(lambda *given: seen.append("seen"))
    other = copy.deepcopy(layer)
    handle.remove()
    layer(1)
    assert not seen
    other(1)
    assert seen == ["seen"]


def test_hooks_that_came_and_went_leave_a_compiled_step_as_it_is():
    calls = []
    note = calls.append  # what a method of a list does, no check of a compiled function sees

    class Counted(nn.Module):
        def forward(self, x):
            note(1)
            return 2 * x

    net, x = nn.Sequential(Counted()), rg.nn.Parameter([1.0])

    @rg.compile
    def step():
        return net(x).sum()

    for _ in range(8):  # which is audited at calls 4, 8 and 16
        step()
    before = len(calls)
    net.summary(x)
    for kind in KINDS:
        getattr(net[0], kind)(nothing).remove()
    assert step().item() == 2
    assert len(calls) == before + 1  # that of the summary
    handle = net[0].register_forward_hook(lambda module, args, out: 3 * out)
    assert step().item() == 6
    handle.remove()
    assert step().item() == 2
