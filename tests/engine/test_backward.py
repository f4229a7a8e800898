"""The reverse pass: where it starts, what rules may give it, and whose memory it writes."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from retrograd.engine import ReversePass
from retrograd.engine.backward import unbroadcast

# Where it starts and lands


def test_backward_starts_from_one_number_or_takes_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"one number.*\(2,\)"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        (x * 2).backward(np.ones(3))
    with pytest.raises(TypeError, match=r"gradient= is complex128.*float64"):
        (x * 2).backward(np.ones(2, complex))
    assert x.grad is None
    (x * 2).backward([1, 10])
    np.testing.assert_array_equal(x.grad, [2.0, 20.0])
    (x[:1] * 2).backward(rg.Tensor([1.0]))
    np.testing.assert_array_equal(x.grad, [4.0, 20.0])


def test_backward_from_a_complex_number_takes_a_gradient():
    z = rg.Tensor(1 + 2j, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"real number.*complex128.*t\.real"):
        (z * z).backward()
    with pytest.raises(RuntimeError, match=r"real number"):
        rg.autograd.grad(z * z, z)
    assert z.grad is None
    (z * z).backward(1.0)
    np.testing.assert_array_equal(z.grad, 2 - 4j)
    z.grad = None
    (z * z).backward(1j)
    np.testing.assert_array_equal(z.grad, 1j * (2 - 4j))


def test_backward_from_what_needs_no_gradient_is_an_error_that_says_why():
    with rg.no_grad():
        y = leaf(1.0) * 2
    for t in (y, rg.Tensor(1.0), leaf(1.0).detach() * 2):
        with pytest.raises(RuntimeError, match="does not require grad"):
            t.backward()


def test_backward_of_a_leaf_is_one():
    x = rg.Tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad == 1.0
    assert x.grad.shape == ()


def test_a_gradient_is_a_plain_array_on_leaves_only():
    x = leaf(1.0, 2.0)
    y = x * 2
    np.sum(y).backward()
    assert type(x.grad) is np.ndarray
    assert x.grad.shape == (2,)
    assert y.grad is None


def test_retain_grad_fills_a_gradient_that_is_no_leafs():
    x = leaf(1.0, 2.0)
    y = (x * 2).retain_grad()
    np.sum(y * y).backward()
    np.testing.assert_array_equal(y.grad, [4.0, 8.0])
    np.testing.assert_array_equal(x.grad, [8.0, 16.0])
    with pytest.raises(RuntimeError, match="does not require grad"):
        rg.Tensor([1.0]).retain_grad()
    assert leaf(1.0).retain_grad().grad is None


def test_a_backward_that_fails_leaves_every_gradient_as_it_was():
    @rg.primitive
    def broken(x):
        return x * 2

    def fails(g, out, x):
        raise ZeroDivisionError

    rg.defvjp(broken, fails)
    x, y = leaf(1.0), leaf(2.0)
    x.grad = np.array([7.0])
    inner = broken(x * 3).retain_grad()
    loss = y * 2 + inner + x
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert x.grad[0] == 7.0
    assert y.grad is None
    assert inner.grad is None


def test_an_integer_leaf_is_refused_also_where_requires_grad_was_set():
    t = rg.Tensor([1, 2])
    t.requires_grad = True
    with pytest.raises(TypeError, match=r"int\d+: use \.astype\(float\)"):
        np.sum(t * 1.5).backward()
    assert t.grad is None


def test_a_gradient_is_a_plain_array_also_beside_arrays_of_another_class():
    class Marked(np.ndarray):
        pass

    x = leaf(1.0, 2.0)
    y = x * np.array([3.0, 4.0]).view(Marked)
    assert type(y.data) is np.ndarray
    y.backward(np.ones(2))
    assert type(x.grad) is np.ndarray


# What rules may return


def test_a_rule_may_return_any_shape_that_broadcasts(scratch):
    rg.defvjp(scratch, lambda g, out, x, by=2.0: np.sum(g) * 0 + by)  # a number for an array
    x = leaf(1.0, 2.0)
    scratch(x).backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_a_rule_whose_gradient_fits_no_broadcast_is_an_error_that_names_it(scratch):
    rg.defvjp(scratch, lambda g, out, x, by=2.0: np.ones(3))
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError) as caught:
        scratch(x).backward([1.0, 1.0])
    assert any("scale" in note for note in caught.value.__notes__) or "scale" in str(caught.value)
    assert x.grad is None


def test_a_rule_that_raises_is_named(scratch):
    def fails(g, out, x):
        raise ZeroDivisionError

    rg.defvjp(scratch, fails)
    with pytest.raises(ZeroDivisionError) as caught:
        scratch(leaf(1.0)).backward()
    assert any("scale" in note for note in caught.value.__notes__)


def test_a_vjp_that_forgets_to_return_is_named(scratch):
    rg.defvjp(scratch, lambda g, out, x, by, shift: None)
    y = scratch(leaf(1.0))
    with pytest.raises(TypeError, match="None is no gradient") as caught:
        y.backward()
    assert "in the gradient of scale" in caught.value.__notes__[0]


def test_a_formula_for_two_calls_is_for_the_first_argument_alone():
    x = rg.Tensor([1.5, 2.5], requires_grad=True)
    p = rg.nn.functional.sigmoid(x)
    rg.nn.functional.binary_cross_entropy(p, p).backward()
    assert rg.testing.gradcheck(
        lambda x: rg.nn.functional.binary_cross_entropy(
            rg.nn.functional.sigmoid(x), rg.nn.functional.sigmoid(x)
        ),
        x.data,
    )
    np.testing.assert_allclose(x.grad, -x.data * p.data * (1 - p.data) / 2)


@pytest.mark.parametrize("split", [np.modf, lambda x: np.divmod(x, 1.0)[::-1]])
def test_the_gradient_of_one_of_several_outputs_is_its_own(split):
    x = rg.Tensor([1.5, 2.5], requires_grad=True)
    before = x * 5.0
    part = split(x)[0].retain_grad()
    (before + part * 3.0).backward(np.ones(2))
    np.testing.assert_array_equal(part.grad, [3.0, 3.0])
    np.testing.assert_array_equal(x.grad, [8.0, 8.0])


# Whose memory it writes


def test_an_array_set_as_gradient_is_not_written_by_backward():
    x, given = leaf(1.0), np.ones(1)
    x.grad = given
    (x * 2).backward()
    assert given[0] == 1.0
    assert x.grad[0] == 3.0


def test_what_a_walk_is_given_and_what_it_hands_out_is_nobody_elses():
    x = rg.Tensor([1.0, 2.0], requires_grad=True)
    y, seed = x * 3.0, np.ones(2)
    seed.flags.writeable = False
    # a root that is behind another root, and one that is given twice
    (g,) = rg.autograd.grad([y, y + x, y], x, [seed, seed, seed])
    np.testing.assert_array_equal(g.data, [10.0, 10.0])
    np.testing.assert_array_equal(seed, [1.0, 1.0])
    z = (x + x.reshape(2)).retain_grad()
    (z + z.ravel()).backward(seed)
    np.testing.assert_array_equal(z.grad, [2.0, 2.0])
    np.testing.assert_array_equal(x.grad, [4.0, 4.0])
    assert not np.shares_memory(z.grad, x.grad)
    assert not np.shares_memory(z.grad, seed)


def test_what_a_rule_of_ones_own_returns_is_not_written():
    kept = np.zeros(2)

    @rg.primitive
    def energy(x):
        return 0.5 * np.sum(x * x)

    @rg.primitive
    def stopped(x):
        return x + 0.0

    rg.defvjp(energy, lambda g, out, x: x)  # its own argument
    rg.defvjp(stopped, lambda g, out, x: kept)
    x = rg.Tensor([1.0, 2.0], requires_grad=True)
    (np.sum(x * 3.0 + stopped(x) * 1.0) + energy(x)).backward()
    np.testing.assert_array_equal(x.grad, [4.0, 5.0])
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    np.testing.assert_array_equal(kept, [0.0, 0.0])
    x.grad = None
    stopped(x).backward(np.ones(2))
    assert not np.shares_memory(x.grad, kept)


def test_a_backward_cannot_write_into_the_gradient_that_a_user_gave():
    class Twice(rg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            g *= 2
            return g

    seed = np.ones(2)
    with pytest.raises(ValueError, match="read-only"):
        Twice.apply(rg.Tensor([1.0, 2.0], requires_grad=True)).backward(seed)
    np.testing.assert_array_equal(seed, [1.0, 1.0])


# How far it goes


def test_a_pass_is_limited_to_what_is_wanted_and_ends_where_it_is_told():
    x, y = leaf(2.0), leaf(3.0)
    middle = x * y
    out = middle * middle
    walk = ReversePass(True, wanted={out, middle, x}, ends={middle})
    walk.run([out], [np.ones(1)])
    assert {t: g.tolist() for t, g in walk.found.items()} == {out: [1.0], middle: [12.0]}
    walk = ReversePass(True, wanted={out, middle, x})
    walk.run([out], [np.ones(1)])
    assert walk.found[x].tolist() == [36.0]
    assert y not in walk.found
    assert x.grad is None


@pytest.mark.parametrize(
    ("given", "shape"),
    [((2, 3), (3,)), ((2, 3), (2, 1)), ((4, 2, 3), (1, 3)), ((), (2, 3)), ((1, 3), (2, 3)),
     ((2, 1), ()), ((0, 3), (3,)), ((0, 3), (1, 3))],
)  # fmt: skip
@pytest.mark.parametrize("kind", [np.asarray, rg.Tensor])
def test_a_gradient_gets_the_shape_of_what_it_belongs_to(given, shape, kind):
    rng = np.random.default_rng(0)
    g, v = rng.normal(size=given), rng.normal(size=shape)
    fitting = unbroadcast(kind(g), shape)
    assert fitting.shape == shape
    # it undoes broadcasting: the product with v is that of g with v, both broadcast
    np.testing.assert_allclose(np.sum(fitting * v).item(), np.sum(g * v), atol=1e-14)
