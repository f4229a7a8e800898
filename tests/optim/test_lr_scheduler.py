import json

import numpy as np
import pytest

import retrograd as rg
from retrograd.optim import lr_scheduler as schedules
from retrograd.optim.lr_scheduler import LRScheduler


def optimizer_of(*rates, **options):
    return rg.optim.SGD([{"params": [rg.nn.Parameter([0.0])], "lr": lr} for lr in rates], **options)


def rates(schedule, steps, *metrics):
    found = [schedule.get_last_lr()]
    for step in range(steps):
        schedule.optimizer.step()
        schedule.step(*(m[step] for m in metrics))
        found.append(schedule.get_last_lr())
    return found


EVERY = {
    "StepLR": lambda o: schedules.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, [2, 5], 0.5),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, 0.9),
    "LinearLR": lambda o: schedules.LinearLR(o),
    "LambdaLR": lambda o: schedules.LambdaLR(o, [lambda n: 0.9**n, lambda n: 1.0]),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, 7),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 2),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, 1.0, 12),
    "SequentialLR": lambda o: schedules.SequentialLR(
        o,
        [schedules.LinearLR(o), schedules.ExponentialLR(o, 0.8), schedules.CosineAnnealingLR(o, 9)],
        [3, 6],
    ),
}


@pytest.mark.parametrize("name", EVERY)
def test_a_schedule_continues_from_a_state_that_went_through_json(name):
    whole = rates(EVERY[name](optimizer_of(0.5, 0.1, momentum=0.9)), 10)
    optimizer = optimizer_of(0.5, 0.1, momentum=0.9)
    schedule = EVERY[name](optimizer)
    rates(schedule, 4)
    saved = json.loads(json.dumps(schedule.state_dict()))

    other = optimizer_of(0.5, 0.1, momentum=0.9)
    again = EVERY[name](other)
    other.load_state_dict(optimizer.state_dict())
    again.load_state_dict(saved)
    assert rates(again, 6) == whole[4:]


@pytest.mark.parametrize("name", [n for n in EVERY if n != "SequentialLR"])
def test_last_epoch_continues_a_run_whose_optimizer_was_loaded(name):
    kind = getattr(schedules, name)
    arguments = {
        "StepLR": (3, 0.5), "MultiStepLR": ([2, 5], 0.5), "ExponentialLR": (0.9,), "LinearLR": (),
        "LambdaLR": (lambda n: 0.9**n,), "CosineAnnealingLR": (7,),
        "CosineAnnealingWarmRestarts": (2, 2), "OneCycleLR": (1.0, 12),
    }[name]  # fmt: skip
    optimizer = optimizer_of(0.5)
    whole = rates(kind(optimizer, *arguments), 6)
    other = optimizer_of(0.5)
    rates(kind(other, *arguments), 3)
    again = kind(other, *arguments, last_epoch=3)  # one step further, as in PyTorch
    np.testing.assert_allclose(rates(again, 2), whole[4:])
    with pytest.raises(ValueError, match="load its state_dict first"):
        kind(optimizer_of(0.5), *arguments, last_epoch=3)


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


def test_a_schedule_of_ones_own_defines_get_lr():
    class Halves(LRScheduler):
        def get_lr(self):
            return [lr / 2**self.last_epoch for lr in self.base_lrs]

    schedule = Halves(optimizer_of(1.0))
    assert rates(schedule, 2) == [[1.0], [0.5], [0.25]]
    assert repr(schedule) == "Halves(last_epoch=2, lr=[0.25])"
    with pytest.raises(NotImplementedError, match="LRScheduler does not define get_lr"):
        LRScheduler(optimizer_of(1.0))


def test_schedules_in_a_row_may_be_rows_themselves():
    optimizer = optimizer_of(1.0)
    halves, thirds = (schedules.ExponentialLR(optimizer, gamma) for gamma in (0.5, 0.25))
    inner = schedules.SequentialLR(optimizer, [halves, thirds], [2])
    outer = schedules.SequentialLR(optimizer, [schedules.StepLR(optimizer, 9), inner], [2])
    assert rates(outer, 6) == [[1.0], [1.0], [1.0], [0.5], [1.0], [0.25], [0.0625]]


def test_one_cycle_refuses_steps_beyond_its_end():
    schedule = schedules.OneCycleLR(optimizer_of(0.1, momentum=0.9), 1.0, 3)
    rates(schedule, 3)
    with pytest.raises(ValueError, match="made for 3 steps, this is step 4"):
        schedule.step()


SGD = optimizer_of(0.1)
TWO = [schedules.StepLR(optimizer_of(0.1), 3), schedules.ReduceLROnPlateau(SGD)]
BAD = {
    "whole number": lambda: schedules.StepLR(SGD, 0),
    "T_max must be": lambda: schedules.CosineAnnealingLR(SGD, 2.5),
    "T_mult must be": lambda: schedules.CosineAnnealingWarmRestarts(SGD, 3, 0),
    "start_factor 0": lambda: schedules.LinearLR(SGD, 0),
    "2 functions for 1": lambda: schedules.LambdaLR(SGD, [abs, abs]),
    "total_steps, or": lambda: schedules.OneCycleLR(SGD, 1.0),
    "pct_start": lambda: schedules.OneCycleLR(SGD, 1.0, 9, pct_start=2),
    "anneal_strategy": lambda: schedules.OneCycleLR(SGD, 1.0, 9, anneal_strategy="sin"),
    "max_lr has 2": lambda: schedules.OneCycleLR(SGD, [1.0, 2.0], 9),
    "neither momentum": lambda: schedules.OneCycleLR(
        rg.optim.Adagrad([rg.nn.Parameter([1.0])]), 1.0, 9
    ),
    "mode is": lambda: schedules.ReduceLROnPlateau(SGD, "low"),
    "threshold_mode is": lambda: schedules.ReduceLROnPlateau(SGD, threshold_mode="x"),
    "factor must": lambda: schedules.ReduceLROnPlateau(SGD, factor=1.0),
    "one milestone less": lambda: schedules.SequentialLR(SGD, TWO, []),
    "needs a metric": lambda: schedules.SequentialLR(SGD, TWO[1:], []),
    "another optimizer": lambda: schedules.SequentialLR(SGD, TWO[:1], []),
}


@pytest.mark.parametrize("message", BAD)
def test_arguments_that_cannot_work_are_refused(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


@pytest.mark.parametrize(
    "kind", [schedules.StepLR, schedules.OneCycleLR, schedules.ReduceLROnPlateau]
)
def test_a_schedule_of_something_else_is_refused(kind):
    arguments = () if kind is schedules.ReduceLROnPlateau else (3,)
    with pytest.raises(TypeError, match="takes an Optimizer, not list"):
        kind([], *arguments)


def test_a_state_of_another_schedule_is_refused():
    with pytest.raises(ValueError, match="no state_dict of StepLR: gamma, step_size"):
        schedules.StepLR(SGD, 3).load_state_dict(schedules.LambdaLR(SGD, float).state_dict())
    with pytest.raises(ValueError, match="not NoneType"):
        schedules.StepLR(SGD, 3).load_state_dict(None)


@pytest.mark.parametrize("kind", ["StepLR", "CosineAnnealingLR", "ReduceLROnPlateau"])
def test_a_group_that_is_added_later_follows_the_schedule(kind):
    optimizer = rg.optim.SGD([rg.Parameter([1.0])], lr=1.0)
    options = {"patience": 0} if kind == "ReduceLROnPlateau" else {}
    arguments = () if options else (1,) if kind == "StepLR" else (2,)
    schedule = getattr(rg.optim.lr_scheduler, kind)(optimizer, *arguments, **options)
    optimizer.add_param_group({"params": [rg.Parameter([1.0])], "lr": 10.0})
    for _ in range(2):
        schedule.step(*([1.0] if options else []))
    first, second = (group["lr"] for group in optimizer.param_groups)
    assert first < 1.0
    assert second == pytest.approx(10 * first)


def test_a_group_without_a_function_of_its_own_is_an_error_that_changes_nothing():
    optimizer = rg.optim.SGD([rg.Parameter([1.0])], lr=1.0)
    schedule = rg.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    optimizer.add_param_group({"params": [rg.Parameter([1.0])]})
    with pytest.raises(ValueError):
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 1.0
