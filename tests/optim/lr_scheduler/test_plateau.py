"""The schedule that watches a metric."""

import numpy as np
import pytest

import retrograd as rg
from optim.problems import optimizer_of, rates
from retrograd.optim import lr_scheduler as schedules


def test_a_plateau_continues_from_a_saved_state():
    metrics = [3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    whole = rates(schedules.ReduceLROnPlateau(optimizer_of(0.5), patience=1), 10, metrics)
    optimizer = optimizer_of(0.5)
    schedule = schedules.ReduceLROnPlateau(optimizer, patience=1)
    rates(schedule, 3, metrics)
    other = optimizer_of(0.5)
    again = schedules.ReduceLROnPlateau(other, patience=1)
    other.load_state_dict(optimizer.state_dict())
    again.load_state_dict(schedule.state_dict())
    assert rates(again, 7, metrics[3:])[1:] == whole[4:]


def test_a_plateau_takes_a_loss_as_it_is_and_nan_as_no_improvement():
    schedule = schedules.ReduceLROnPlateau(optimizer_of(0.5), patience=0, factor=0.5)
    for loss in (rg.Tensor(1.0), np.float32(0.5), float("nan")):
        schedule.step(loss)
    assert schedule.get_last_lr() == [0.25]


SGD = optimizer_of(0.1)
BAD = {
    "mode is": lambda: schedules.ReduceLROnPlateau(SGD, "low"),
    "threshold_mode is": lambda: schedules.ReduceLROnPlateau(SGD, threshold_mode="x"),
    "factor must": lambda: schedules.ReduceLROnPlateau(SGD, factor=1.0),
}


@pytest.mark.parametrize("message", BAD)
def test_arguments_that_cannot_work_are_refused(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
