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


def test_a_constant_schedule_comes_back_from_zero():
    schedule = schedules.ConstantLR(optimizer_of(1.0), 0.0, 2)
    assert rates(schedule, 4) == [[0.0], [0.0], [1.0], [1.0], [1.0]]


def test_a_function_of_something_else_is_refused():
    for kind in (schedules.LambdaLR, schedules.MultiplicativeLR):
        with pytest.raises(TypeError, match="lr_lambda is a function of the count of steps"):
            kind(SGD, 0.5)


SGD = optimizer_of(0.1)
BAD = {
    "whole number": lambda: schedules.StepLR(SGD, 0),
    "start_factor 0": lambda: schedules.LinearLR(SGD, 0),
    "factor must be from 0 to 1": lambda: schedules.ConstantLR(SGD, 1.5),
    "total_iters must be": lambda: schedules.ConstantLR(SGD, total_iters=2.5),
    "power must be at least 0": lambda: schedules.PolynomialLR(SGD, power=-1),
    "2 functions for 1": lambda: schedules.LambdaLR(SGD, [abs, abs]),
}


@pytest.mark.parametrize("message", BAD)
def test_arguments_that_cannot_work_are_refused(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
