"""Schedules that multiply the rate."""

import pytest

from optim.problems import optimizer_of, rates
from retrograd.optim import lr_scheduler as schedules


def test_schedules_that_multiply_combine_with_each_other_and_with_changes_by_hand():
    optimizer = optimizer_of(1.0)
    both = [schedules.ExponentialLR(optimizer, 0.5), schedules.MultiStepLR(optimizer, [2], 0.1)]
    for _ in range(2):
        for schedule in both:
            schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.025)
    optimizer.param_groups[0]["lr"] = 8.0
    for schedule in both:
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 4.0


def test_a_linear_schedule_may_end_at_zero():
    schedule = schedules.LinearLR(optimizer_of(1.0), 1.0, 0.0, 2)
    assert rates(schedule, 4) == [[1.0], [0.5], [0.0], [0.0], [0.0]]


def test_an_exponential_schedule_does_not_break_where_powers_vanish():
    schedule = schedules.ExponentialLR(optimizer_of(1.0), 1e-200)
    assert rates(schedule, 3)[-1] == [0.0]


SGD = optimizer_of(0.1)
BAD = {
    "whole number": lambda: schedules.StepLR(SGD, 0),
    "start_factor 0": lambda: schedules.LinearLR(SGD, 0),
    "2 functions for 1": lambda: schedules.LambdaLR(SGD, [abs, abs]),
}


@pytest.mark.parametrize("message", BAD)
def test_arguments_that_cannot_work_are_refused(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
