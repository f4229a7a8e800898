"""What holds for each of the schedules, and for one's own."""

import json

import numpy as np
import pytest

import retrograd as rg
from optim.problems import optimizer_of, rates
from retrograd.optim import lr_scheduler as schedules
from retrograd.optim.lr_scheduler import LRScheduler

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


def test_a_schedule_of_ones_own_defines_get_lr():
    class Halves(LRScheduler):
        def get_lr(self):
            return [lr / 2**self.last_epoch for lr in self.base_lrs]

    schedule = Halves(optimizer_of(1.0))
    assert rates(schedule, 2) == [[1.0], [0.5], [0.25]]
    assert repr(schedule) == "Halves(last_epoch=2, lr=[0.25])"
    with pytest.raises(NotImplementedError, match="LRScheduler does not define get_lr"):
        LRScheduler(optimizer_of(1.0))


@pytest.mark.parametrize(
    "kind", [schedules.StepLR, schedules.OneCycleLR, schedules.ReduceLROnPlateau]
)
def test_a_schedule_of_something_else_is_refused(kind):
    arguments = () if kind is schedules.ReduceLROnPlateau else (3,)
    with pytest.raises(TypeError, match="takes an Optimizer, not list"):
        kind([], *arguments)


def test_a_state_of_another_schedule_is_refused():
    optimizer = optimizer_of(0.1)
    with pytest.raises(ValueError, match="no state_dict of StepLR: gamma, step_size"):
        schedules.StepLR(optimizer, 3).load_state_dict(
            schedules.LambdaLR(optimizer, float).state_dict()
        )
    with pytest.raises(ValueError, match="not NoneType"):
        schedules.StepLR(optimizer, 3).load_state_dict(None)


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
