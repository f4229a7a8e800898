"""Transforms inside a compiled step are recorded like everything else."""

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from retrograd import func

X = np.random.default_rng(0).normal(size=(6, 5, 3))


def gradient_penalty(net, x):
    return np.mean(func.grad(lambda x: np.sum(np.tanh(net(x))))(x) ** 2)


def product(net, x):
    (hv,) = func.hvp(lambda x: np.sum(np.tanh(net(x)) ** 2), (x,), (np.ones((5, 3)),))
    return np.mean(hv**2)


def jacobian_norm(net, x):
    return np.mean(func.jacobian(lambda x: np.tanh(net(x)))(x) ** 2)


def recomputed(net, x):
    return np.mean(func.checkpoint(lambda x: np.tanh(net(x)), x) ** 2)


def called(net, x):
    return np.mean(func.functional_call(net, {"weight": net.weight * 2}, x) ** 2)


def special(net, x):
    return np.mean(rg.special.erf(net(x)) + rg.special.gammaln(1 + net(x) ** 2))


@pytest.mark.parametrize(
    "loss", [gradient_penalty, product, jacobian_norm, recomputed, called, special]
)
def test_a_compiled_step_computes_what_the_function_does(loss):
    def make():
        net = rg.nn.Linear(3, 4, rng=0)
        optimizer = rg.optim.SGD(net.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            value = loss(net, x)
            value.backward()
            optimizer.step()
            return value

        return step, net

    assert_compiled_agrees(make, [(x,) for x in X])
