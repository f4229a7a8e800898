"""What a rule is given and which arguments of a user fit it."""

import functools
import re

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from retrograd.engine import Rule, arguments, spelled
from retrograd.engine.rule import RULES, defaults, load_rules


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


# What a rule knows of its function


def test_a_rule_tells_which_arguments_it_understands():
    def fn(x, y, by=2.0, *, shift=0.0, mode="a"):
        return x * y * by + shift

    rule = Rule(fn, [lambda g, out, x, y, by=2.0, shift=0.0: g * y * by, None])
    assert (rule.arrays, rule.differentiable, rule.trusted) == (2, True, False)
    assert rule.names == ("x", "y", "by", "shift")
    assert rule.options == {"by", "shift"}
    assert [rule.takes_array(i) for i in range(3)] == [True, False, False]
    assert rule.gradients([0, 1], 1.0, 6.0, (2.0, 3.0), {"by": 5.0}) == [15.0, None]


def test_a_rule_without_a_gradient_understands_all():
    rule = Rule(np.argmax, [None])
    assert not rule.differentiable
    assert rule.names is None


class Scaled:
    """A callable that is no function."""

    def __call__(self, x, by=2.0):
        return x * by


@pytest.mark.parametrize(
    ("fn", "names"),
    [
        (lambda g, out, x, axis=None, *more, keepdims=False, **options: g,
         ("g", "out", "x", "axis", "keepdims")),
        (functools.partial(lambda first, g, out: g, 1), ("g", "out")),
        (Scaled(), ("x", "by")),
    ],
)  # fmt: skip
def test_the_arguments_of_a_function_are_named(fn, names):
    assert arguments(fn) == names


def test_functions_are_called_as_users_write_them():
    assert spelled(np.linalg.inv) == "np.linalg.inv"
    assert spelled(np.exp) == "np.exp"
    assert spelled(np.frompyfunc(abs, 1, 1)).startswith("abs")
    assert spelled(rg.nn.functional.relu) == "relu"
    assert spelled(functools.partial(max)).startswith("functools.partial")


def test_defaults_are_those_of_the_function_where_it_tells_them():
    assert defaults(np.exp)["casting"] == "same_kind"
    assert list(defaults(np.sum))[:2] == ["a", "axis"]


def test_messages_name_what_users_know_and_no_inner_function():
    F, special = rg.nn.functional, rg.special
    x, y = (rg.Tensor(np.ones(shape), requires_grad=True) for shape in ((2, 3), (4, 5)))
    for call, said in (
        (lambda: np.concatenate([x, y]), r"in np\.concatenate\(float64\[2, 3\], float64"),
        (lambda: np.einsum("ij,jk", x, y), r"in np\.einsum\("),
        (lambda: np.choose([0, 1], [x, y]), r"in np\.choose\("),
        (lambda: np.linalg.eig(x), r"in an inner function\(float64\[2, 3\]\)"),
        (lambda: F.embedding(np.array([9]), x), "in an inner function"),
        (lambda: F.cross_entropy(x, np.array([0, 9])), "in an inner function"),
        (lambda: special.xlogy(x, y), r"in xlogy\("),
        (lambda: np.unique(x, axis=2), "in an inner function"),
    ):
        with pytest.raises((ValueError, IndexError)) as caught:
            call()
        (note,) = caught.value.__notes__
        assert re.match(said, note)


def test_no_private_name_is_the_title_of_a_rule():
    load_rules()
    ours = [fn for fn in RULES if str(getattr(fn, "__module__", "")).startswith("retrograd.")]
    titles = {RULES[fn].title for fn in ours}
    assert not {t for t in titles if t.startswith("_") or "._" in t}
    public = {*rg.nn.functional.__all__, *rg.special.__all__, "an inner function", "rg.array"}
    public |= {"rnn", "lstm", "gru"}  # what the Modules of these names compute
    public |= {"written", "added"}  # what `t[i] = value` and `t[i] += value` record
    assert {t for t in titles if not t.startswith("np.")} <= public


def test_a_function_called_without_its_argument_says_so():
    for fn in (rg.special.erf, rg.nn.functional.softplus, rg.nn.functional.gelu):
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            fn()


@pytest.mark.parametrize(
    "fn", [np.emath.sqrt, np.emath.power, np.linalg.inv, np.fft.fft, np.sum, np.fix, np.trapezoid]
)
def test_a_function_of_numpys_is_spelled_as_it_can_be_found(fn):
    found = np
    for part in spelled(fn).split(".")[1:]:
        assert not part.startswith("_")
        found = getattr(found, part)
    assert found is fn
