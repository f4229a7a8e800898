"""Values and derivatives of special functions that were computed with 100 digits."""

import numpy as np
import pytest

import retrograd as rg
from golden import table
from retrograd.func import grad

CASES = table("special")


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_values_and_two_derivatives_are_those_of_many_digits(name):
    fn = getattr(rg.special, name)
    for _, parameters, x, want in (case for case in CASES if case[0] == name):
        given = [np.array(p) for p in parameters]

        def f(t, given=given):
            return fn(*given, t)

        slope = grad(f)
        got = [f(np.array(x)), slope(x).item(), grad(slope)(x).item()]
        # a derivative that is near 0 has lost digits of what it is made of
        floor = 1e-3 * max(map(abs, want)) if name[0] in "ij" else 0.0
        for g, w in zip(got, want, strict=True):
            assert abs(g - w) <= 2e-11 * max(abs(w), floor), (name, parameters, x, got, want)
