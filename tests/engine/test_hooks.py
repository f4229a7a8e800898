import gc

import numpy as np
import pytest

import retrograd as rg
from retrograd.engine import HOOKED_LEAVES


def leaf(values):
    return rg.Tensor(values, requires_grad=True)


def noting(log, name, change=None):
    """Return a hook that notes its name and what arrives, and may put something in its place."""

    def hook(g):
        log.append((name, float(g)))
        return None if change is None else change(g)

    return hook


def test_hooks_see_the_whole_gradient_once_in_order_and_replace_it_for_all_that_follows():
    # the numbers, also those of the log, are PyTorch 2.13's for the same lines
    x, log = leaf(3.0), []
    h = x * 2
    z = h * h
    h.register_hook(noting(log, "h1", lambda g: g * 10))
    h.retain_grad()
    h.register_hook(noting(log, "h2", lambda g: g + 1))
    x.register_hook(noting(log, "x1", lambda g: g * 2))
    x.register_hook(noting(log, "x2"))
    z.register_hook(noting(log, "z"))
    z.backward(retain_graph=True)
    seen = [("z", 1.0), ("h1", 12.0), ("h2", 120.0), ("x1", 242.0), ("x2", 484.0)]
    assert log == seen
    assert (x.grad, h.grad) == (484.0, 121.0)
    log.clear()
    assert rg.autograd.grad(z, x, retain_graph=True)[0].item() == 484.0
    assert log == seen
    assert rg.autograd.grad(z, h)[0].item() == 121.0


def test_a_leafs_hooks_are_called_as_soon_as_its_gradient_is_complete():
    w1, w2, log = leaf(1.0), leaf(2.0), []
    a = w1 * 3.0
    b = a * w2
    for name, t in {"w1": w1, "w2": w2, "a": a, "b": b}.items():
        t.register_hook(noting(log, name))
    (b * b).backward()
    assert [name for name, _ in log] == ["b", "w2", "a", "w1"]


def test_a_leaf_that_is_the_root_has_its_hooks_called():
    y = leaf(2.0)
    y.register_hook(lambda g: g * 5)
    y.backward()
    assert y.grad == 5.0


@pytest.mark.parametrize("is_leaf", [True, False])
def test_a_hook_is_taken_off_once_and_for_all(is_leaf):
    x, log = leaf(2.0), []
    t = x if is_leaf else x * 1
    handle = t.register_hook(noting(log, "t"))
    t.register_hook(noting(log, "other"))
    handle.remove()
    handle.remove()
    (t * 2).backward(retain_graph=True)
    assert log == [("other", 2.0)]


def test_a_hook_may_take_itself_off():
    x, calls = leaf(2.0), []
    handle = x.register_hook(lambda g: calls.append(1) or handle.remove())
    (x * x).backward()
    (x * x).backward()
    assert calls == [1]
    assert not HOOKED_LEAVES.by_id


def test_an_array_that_a_hook_gets_cannot_be_written_and_stays_as_it_is():
    x, kept = leaf([1.0, 2.0]), []
    x.register_hook(kept.append)
    np.sum(x * x).backward()
    with pytest.raises(ValueError, match="read-only"):
        kept[0][0] = 7.0
    x.grad[...] = 0.0
    np.testing.assert_array_equal(kept[0], [2.0, 4.0])


def test_what_a_hook_returns_stays_its_own():
    x, mine = leaf([1.0, 2.0]), np.ones(2)
    h = x * 1
    h.register_hook(lambda g: mine)
    (h + x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])
    np.testing.assert_array_equal(mine, [1.0, 1.0])


def test_a_hook_gets_a_tensor_where_gradients_are_recorded():
    x, kinds = leaf(3.0), []
    h = x * x
    h.register_hook(lambda g: kinds.append(type(g)) or g * x)
    (first,) = rg.autograd.grad(h * 2, x, create_graph=True)
    assert first.item() == 2 * 3 * 6  # 2 from above, times x by the hook, times 2 x
    (second,) = rg.autograd.grad(first, x)
    assert second.item() == 4 * 2 * 3  # of 4 x ** 2
    assert kinds == [rg.Tensor]


def test_a_hook_keeps_dtype_and_must_keep_the_shape():
    x = rg.Tensor(np.ones(2, np.float32), requires_grad=True)
    x.register_hook(lambda g: g * np.float64(2.0))
    x.sum().backward()
    assert x.grad.dtype == np.float32
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match=r"shape \(2,\) returned a gradient of shape \(\)"):
        x.sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])  # nothing is half done


def test_what_cannot_have_a_hook_says_so():
    with pytest.raises(RuntimeError, match="does not require grad"):
        rg.Tensor(1.0).register_hook(print)
    with pytest.raises(TypeError, match="a hook is a function"):
        leaf(1.0).register_hook(3)


def test_hooks_inside_and_around_a_recomputed_function_are_called_once():
    x, w, log = leaf(2.0), leaf(3.0), []

    def inner(x):
        h = x * w
        h.register_hook(noting(log, "h"))
        return h * h

    x.register_hook(noting(log, "x"))
    w.register_hook(noting(log, "w"))
    rg.func.checkpoint(inner, x * 1).backward()
    assert sorted(log) == [("h", 12.0), ("w", 24.0), ("x", 36.0)]


def test_a_hook_goes_with_its_leaf():
    x = leaf(1.0)
    x.register_hook(lambda g: None)
    del x
    gc.collect()
    assert not HOOKED_LEAVES.by_id


def test_compiled_steps_refuse_hooks_by_name_also_those_that_come_later():
    net = rg.nn.Linear(2, 1)
    optimizer = rg.optim.SGD(net.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = np.mean(net(x) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    fast, x = rg.compile(step), np.ones((3, 2))
    for _ in range(3):
        fast(x)
    other = leaf(1.0)
    other.register_hook(lambda g: None)  # of no concern to the step
    fast(x)
    handle = net.bias.register_hook(lambda g: g * 0)
    with pytest.raises(rg.TraceError, match="register_hook"):
        fast(x)
    handle.remove()
    fast(x)
    with pytest.raises(rg.TraceError, match="register_hook"):
        rg.compile(lambda x: (net(x) * 1).register_hook(print))(x)
