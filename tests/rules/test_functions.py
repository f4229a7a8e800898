"""One property for every function of NumPy that has a rule, or is put together from some."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrograd.engine import RULES, spelled
from retrograd.engine.rule import ADAPTED, COMPOSED
from retrograd.rules.writing import WRITERS
from rules import cases  # noqa: F401, fills CASES
from rules.checking import check, check_third_order
from rules.drawing import CASES, STAND_INS, Draw, newer
from rules.test_elementwise import UFUNCS


@pytest.mark.parametrize("fn", CASES, ids=spelled)
@given(st.data())
def test_a_function_has_the_derivatives_of_its_values(fn, data):
    draw = Draw(data)
    args, kwargs = draw.one_of(*CASES[fn])(draw)
    # values decide the shape of these, or whether they are complex
    replay = fn not in (np.trim_zeros, np.roots)
    check(STAND_INS.get(fn, fn), args, kwargs, seed=draw.integer(0, 1000), replay=replay)


@pytest.mark.parametrize("fn", CASES, ids=spelled)
@settings(max_examples=max(2, settings.default.max_examples // 10))
@given(st.data())
def test_a_function_has_its_third_derivative(fn, data):
    draw = Draw(data)
    args, kwargs = draw.one_of(*CASES[fn])(draw)
    check_third_order(STAND_INS.get(fn, fn), args, kwargs, seed=draw.integer(0, 1000))


def test_every_function_with_a_rule_is_checked():
    differentiable = {fn for fn, rule in RULES.items() if rule.differentiable}
    answered = differentiable | set(ADAPTED) | set(COMPOSED)
    numpys = {fn for fn in answered if newer(spelled(fn).removeprefix("np.")) is fn}
    missing = numpys - set(CASES) - set(UFUNCS) - WRITERS
    assert not missing, sorted(map(spelled, missing))
