"""`autograd.Function`: an operation with a gradient of the user's own."""

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from retrograd.autograd import Function, grad, once_differentiable
from retrograd.testing import gradcheck, gradgradcheck

X = np.array([0.5, -1.25, 2.0])


def leaf(array=X):
    return rg.Tensor(array, requires_grad=True)


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        out = np.exp(x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * out


class Scaled(Function):
    """`x * y * factor`, two arrays and a number."""

    @staticmethod
    def forward(ctx, x, y, factor):
        ctx.save_for_backward(x, y)
        ctx.factor = factor
        return x * y * factor

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * y * ctx.factor, g * x * ctx.factor, None


class Polar(Function):
    """Radius and angle."""

    @staticmethod
    def forward(ctx, x, y):
        r, a = np.hypot(x, y), np.arctan2(y, x)
        ctx.save_for_backward(x, y, r)
        return r, a

    @staticmethod
    def backward(ctx, gr, ga):
        x, y, r = ctx.saved_tensors
        return gr * x / r - ga * y / r**2, gr * y / r + ga * x / r**2


class SortedWithOrder(Function):
    """Values in order, and the order, which has no gradient."""

    @staticmethod
    def forward(ctx, x):
        order = np.argsort(x)
        weights = np.ones(3)
        ctx.order = order
        ctx.mark_non_differentiable(weights)
        return x[order], order, weights

    @staticmethod
    def backward(ctx, g, g_order, g_weights):
        return g[np.argsort(ctx.order)]


def test_it_computes_and_differentiates_to_second_order():
    for fn, inputs in [
        (Exp.apply, (X,)),
        (lambda x, y: Scaled.apply(x, y, 3.0), (X, X + 1)),
        (lambda x, y: Scaled.apply(x, y, 3.0), (X, np.array(2.0))),
        (Polar.apply, (X, X + 0.1)),
        (lambda x: Exp.apply(Exp.apply(x) * x), (X / 4,)),
    ]:
        gradcheck(fn, *inputs, full=True)
        gradgradcheck(fn, *inputs, full=True)


def test_an_output_is_a_tensor_and_several_are_a_tuple():
    out = Exp.apply(leaf())
    assert type(out) is rg.Tensor
    assert out.requires_grad
    assert [t.requires_grad for t in Polar.apply(leaf(), X)] == [True, True]
    assert not Exp.apply(X).requires_grad
    with rg.no_grad():
        assert not Exp.apply(leaf()).requires_grad


def test_forward_gets_arrays_and_records_nothing():
    class Spy(Function):
        @staticmethod
        def forward(ctx, x, y):
            assert type(x) is np.ndarray
            assert not rg.is_grad_enabled()
            return x * 2

        @staticmethod
        def backward(ctx, g):
            assert type(g) is np.ndarray
            return g * 2, None

    x = leaf()
    np.sum(Spy.apply(x, "an option")).backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0, 2.0])


def test_needs_input_grad_tells_what_is_wanted():
    seen = []

    class Both(Function):
        @staticmethod
        def forward(ctx, x, y, n):
            seen.append(ctx.needs_input_grad)
            return x * y

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            return g, g, None

    np.sum(Both.apply(leaf(), X, 3)).backward()
    with rg.no_grad():
        Both.apply(leaf(), X, 3)
    assert seen == [(True, False, False), (True, False, False), (False, False, False)]


def test_backward_runs_once_for_all_arguments():
    runs = []

    class Sum(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            runs.append(1)
            return g, g

    x, y = leaf(), leaf()
    np.sum(Sum.apply(x, y)).backward()
    assert len(runs) == 1
    assert not np.shares_memory(x.grad, y.grad)


def test_what_backward_returns_is_never_written():
    saved = np.ones(3)

    class Constant(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return saved

    x = leaf()
    (np.sum(Constant.apply(x)) + np.sum(Constant.apply(x)) + np.sum(x * 2)).backward()
    np.testing.assert_array_equal(x.grad, [4.0, 4.0, 4.0])
    np.testing.assert_array_equal(saved, np.ones(3))


def test_outputs_may_have_no_gradient():
    x = leaf()
    values, order, weights = SortedWithOrder.apply(x)
    assert (values.requires_grad, order.requires_grad, weights.requires_grad) == (
        True,
        False,
        False,
    )
    assert order.dtype == np.int64
    np.sum(values * np.array([1.0, 2.0, 3.0])).backward()
    np.testing.assert_array_equal(x.grad, [2.0, 1.0, 3.0])
    gradgradcheck(lambda x: SortedWithOrder.apply(x)[0] ** 2, X)


def test_an_output_that_is_not_used_has_gradient_zero():
    x, y = leaf(), leaf(X + 1)
    np.sum(Polar.apply(x, y)[1]).backward()
    np.testing.assert_allclose(x.grad, -y.data / (x.data**2 + y.data**2))


def test_an_output_shares_no_memory_with_an_argument():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x, x[::-1]

        @staticmethod
        def backward(ctx, g, h):
            return g + h[::-1]

    x = leaf()
    same, turned = Same.apply(x)
    assert not np.shares_memory(same.data, x.data)
    assert not np.shares_memory(turned.data, x.data)
    gradgradcheck(Same.apply, X)


def test_an_output_that_is_a_numpy_scalar_is_known_again():
    class Norm(Function):
        @staticmethod
        def forward(ctx, x):
            norm = np.sqrt(np.sum(x * x))  # no array: NumPy gives a scalar
            twice = 2 * norm
            ctx.save_for_backward(x, norm)
            ctx.mark_non_differentiable(twice)
            return norm, twice

        @staticmethod
        def backward(ctx, g, g_twice):
            x, norm = ctx.saved_tensors
            return g * x / norm

    norm, twice = Norm.apply(leaf())
    assert (norm.requires_grad, twice.requires_grad) == (True, False)
    gradgradcheck(lambda x: Norm.apply(x)[0], X, full=True)


def test_an_argument_without_a_gradient_gets_zeros():
    class Half(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g, None

    x, y = leaf(), leaf()
    np.sum(Half.apply(x, y) + y * 0).backward()
    np.testing.assert_array_equal(y.grad, [0.0, 0.0, 0.0])


# Errors -------------------------------------------------------------------------------------------


def test_once_differentiable_runs_on_arrays_and_refuses_a_second_derivative():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.cube = x**3
            ctx.x = x
            return ctx.cube * 1

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            assert type(g) is np.ndarray
            return g * 3 * ctx.x**2

    gradcheck(Once.apply, X)
    x = leaf()
    (dx,) = grad(np.sum(Once.apply(x)), x, create_graph=True)
    np.testing.assert_allclose(dx.data, 3 * X**2)
    with pytest.raises(RuntimeError, match=r"Once.backward is once_differentiable"):
        np.sum(dx).backward()


def test_a_value_that_a_second_derivative_would_lose_is_refused():
    class Kept(Function):
        @staticmethod
        def forward(ctx, x, how):
            slope = np.cos(x)
            if how == "saved":
                ctx.save_for_backward(slope)
            ctx.slope = slope if how == "attribute" else None
            return np.sin(x)

        @staticmethod
        def backward(ctx, g):
            slope = ctx.slope if ctx.slope is not None else ctx.saved_tensors[0]
            return g * slope, None

    for how, words in (("saved", "save_for_backward got"), ("attribute", "ctx.slope holds")):
        gradcheck(lambda x, how=how: Kept.apply(x, how), X)
        x = leaf()
        y = np.sum(Kept.apply(x, how))
        with pytest.raises(RuntimeError, match=f"{words} an array.*once_differentiable"):
            grad(y, x, create_graph=True)


@pytest.mark.parametrize("returned", [1, 3])
def test_backward_returns_as_many_gradients_as_forward_has_arguments(returned):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return (g,) * returned

    with pytest.raises(RuntimeError, match=f"Wrong.backward returned {returned} gradients for 2"):
        np.sum(Wrong.apply(leaf(), leaf())).backward()


def test_a_gradient_of_another_shape_names_the_function():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return np.ones(2)

    x = leaf()
    with pytest.raises(ValueError) as caught:
        np.sum(Wrong.apply(x)).backward()
    assert any("Wrong" in note for note in caught.value.__notes__)
    assert x.grad is None


def test_bad_use_is_named():
    with pytest.raises(TypeError, match=r"Exp\.apply"):
        Exp(leaf())
    for inside in ([leaf()], (leaf(),), {"x": leaf()}):
        with pytest.raises(TypeError, match="argument of its own"):
            Exp.apply(inside)
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(leaf())

    class NoBackward(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="backward"):
        np.sum(NoBackward.apply(leaf())).backward()

    class Text(Function):
        @staticmethod
        def forward(ctx, x):
            return "text"

    with pytest.raises(TypeError, match="a Tensor holds numbers"):
        Text.apply(leaf())


def test_a_write_between_forward_and_backward_is_seen():
    x = leaf()
    y = np.sum(Scaled.apply(x, X, 2.0))
    with rg.no_grad():
        x += 1
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()


def test_it_leaves_nothing_for_the_garbage_collector(garbage):
    def use():
        x = leaf()
        r, a = Polar.apply(x, X)
        (dx,) = grad(np.sum(r * a), x, create_graph=True)
        np.sum(dx * Exp.apply(x)).backward()

    assert garbage(use) == 0


# In a compiled step -------------------------------------------------------------------------------


class Clipped(Function):
    """Keeps a mask, a number read from values, and an option: a program must not freeze them."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.mask, ctx.top, ctx.factor = x > 0, float(np.max(x)), factor
        order = np.argsort(x, axis=0)
        return np.where(ctx.mask, x * factor, 0.0), order

    @staticmethod
    @once_differentiable
    def backward(ctx, g, _):
        return np.where(ctx.mask, g * ctx.factor * ctx.top, 0.0), None


def penalized(hidden):
    (slope,) = grad(np.sum(Exp.apply(hidden)), hidden, create_graph=True)
    return np.mean(slope**2)


@pytest.mark.parametrize(
    "head",
    [
        lambda hidden: np.mean(Exp.apply(hidden)),
        lambda hidden: np.mean(Clipped.apply(hidden, 3.0)[0]),
        lambda hidden: np.mean(Scaled.apply(hidden, hidden, 0.5) + Exp.apply(hidden * 0.1)),
        penalized,
    ],
    ids=["one output", "kept values", "two of them", "second derivative"],
)
def test_a_compiled_step_runs_forward_and_backward_as_calls(head):
    def make():
        net = rg.nn.Linear(3, 4, rng=0)
        optimizer = rg.optim.SGD(net.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = head(net(x))
            loss.backward()
            optimizer.step()
            return loss

        return step, net

    assert_compiled_agrees(make, lambda rng: (rng.normal(size=(5, 3)),))
