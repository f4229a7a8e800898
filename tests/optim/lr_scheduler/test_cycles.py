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


def test_a_rate_that_was_changed_by_hand_during_a_cosine_stays_so():
    optimizer = optimizer_of(1.0)
    schedule = schedules.CosineAnnealingLR(optimizer, 8)
    whole = rates(schedules.CosineAnnealingLR(optimizer_of(1.0), 8), 8)
    rates(schedule, 3)
    optimizer.param_groups[0]["lr"] *= 0.1
    for step in range(4, 9):
        schedule.step()
        assert schedule.get_last_lr()[0] == pytest.approx(whole[step][0] / 10, abs=1e-15)


def test_restarts_after_fractions_begin_again_from_the_first_rate():
    schedule = schedules.CosineAnnealingWarmRestarts(optimizer_of(1.0), 3, 3)
    first = []
    for step in range(40):
        schedule.step(step / 3)
        first.append(schedule.get_last_lr()[0])
    assert [n for n, lr in enumerate(first) if lr == 1.0] == [0, 9, 36]
    assert schedule.last_epoch == 13
    schedule.restart()
    assert (schedule.last_epoch, schedule.get_last_lr()) == (0, [1.0])


def test_a_cycle_may_have_a_momentum_for_each_group():
    optimizer = optimizer_of(0.1, 0.2, momentum=0.5)
    schedules.CyclicLR(optimizer, 0.1, 1.0, 2, base_momentum=[0.1, 0.2], max_momentum=[0.8, 0.9])
    assert [group["momentum"] for group in optimizer.param_groups] == [0.8, 0.9]


def test_a_function_of_something_else_is_refused():
    with pytest.raises(TypeError, match="scale_fn is a function of a count, not float"):
        schedules.CyclicLR(SGD, 0.1, 1.0, scale_fn=0.5)


SGD = optimizer_of(0.1)
WARM = schedules.CosineAnnealingWarmRestarts(optimizer_of(0.1), 2)
ADAGRAD = rg.optim.Adagrad([rg.nn.Parameter([1.0])])
BAD = {
    "T_max must be": lambda: schedules.CosineAnnealingLR(SGD, 2.5),
    "T_mult must be": lambda: schedules.CosineAnnealingWarmRestarts(SGD, 3, 0),
    "total_steps, or": lambda: schedules.OneCycleLR(SGD, 1.0),
    "epoch must be a finite number of at least 0, not -0.5": lambda: WARM.step(-0.5),
    "epoch must be a finite number of at least 0, not nan": lambda: WARM.step(float("nan")),
    "step_size_up must be": lambda: schedules.CyclicLR(SGD, 0.1, 1.0, 0),
    "step_size_down must be": lambda: schedules.CyclicLR(SGD, 0.1, 1.0, 2, -1),
    "mode is": lambda: schedules.CyclicLR(SGD, 0.1, 1.0, mode="square"),
    "scale_mode is": lambda: schedules.CyclicLR(SGD, 0.1, 1.0, scale_mode="x"),
    "base_lr has 2": lambda: schedules.CyclicLR(SGD, [0.1, 0.2], 1.0),
    "Adagrad has neither momentum": lambda: schedules.CyclicLR(ADAGRAD, 0.1, 1.0),
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
