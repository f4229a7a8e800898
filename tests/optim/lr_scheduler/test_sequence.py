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


SGD = optimizer_of(0.1)
TWO = [schedules.StepLR(optimizer_of(0.1), 3), schedules.ReduceLROnPlateau(SGD)]
BAD = {
    "one milestone less": lambda: schedules.SequentialLR(SGD, TWO, []),
    "needs a metric": lambda: schedules.SequentialLR(SGD, TWO[1:], []),
    "another optimizer": lambda: schedules.SequentialLR(SGD, TWO[:1], []),
}


@pytest.mark.parametrize("message", BAD)
def test_arguments_that_cannot_work_are_refused(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
