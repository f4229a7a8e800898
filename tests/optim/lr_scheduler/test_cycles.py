"""Cosine annealing, and one cycle."""

import pytest

import retrograd as rg
from optim.problems import optimizer_of, rates
from retrograd.optim import lr_scheduler as schedules


def test_one_cycle_refuses_steps_beyond_its_end():
    schedule = schedules.OneCycleLR(optimizer_of(0.1, momentum=0.9), 1.0, 3)
    rates(schedule, 3)
    with pytest.raises(ValueError, match="made for 3 steps, this is step 4"):
        schedule.step()


SGD = optimizer_of(0.1)
BAD = {
    "T_max must be": lambda: schedules.CosineAnnealingLR(SGD, 2.5),
    "T_mult must be": lambda: schedules.CosineAnnealingWarmRestarts(SGD, 3, 0),
    "total_steps, or": lambda: schedules.OneCycleLR(SGD, 1.0),
    "pct_start": lambda: schedules.OneCycleLR(SGD, 1.0, 9, pct_start=2),
    "anneal_strategy": lambda: schedules.OneCycleLR(SGD, 1.0, 9, anneal_strategy="sin"),
    "max_lr has 2": lambda: schedules.OneCycleLR(SGD, [1.0, 2.0], 9),
    "neither momentum": lambda: schedules.OneCycleLR(
        rg.optim.Adagrad([rg.nn.Parameter([1.0])]), 1.0, 9
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_arguments_that_cannot_work_are_refused(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
