"""Training steps of all kinds, compiled, do what they do."""

from __future__ import annotations

import warnings

from hypothesis import given
from hypothesis import strategies as st

from compiler.drawn_steps import CALLS, draw, find_difference


@given(st.integers(0, 1 << 31))
def test_a_drawn_training_step_does_compiled_what_it_does(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what overflows in both
        assert find_difference(seed) == ""


def test_a_seed_draws_the_same_step_each_time():
    first, second = draw(5), draw(5)
    assert first.text == second.text
    assert len(first.batches) == len(first.changes) == CALLS
    assert all((x == y).all() for x, y in zip(first.batches[-1], second.batches[-1], strict=True))
