import functools

import numpy as np

import retrograd as rg
from retrograd.engine import RULES
from retrograd.engine.rule import load_rules
from retrograd.nn import functional as F
from retrograd.seeing.formulas import formula_of

X = np.array([[1.0, -2.0, 3.0]])


def text_of(fn, *given, **options):
    formula = formula_of(fn, given, options)
    return None if formula is None else [*formula.steps, formula.text]


def test_every_rule_has_a_source():
    from retrograd.seeing.formulas import _source_of

    load_rules()
    for rule in RULES.values():
        for vjp in (*rule.vjps, rule.joint):
            while isinstance(vjp, functools.partial):
                vjp = vjp.func
            file = getattr(getattr(vjp, "__code__", None), "co_filename", "")
            ours = str(getattr(vjp, "__module__", "")).startswith("retrograd.")
            if ours and not file.startswith("<"):  # others are those of examples in docstrings
                assert _source_of(vjp.__code__) is not None, rule.name


def test_of_branches_the_one_that_is_taken_is_shown():
    dx = RULES[F.relu].vjps[0]
    assert text_of(dx, X, X, X) == ["g * np.sign(out)"]
    large = np.ones(5000)
    assert text_of(dx, large, large, large) == ["g * (out > 0)"]
    left = RULES[np.matmul].vjps[0]
    assert text_of(left, np.ones((2, 3)), None, np.ones((2, 4)), np.ones((4, 3))) == [
        "np.matmul(g, swap_last(y))"
    ]
    assert text_of(left, np.ones(2), None, np.ones((2, 4)), np.ones(4)) == ["g[..., None] * y"]


def test_steps_are_put_into_one_expression_and_counts_are_numbers():
    def rule(g, out, x):
        n = len(x)
        half, whole = x / 2, np.full(n, 3.0)
        if n > 1:
            raise AssertionError
        x = np.asarray(x)
        g = g * half
        return g + whole.sum() / n

    assert text_of(rule, X, X, X) == ["g * (x / 2) + np.full(1, 3.0).sum() / 1"]


def test_what_is_too_long_for_one_expression_keeps_its_steps():
    def rule(g, out, x):
        slope = np.where(x > 1.23456789, np.exp(-x * 1.23456789), np.log1p(np.abs(x) * 9.87654321))
        return g * slope * slope

    first, last = text_of(rule, X, X, X)
    assert first.startswith("slope = np.where(")
    assert last == "g * slope * slope"


def test_what_is_no_formula_is_none():
    def loops(g, out, x):
        for _ in range(3):
            g = g * x
        return g

    assert text_of(loops, X, X, X) is None
    assert text_of(lambda g, *args: g, X, X, X) is None
    assert text_of(np.exp, X, X, X) is None
    namespace = {}
    exec("rule = lambda g, out, x: g * x", namespace)
    assert text_of(namespace["rule"], X, X, X) is None


def test_of_two_lambdas_in_one_line_the_right_one_is_shown():
    rules = lambda g, out, x, y: g * y, lambda g, out, x, y: g * x - 0 * y
    assert [text_of(rule, X, X, X, X) for rule in rules] == [["g * y"], ["g * x - 0 * y"]]


def test_numbers_are_put_in_only_where_they_give_what_was_found():
    formula = formula_of(lambda g, out, x: g * (1 - out * out), (X, X / 4, X), {})
    found = X * (1 - X / 4 * X / 4)
    assert formula.put_in((0, 1), X.shape, found[0, 1]) == "(-2) * (1 - (-0.5) * (-0.5))"
    assert formula.put_in((0, 1), X.shape, 7.0) == ""
    product = formula_of(lambda g, out, x: np.matmul(g.T, x), (X, X, X), {})
    assert product.put_in((0, 1), (3, 3), -2.0) == ""
    assert formula_of(lambda g, out, x: g, (X, X, X), {}).put_in((0, 0), X.shape, 1.0) == ""


def test_names_outside_and_bound_arguments_are_numbers_too():
    factor = 2.5
    rule = functools.partial(lambda by, g, out, x: g * by * factor, 3.0)
    formula = formula_of(rule, (np.array(2.0), None, np.array(1.0)), {})
    assert formula.put_in((), (), 15.0) == "2 * 3 * 2.5"


def test_other_shapes_and_options_have_formulas_of_their_own():
    rule = RULES[np.mean].vjps[0]
    assert text_of(rule, np.array(1.0), None, X) == ["spread(g, x, axis, keepdims) / 3"]
    assert text_of(rule, np.array(1.0), None, np.ones((4, 2))) == [
        "spread(g, x, axis, keepdims) / 8"
    ]
    assert text_of(rule, np.ones(2), None, np.ones((4, 2)), axis=0) == [
        "spread(g, x, axis, keepdims) / 4"
    ]


def test_a_power_shows_its_exponent():
    x = rg.Tensor(2.0, requires_grad=True)
    assert "g * y * x ** (y - 1) = 1 * 3 * 2 ** (3 - 1)" in str(rg.explain(x**3))
