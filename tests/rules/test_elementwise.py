"""One property for every ufunc that has a rule: a new one costs no line here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from retrograd.engine import RULES
from rules.checking import (
    Array,
    above_one,
    anywhere,
    check,
    check_third_order,
    positive,
    whole,
    within_one,
)

# Where a function is defined and smooth, for each of its arguments; the others are, anywhere.
DOMAINS = {
    np.power: (positive, anywhere),
    np.sqrt: (positive,),
    np.log: (positive,),
    np.log1p: (positive,),
    np.log2: (positive,),
    np.log10: (positive,),
    np.arcsin: (within_one,),
    np.arccos: (within_one,),
    np.arctanh: (within_one,),
    np.arccosh: (above_one,),
    np.remainder: (anywhere, above_one),
    np.fmod: (anywhere, above_one),
    np.divmod: (anywhere, above_one),
    np.float_power: (positive, anywhere),
    np.ldexp: (anywhere, whole),
}
OFFSETS = (0.37, 0.12, 0.21)  # no two arguments have a value in common

UFUNCS = [fn for fn, rule in RULES.items() if isinstance(fn, np.ufunc) and rule.differentiable
          and not fn.signature and getattr(np, fn.__name__, None) is fn]  # fmt: skip


def arguments(fn, data):
    shapes = data.draw(
        mutually_broadcastable_shapes(num_shapes=fn.nin, min_side=0, max_side=3, max_dims=3)
    ).input_shapes
    domains = DOMAINS.get(fn, (anywhere,) * fn.nin)
    return [Array(*a) for a in zip(shapes, domains, OFFSETS, strict=False)]


@pytest.mark.parametrize("fn", UFUNCS, ids=lambda fn: fn.__name__)
@given(st.data())
def test_a_ufunc_has_the_derivatives_of_its_values(fn, data):
    check(fn, arguments(fn, data), seed=data.draw(st.integers(0, 1000)))


@pytest.mark.parametrize("fn", UFUNCS, ids=lambda fn: fn.__name__)
@settings(max_examples=max(2, settings.default.max_examples // 10))
@given(st.data())
def test_a_ufunc_has_its_third_derivative(fn, data):
    check_third_order(fn, arguments(fn, data), {}, seed=data.draw(st.integers(0, 1000)))
