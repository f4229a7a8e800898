"""Functions of one's own that are recorded as one call."""

import functools

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from retrograd.engine.rule import COMPOSED, RULES


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


def test_a_rule_for_a_function_that_is_not_recorded_is_an_error():
    def f(x):
        return np.sin(x)

    for fn in (f, rg.nn.functional.gelu, len):
        with pytest.raises(TypeError, match=r"would change nothing, .*@rg\.primitive"):
            rg.defvjp(fn, lambda g, out, x: g)
    primitive = rg.primitive(f)
    rg.defvjp(primitive, lambda g, out, x: g * np.cos(x))
    rg.defvjp(np.frompyfunc(f, 1, 1), lambda g, out, x: g)


def test_an_option_that_is_ignored_is_taken_by_place_and_by_name():
    @rg.primitive(ignores=("inplace",))
    def twice(x, factor=2.0, inplace=False):
        return factor * x

    rg.defvjp(twice, lambda g, out, x, factor=2.0: factor * g)
    x = rg.Tensor([1.0], requires_grad=True)
    for call in (lambda: twice(x, 3.0, True), lambda: twice(x, inplace=True, factor=3.0)):
        x.grad = None
        call().sum().backward()
        np.testing.assert_array_equal(x.grad, [3.0])
        assert "inplace" not in call().kwargs
    assert twice(np.ones(1), inplace=True) == 2.0


def test_a_rule_of_what_numpy_does_not_hand_over_is_refused():
    for fn in (np.vectorize(abs), np.full, np.asarray, np.float64, np.random.normal):
        with pytest.raises(TypeError, match=r"would change nothing, .*@rg\.primitive"):
            rg.defvjp(fn, lambda g, out, x: g)


def test_a_rule_of_ones_own_for_a_function_that_is_made_of_others_is_asked():
    answer = COMPOSED[np.kron]
    try:
        rg.defvjp(np.kron, lambda g, out, a, b: 7.0 * np.sum(b), None)
        a = rg.Tensor(2.0, requires_grad=True)
        np.kron(a, np.float64(3.0)).backward()
        assert a.grad == 21.0
    finally:
        RULES.pop(np.kron, None)
        COMPOSED[np.kron] = answer
