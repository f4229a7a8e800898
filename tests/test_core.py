"""Recording: what is kept, what is refused, and what errors say."""

import functools
import subprocess
import sys

import numpy as np
import pytest

import retrograd as rg


def leaf(*values):
    return rg.Tensor(np.array(values, float), requires_grad=True)


@pytest.fixture
def scratch():
    """A function that a test may give a rule."""

    @rg.primitive
    def scale(x, by=2.0, *, shift=0.0):
        return x * by + shift

    return scale


def test_importing_wakes_no_lazy_module_of_numpy_and_no_other_package():
    code = (
        "import numpy, sys; before = set(sys.modules); import retrograd; "
        "print(*(m for m in sys.modules if m not in before and not m.startswith('retrograd')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} <= sys.stdlib_module_names


# What is refused when it is recorded -------------------------------------------------------------


def test_a_function_without_a_rule_is_refused_with_the_lines_that_give_it_one():
    unknown = np.frompyfunc(abs, 1, 1)
    with pytest.raises(TypeError, match="has no gradient rule") as caught:
        unknown(leaf(1.0))
    for line in ("@rg.primitive", "rg.defvjp(", "t.data"):
        assert line in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, x, out=np.zeros(2)),
        lambda x: np.exp(x, out=np.zeros(2)),
        lambda x: np.sum(x, out=np.zeros(())),
        lambda x: np.add(np.ones(2), np.ones(2), out=x),
    ],
)
def test_out_is_refused_because_the_gradient_would_be_lost(call):
    with pytest.raises(TypeError, match="out="):
        call(leaf(1.0, 2.0))


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


@pytest.mark.parametrize("method", ["at", "reduceat"])
def test_a_method_of_a_ufunc_without_a_rule_is_refused(method):
    with pytest.raises(TypeError, match=f"np.subtract.{method}"):
        getattr(np.subtract, method)(leaf(1.0, 2.0), [0], 1.0)


def test_complex_results_are_refused():
    with pytest.raises(TypeError, match="complex"):
        leaf(1.0) * 1j
    with pytest.raises(TypeError, match="complex"):
        np.exp(1j * leaf(1.0))


# Errors of NumPy itself --------------------------------------------------------------------------


def test_numpys_errors_come_with_what_was_called():
    with pytest.raises(ValueError, match="matmul") as caught:
        leaf(1.0, 2.0) @ np.ones((3, 2), np.float32)
    assert any("np.matmul(float64[2], float32[3, 2])" in note for note in caught.value.__notes__)
    with pytest.raises(ValueError, match="out of bounds") as caught:
        np.sum(leaf(1.0), axis=3)
    assert any("axis=3" in note for note in caught.value.__notes__)


def test_a_call_that_fails_records_nothing():
    x = leaf(1.0, 2.0)
    y = np.sum(x * x)
    with pytest.raises(ValueError):
        x + np.ones(3)
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


# Functions that answer otherwise -----------------------------------------------------------------


def test_what_tells_of_the_array_answers_plainly():
    x = leaf(1.0, 2.0)
    assert np.shape(x) == (2,)
    assert np.shares_memory(x, x.detach())
    assert not np.iscomplexobj(x)
    assert np.allclose(x, [1.0, 2.0])
    assert np.array_equal(x, x)


def test_comparisons_and_the_like_are_recorded_without_a_gradient():
    x = leaf(-1.5, 2.5)
    for y in (x > 0, np.sign(x), np.floor(x), np.isnan(x), x == x, np.argmax(x)):
        assert type(y) is rg.Tensor
        assert not y.requires_grad
    np.sum(x * (x > 0)).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 1.0])


def test_tensors_in_lists_keep_their_gradients():
    x, y = leaf(1.0), leaf(2.0)
    for joined in (np.stack([x, y])[:, 0], np.concatenate((x, y)), np.stack([x, np.ones(1)])[:, 0]):
        assert joined.requires_grad
        x.grad = None
        joined.backward([3.0, 5.0])
        assert x.grad[0] == 3.0


# primitive and defvjp ----------------------------------------------------------------------------


def test_a_primitive_runs_on_arrays_and_needs_a_rule_for_tensors(scratch):
    np.testing.assert_array_equal(scratch(np.ones(2), 3.0, shift=1.0), [4.0, 4.0])
    with pytest.raises(TypeError, match=r"scale has no gradient rule.*defvjp\(scale"):
        scratch(leaf(1.0))


def test_a_primitive_takes_its_options_by_name_or_position(scratch):
    rg.defvjp(scratch, lambda g, out, x, by=2.0, *, shift=0.0: g * by)
    for y in (scratch(leaf(1.0), 3.0), scratch(leaf(1.0), by=3.0), scratch(x=leaf(1.0), by=3.0)):
        assert y.item() == 3.0
        assert rg.autograd.grad(y, y.inputs[0])[0].item() == 3.0
    assert scratch(leaf(1.0), shift=1.0).item() == 3.0


def test_an_option_the_rule_does_not_know_is_refused(scratch):
    rg.defvjp(scratch, lambda g, out, x, by=2.0: g * by)
    with pytest.raises(TypeError, match="shift="):
        scratch(leaf(1.0), shift=1.0)
    with pytest.raises(TypeError, match="sideways="):
        scratch(leaf(1.0), sideways=1.0)
    with pytest.raises(TypeError, match="by twice"):
        scratch(leaf(1.0), 3.0, by=3.0)
    with pytest.raises(TypeError, match="4 arguments"):
        scratch(leaf(1.0), 3.0, 4.0, 5.0)


def test_defvjp_refuses_what_is_no_rule(scratch):
    with pytest.raises(TypeError, match="function first"):
        rg.defvjp("np.sin", lambda g, out, x: g)
    with pytest.raises(TypeError, match="one vjp for each array"):
        rg.defvjp(scratch)
    with pytest.raises(TypeError, match="one vjp for each array"):
        rg.defvjp(scratch, 2.0)
    with pytest.raises(TypeError, match="decorates a function"):
        rg.primitive(3)


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


def test_a_rule_given_anew_is_the_one_that_counts(scratch):
    x = leaf(1.0, 2.0)
    for factor in (2.0, 5.0):
        rg.defvjp(scratch, lambda g, out, x, by=2.0, shift=0.0, factor=factor: g * factor)
        (g,) = rg.autograd.grad(np.sum(scratch(x)), x)
        np.testing.assert_array_equal(g.data, [factor, factor])


def test_a_primitive_of_several_arrays_takes_them_by_name_and_in_any_number():
    @rg.primitive
    def affine(x, w, b=None, *, scale=1.0):
        out = x * w * scale
        return out if b is None else out + b

    rg.defvjp(
        affine,
        lambda g, out, x, w, b=None, scale=1.0: g * w * scale,
        lambda g, out, x, w, b=None, scale=1.0: g * x * scale,
        lambda g, out, x, w, b=None, scale=1.0: g,
    )
    x, w, b = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    for out in (affine(x, w, b), affine(x, b=b, w=w), affine(w=w, x=x, b=b, scale=1.0)):
        np.testing.assert_array_equal(out.data, [8.0, 14.0])
        np.testing.assert_array_equal(rg.autograd.grad(np.sum(out), b)[0].data, [1.0, 1.0])
    half = affine(np.array([1.0, 2.0]), w, scale=0.5)
    np.testing.assert_array_equal(half.data, [1.5, 4.0])
    np.testing.assert_array_equal(rg.autograd.grad(np.sum(half), w)[0].data, [0.5, 1.0])
    with pytest.raises(TypeError, match=r"affine\(\) missing 1 required positional argument: 'w'"):
        affine(x)
    with pytest.raises(TypeError, match="factor"):
        affine(x, w, factor=2.0)
    with pytest.raises(ValueError, match="broadcast") as caught:
        affine(x, leaf(1.0, 2.0, 3.0))
    assert "in affine(float64[2], float64[3]" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["mode", "out", "t", "rule", "isinstance", "_out", "needs"])
def test_the_arguments_of_a_primitive_may_have_any_name(name):
    space = {}
    exec(f"def scaled(x, {name}, *, by=1.0):\n    return x * {name} * by", space)
    exec(f"dx = lambda g, _, x, {name}, by=1.0: g * {name} * by", space)
    exec(f"dy = lambda g, _, x, {name}, by=1.0: g * x * by", space)
    scaled = rg.primitive(space["scaled"])
    rg.defvjp(scaled, space["dx"], space["dy"])
    x, y = leaf(1.0, 2.0), leaf(3.0, 5.0)
    out = scaled(x, **{name: y})
    np.testing.assert_array_equal(out.data, [3.0, 10.0])
    np.sum(out).backward()
    np.testing.assert_array_equal(x.grad, [3.0, 5.0])
    np.testing.assert_array_equal(y.grad, [1.0, 2.0])


def test_a_vjp_need_not_know_the_options_that_are_not_given():
    @rg.primitive
    def scaled_sum(x, y, by=2.0):
        return by * x + y

    rg.defvjp(scaled_sum, lambda g, out, x, y, by=2.0: g * by, lambda g, out, x, y: g)
    x, y = leaf(1.0), leaf(1.0)
    scaled_sum(x, y).backward()
    assert (x.grad[0], y.grad[0]) == (2.0, 1.0)


def test_any_function_of_arrays_can_be_a_primitive():
    square = rg.primitive(lambda x: x * x)
    rg.defvjp(square, lambda g, out, x: 2 * g * x)
    stacked = rg.primitive(lambda *arrays: sum(arrays))
    rg.defvjp(stacked, lambda g, out, x, y: g, lambda g, out, x, y: g)
    x = leaf(3.0)
    np.sum(stacked(square(x), x)).backward()
    np.testing.assert_array_equal(x.grad, [7.0])


def test_an_argument_marked_none_has_no_gradient():
    @rg.primitive
    def pick_one(x, y):
        return x * y

    rg.defvjp(pick_one, lambda g, out, x, y: g * y, None)
    x, y = leaf(2.0), leaf(3.0)
    pick_one(x, y).backward()
    assert x.grad[0] == 3.0
    assert y.grad is None


def test_what_cannot_be_a_primitive_is_refused():
    with pytest.raises(TypeError, match=r"functools\.partial"):
        rg.primitive(functools.partial(np.exp))

    @rg.primitive
    def scaled(x, by=2.0, /):
        return x * by

    with pytest.raises(TypeError, match="scaled takes by by position only"):
        rg.defvjp(scaled, lambda g, out, x, by=2.0: g * by)


@pytest.mark.parametrize("result", [None, {}, "text"])
def test_what_returns_no_array_is_refused(result):
    wrong = rg.primitive(lambda x: result)
    rg.defvjp(wrong, lambda g, out, x: g)
    with pytest.raises(TypeError, match="the result of <lambda> is no array of numbers"):
        wrong(leaf(1.0))


def test_a_vjp_that_forgets_to_return_is_named(scratch):
    rg.defvjp(scratch, lambda g, out, x, by, shift: None)
    y = scratch(leaf(1.0))
    with pytest.raises(TypeError, match="None is no gradient") as caught:
        y.backward()
    assert "in the gradient of scale" in caught.value.__notes__[0]


@pytest.mark.parametrize("other", [[2.0, 3.0], (2, 3)])
@pytest.mark.parametrize(
    "call",
    [
        lambda t, y: t**y,
        lambda t, y: y @ t,
        lambda t, y: t / y,
        np.power,
        np.arctan2,
        np.dot,
        lambda t, y: np.outer(y, t),
    ],
)
def test_a_list_is_an_operand_as_its_array_is(call, other):
    x, like = leaf(1.5, 2.5), leaf(1.5, 2.5)
    np.sum(call(x, other)).backward()
    np.sum(call(like, np.array(other))).backward()
    np.testing.assert_array_equal(x.grad, like.grad)
    (g,) = rg.autograd.grad(np.sum(call(x, other)), x, create_graph=True)
    np.testing.assert_array_equal(g.data, like.grad)


@pytest.mark.parametrize("y", [2, 2.0, 0.5, np.float64(2), np.float64(0.5), np.int64(2), True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_power_has_numpys_dtype(y, dtype):
    x = np.array([1, 4], dtype)
    got = rg.Tensor(x) ** y
    right = np.power(x, y)  # before NumPy 2.1 `x**y` itself has float32 for float64
    assert got.dtype == right.dtype
    np.testing.assert_array_equal(got.data, right)


@pytest.mark.parametrize("method", [np.sum, np.prod, np.mean, np.max])
def test_a_condition_that_is_a_tensor_is_no_endless_recursion(method):
    where, more = rg.Tensor([True, False]), {"initial": 0.0} if method is np.max else {}
    got = method(np.array([3.0, 5.0]), where=where, **more)
    assert got.item() == 3.0


@pytest.mark.parametrize(
    "call",
    [
        lambda m, t: t * m,
        lambda m, t: m * t,
        lambda m, t: np.ma.exp(t),
        lambda m, t: rg.Tensor(m),
    ],
)
def test_masked_arrays_are_refused(call):
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    with pytest.raises(TypeError, match="array"):
        call(masked, leaf(1.0, 2.0))


def test_a_gradient_is_a_plain_array_also_beside_arrays_of_another_class():
    class Marked(np.ndarray):
        pass

    x = leaf(1.0, 2.0)
    y = x * np.array([3.0, 4.0]).view(Marked)
    assert type(y.data) is np.ndarray
    y.backward(np.ones(2))
    assert type(x.grad) is np.ndarray


# The package itself ------------------------------------------------------------------------------


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        rg.nonsense  # noqa: B018


def test_every_name_of_the_package_is_there():
    for name in (*rg.__all__, *" ".join(rg._LATER.values()).split()):
        assert name in dir(rg)
        assert getattr(rg, name) is not None
