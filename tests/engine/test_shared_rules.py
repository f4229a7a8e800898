"""Rules whose vjps share their work."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.engine import RULES, defvjp_joint
from retrograd.testing import gradgradcheck


@pytest.fixture
def product():
    """Return a product of three whose rule counts how often the shared part runs."""
    runs = []

    @rg.primitive
    def product(x, y, z):
        return x * y * z

    def joint(needed, g, out, x, y, z):
        runs.append(1)
        gz = g * z
        ways = (lambda: gz * y, lambda: gz * x, lambda: None)
        return [ways[i]() for i in needed]

    defvjp_joint(product, joint, arrays=3)
    yield product, runs
    del RULES[product]


def test_the_shared_part_runs_once_a_visit_and_only_where_it_is_wanted(product):
    product, runs = product
    x, y = (rg.Tensor(v, requires_grad=True) for v in ([2.0], [3.0]))
    out = product(x, y, np.array([5.0]))
    out.backward(retain_graph=True)
    assert (x.grad, y.grad, len(runs)) == (15.0, 10.0, 1)
    out.backward()
    assert (x.grad, y.grad, len(runs)) == (30.0, 20.0, 2)
    product(np.ones(1), np.ones(1), rg.Tensor([1.0], requires_grad=True))
    assert len(runs) == 2


def test_derivatives_go_through_the_shared_part(product):
    product, _ = product
    z = np.array([5.0, 7.0])
    assert gradgradcheck(lambda x, y: product(x, y, z), np.array([2.0, 1.0]), np.array([3.0, 4.0]))


def test_the_rule_gives_the_gradients_that_are_asked_for(product):
    product, runs = product
    rule = RULES[product]
    assert rule.arrays == 3
    assert rule.gradients([0, 2], 1.0, 30.0, (2.0, 3.0, 5.0), {}) == [15.0, None]
    assert len(runs) == 1
