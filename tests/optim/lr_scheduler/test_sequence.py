"""Schedules one after another."""

import pytest

from optim.problems import optimizer_of, rates
from retrograd.optim import lr_scheduler as schedules


def test_schedules_in_a_row_may_be_rows_themselves():
    optimizer = optimizer_of(1.0)
    halves, thirds = (schedules.ExponentialLR(optimizer, gamma) for gamma in (0.5, 0.25))
    inner = schedules.SequentialLR(optimizer, [halves, thirds], [2])
    outer = schedules.SequentialLR(optimizer, [schedules.StepLR(optimizer, 9), inner], [2])
    assert rates(outer, 6) == [[1.0], [1.0], [1.0], [0.5], [1.0], [0.25], [0.0625]]


def test_schedules_together_may_be_one_of_a_row_and_begin_anew_there():
    optimizer = optimizer_of(1.0)
    flat = schedules.StepLR(optimizer, 9)
    both = schedules.ChainedScheduler(
        [schedules.LinearLR(optimizer, 0.5, total_iters=2), schedules.ExponentialLR(optimizer, 0.5)]
    )
    row = schedules.SequentialLR(optimizer, [flat, both], [2])
    assert rates(row, 5) == [[1.0], [1.0], [0.5], [0.375], [0.25], [0.125]]
    row.restart()
    assert rates(row, 1) == [[1.0], [1.0]]


def test_what_is_no_schedule_is_refused():
    with pytest.raises(TypeError, match="ChainedScheduler takes schedules, not int"):
        schedules.ChainedScheduler([1])


SGD = optimizer_of(0.1)
TWO = [schedules.StepLR(optimizer_of(0.1), 3), schedules.ReduceLROnPlateau(SGD)]
BAD = {
    "one milestone less": lambda: schedules.SequentialLR(SGD, TWO, []),
    "needs a metric": lambda: schedules.SequentialLR(SGD, TWO[1:], []),
    "which ChainedScheduler has not": lambda: schedules.ChainedScheduler(TWO[1:]),
    "StepLR is for another": lambda: schedules.ChainedScheduler(TWO[:1], SGD),
    "got no schedules": lambda: schedules.ChainedScheduler([]),
    "continues a run by load_state_dict": lambda: schedules.SequentialLR(
        SGD, [schedules.StepLR(SGD, 3)], [], last_epoch=3
    ),
    "another optimizer": lambda: schedules.SequentialLR(SGD, TWO[:1], []),
}


@pytest.mark.parametrize("message", BAD)
def test_arguments_that_cannot_work_are_refused(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
