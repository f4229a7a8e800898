"""What a rule is given and which arguments of a user fit it."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: np.exp(x, dtype=np.float32), "dtype="),
        (lambda x: np.exp(x, where=np.array([True, False])), "where="),
        (lambda x: np.exp(x, casting="unsafe"), "casting="),
    ],
)
def test_an_argument_the_rule_does_not_know_is_refused_by_name(call, name):
    with pytest.raises(TypeError, match=name):
        call(leaf(1.0, 2.0))


def test_arguments_with_their_defaults_are_no_obstacle():
    x = leaf(1.0, 2.0)
    y = np.sum(x, None, None, None, False)
    z = np.exp(x, out=None, where=True, casting="same_kind", order="K", dtype=None, subok=True)
    assert y.requires_grad
    assert z.requires_grad


def test_names_and_positions_of_arguments_mean_the_same():
    x = rg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    for got in (np.sum(x, 0, None, None, True), np.sum(a=x, axis=0, keepdims=True)):
        np.testing.assert_array_equal(got.data, [[3.0, 5.0, 7.0]])
    np.testing.assert_array_equal(np.transpose(x, (1, 0)).data, np.transpose(axes=(1, 0), a=x).data)


def test_defvjp_refuses_what_is_no_rule(scratch):
    with pytest.raises(TypeError, match="function first"):
        rg.defvjp("np.sin", lambda g, out, x: g)
    with pytest.raises(TypeError, match="one vjp for each array"):
        rg.defvjp(scratch)
    with pytest.raises(TypeError, match="one vjp for each array"):
        rg.defvjp(scratch, 2.0)
    with pytest.raises(TypeError, match="decorates a function"):
        rg.primitive(3)


def test_an_argument_marked_none_has_no_gradient():
    @rg.primitive
    def pick_one(x, y):
        return x * y

    rg.defvjp(pick_one, lambda g, out, x, y: g * y, None)
    x, y = leaf(2.0), leaf(3.0)
    pick_one(x, y).backward()
    assert x.grad[0] == 3.0
    assert y.grad is None


def test_a_rule_given_anew_is_the_one_that_counts(scratch):
    x = leaf(1.0, 2.0)
    for factor in (2.0, 5.0):
        rg.defvjp(scratch, lambda g, out, x, by=2.0, shift=0.0, factor=factor: g * factor)
        (g,) = rg.autograd.grad(np.sum(scratch(x)), x)
        np.testing.assert_array_equal(g.data, [factor, factor])
