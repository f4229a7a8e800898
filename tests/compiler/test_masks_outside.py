"""Masks outside decide the sizes of what they select."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg

X = np.arange(1.0, 5.0)


@pytest.mark.parametrize("kind", [np.array, rg.Tensor])
def test_a_mask_outside_that_selects_more_is_recorded_anew(kind):
    mask = kind([True, False, True, False])
    values = mask if isinstance(mask, np.ndarray) else mask.data
    step = rg.compile(lambda x: np.sum(x[mask] * 2))
    for number in range(20):
        values[:] = [True, False, number >= 5, False] if number < 12 else [True] * 4
        assert step(X).item() == 2 * X[values].sum()
    assert len(step.programs) == 3


def test_a_mask_outside_that_selects_as_many_others_is_the_same_program():
    mask = np.array([True, False, True, False])
    step = rg.compile(lambda x: np.sum(x[mask]))
    for number in range(20):
        mask[:] = np.roll(mask, 1)
        assert step(X).item() == X[mask].sum(), number
    assert len(step.programs) == 1
