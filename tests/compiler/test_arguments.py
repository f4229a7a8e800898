"""What tells calls apart by their arguments, and what the arguments are called."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import retrograd as rg
from retrograd import tree
from retrograd.compiler.arguments import check_arguments, kind_of, name_arguments


@dataclasses.dataclass(frozen=True)
class Options:
    rate: float


@dataclasses.dataclass
class Changing:
    rate: float


CHANGING = Changing(1.0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.ones(2), np.ones(3)),
        (np.ones(2), np.ones(2, np.float32)),
        (0.0, -0.0),
        (1, True),
        (1, 1.0),
        ((1, 2), (1, 2.0)),
        (Options(0.0), Options(-0.0)),
        (Changing(0.0), Changing(0.0)),
        (slice(0, 2), slice(1, 2)),
        (slice(0, 2), slice(0, 2, 1)),
        (rg.Tensor(np.ones(2)), rg.Tensor(np.ones(2), requires_grad=True)),
    ],
)
def test_a_program_depends_on_what_can_be_told_apart(first, second):
    assert kind_of(first) != kind_of(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.ones(2), np.zeros(2)),
        (np.ones(2), rg.Tensor(np.ones(2))),
        (np.nan, float("nan")),
        (slice(0, 2), slice(0, 2)),
        (CHANGING, CHANGING),
    ],
)
def test_a_program_does_not_depend_on_values_of_arrays(first, second):
    assert kind_of(first) == kind_of(second)


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(TypeError, match="got a set: pass arrays"):
        kind_of({1})


def test_values_of_arguments_can_be_looked_up():
    for value in (slice(0, 2), CHANGING, Options(1.0), (1, 2.0), None):
        assert {kind_of(value): 1}[kind_of(value)] == 1


def test_arguments_are_called_by_the_parameters_of_the_function():
    def step(x, batch, *more, scale):
        return x

    _, structure = tree.flatten(((1, {"image": 2, "label": 3}, 4, 5), {"scale": 6}))
    names = ["x", "batch_image", "batch_label", "more_2", "more_3", "scale"]
    assert name_arguments(step, structure) == names


def test_a_dict_that_a_run_changes_is_named():
    before = (({"h": 1.0},), {})
    check_arguments(lambda state: state, "step", before, before)
    with pytest.raises(rg.TraceError, match="step changes its argument 'state_h'"):
        check_arguments(lambda state: state, "step", before, (({"h": 2.0},), {}))
