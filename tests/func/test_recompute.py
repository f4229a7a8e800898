"""What is computed twice, so that less is kept."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.func import checkpoint, hessian

X = np.random.default_rng(0).normal(size=(5, 3))


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
    net = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
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


RNG = np.random.default_rng(5)


class Noisy(nn.Module):
    """Draws by itself, from a generator of its own."""

    def __init__(self):
        self.inner = nn.Dropout(0.5, rng=1)
        self.rng = np.random.default_rng(2)

    def forward(self, x):
        return self.inner(x) * self.rng.normal(size=x.shape)


def drawing():
    """Functions that multiply by what they draw, each from another place."""
    drop, own, noisy = nn.Dropout(0.5, rng=7), np.random.default_rng(3), Noisy()
    given, shared = np.random.default_rng(4), nn.Sequential(Noisy(), nn.Dropout(0.3, rng=8))
    return {
        "a layer": lambda x: checkpoint(drop, x),
        "a layer inside": lambda x: checkpoint(lambda x: drop(drop(x)), x),
        "a function with a generator": lambda x: checkpoint(
            lambda x: nn.functional.dropout(x, 0.5, rng=own), x
        ),
        "by itself": lambda x: checkpoint(lambda x: x * own.normal(size=x.shape), x),
        "a global name": lambda x: checkpoint(lambda x: x * RNG.normal(size=x.shape), x),
        "an argument": lambda x: checkpoint(lambda x, rng: x * rng.normal(size=x.shape), x, given),
        "a Module": lambda x: checkpoint(noisy, x),
        "a Module's method": lambda x: checkpoint(noisy.forward, x),
        "Modules in a closure": lambda x: checkpoint(lambda x: shared(x), x),
        "a checkpoint in one": lambda x: checkpoint(lambda x: checkpoint(drop, x) * 2, x),
    }


@pytest.mark.parametrize("name", drawing())
def test_what_is_drawn_anywhere_is_drawn_alike_again(name):
    f, alike = drawing()[name], drawing()[name]
    for _ in range(3):
        x = rg.Tensor(np.arange(1.0, 17.0), requires_grad=True)
        y = f(x)
        np.sum(y * y).backward()
        np.testing.assert_allclose(x.grad, 2 * y.data**2 / x.data)
    # generators go on as if there had been no second run
    if name != "a global name":
        with rg.no_grad():
            for _ in range(3):
                again = alike(rg.Tensor(np.arange(1.0, 17.0)))
        np.testing.assert_array_equal(again.data, y.data)
