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
    "ConstantLR": lambda o: schedules.ConstantLR(o, 0.5, 6),
    "PolynomialLR": lambda o: schedules.PolynomialLR(o, 8, 2.0),
    "MultiplicativeLR": lambda o: schedules.MultiplicativeLR(o, lambda n: 1 - n / 100),
    "CyclicLR": lambda o: schedules.CyclicLR(o, 0.1, 0.9, 2, 3, scale_fn=lambda n: 1 / n),
    "ChainedScheduler": lambda o: schedules.ChainedScheduler(
        [schedules.LinearLR(o), schedules.ExponentialLR(o, 0.8), schedules.CosineAnnealingLR(o, 9)]
    ),
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


def options_of(optimizer):
    def of(group):
        options = {k: v for k, v in group.items() if k not in ("params", "initial_lr")}
        # a list after JSON
        return {k: tuple(v) if k == "betas" else v for k, v in options.items()}

    return [of(group) for group in optimizer.param_groups]


@pytest.mark.parametrize("kind", [rg.optim.SGD, rg.optim.Adam])
@pytest.mark.parametrize("name", EVERY)
def test_a_schedule_that_is_made_after_the_optimizer_was_loaded_continues_the_run(name, kind):
    def start():
        groups = [{"params": [rg.nn.Parameter([0.0])], "lr": lr} for lr in (0.5, 0.1)]
        return kind(groups)

    optimizer = start()
    schedule = EVERY[name](optimizer)
    rates(schedule, 4)
    saved = json.loads(json.dumps((optimizer.state_dict()["param_groups"], schedule.state_dict())))
    then = options_of(optimizer)
    later = rates(schedule, 6)

    other = start()
    other.load_state_dict({"state": {}, "param_groups": saved[0]})
    again = EVERY[name](other)
    again.load_state_dict(saved[1])
    assert options_of(other) == then
    assert rates(again, 6) == later
    assert options_of(other) == options_of(optimizer)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_schedules_that_are_stepped_together_load_in_any_order(order):
    def start(loaded=None):
        optimizer = optimizer_of(0.5)
        if loaded:
            optimizer.load_state_dict(loaded)
        return [
            optimizer,
            schedules.LinearLR(optimizer, 0.1, total_iters=6),
            schedules.CosineAnnealingLR(optimizer, 10),
        ]

    def steps(optimizer, *both):
        found = []
        for _ in range(4):
            for each in both:
                each.step()
            found.append(optimizer.param_groups[0]["lr"])
        return found

    parts = start()
    steps(*parts)
    parts[0].param_groups[0]["lr"] *= 0.1
    saved = [part.state_dict() for part in parts]
    whole = steps(*parts)
    for loaded in (None, saved[0]):
        again = start(loaded)
        for i in order:
            again[i].load_state_dict(saved[i])
        assert steps(*again) == whole


@pytest.mark.parametrize(
    "name", [n for n in EVERY if n not in ("SequentialLR", "ChainedScheduler")]
)
def test_last_epoch_continues_a_run_whose_optimizer_was_loaded(name):
    kind = getattr(schedules, name)
    arguments = {
        "StepLR": (4, 0.5), "MultiStepLR": ([2, 5], 0.5), "ExponentialLR": (0.9,), "LinearLR": (),
        "LambdaLR": (lambda n: 0.9**n,), "CosineAnnealingLR": (7,), "ConstantLR": (),
        "CosineAnnealingWarmRestarts": (2, 2), "OneCycleLR": (1.0, 12), "CyclicLR": (0.1, 0.9, 2),
        "PolynomialLR": (8, 2.0), "MultiplicativeLR": (lambda n: 0.9,),
    }[name]  # fmt: skip
    optimizer = optimizer_of(0.5)
    whole = rates(kind(optimizer, *arguments), 6)
    other = optimizer_of(0.5)
    rates(kind(other, *arguments), 3)
    again = kind(other, *arguments, last_epoch=2)  # epochs 0 to 2 are complete
    assert again.last_epoch == 3
    np.testing.assert_allclose(rates(again, 3), whole[3:])
    with pytest.raises(ValueError, match="load its state_dict first"):
        kind(optimizer_of(0.5), *arguments, last_epoch=3)
    with pytest.raises(ValueError, match="last_epoch must be a whole number"):
        kind(other, *arguments, last_epoch=2.5)


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
    with pytest.raises(ValueError, match="a state of 2 param groups, here are 1"):
        schedules.StepLR(optimizer, 3).load_state_dict(
            schedules.StepLR(optimizer_of(0.1, 0.2), 3).state_dict()
        )


def test_a_state_that_does_not_fit_changes_nothing():
    def row(kind, *arguments):
        optimizer = optimizer_of(0.5)
        each = [schedules.ExponentialLR(optimizer, 0.5), kind(optimizer, *arguments)]
        return schedules.SequentialLR(optimizer, each, [3])

    schedule, other = row(schedules.StepLR, 3), row(schedules.LambdaLR, float)
    rates(other, 2)
    before = repr(schedule.state_dict())
    with pytest.raises(ValueError, match="no state_dict of StepLR"):
        schedule.load_state_dict(other.state_dict())
    longer = other.state_dict()
    longer["schedules"].pop()
    with pytest.raises(ValueError, match="a state of 1 schedules, here are 2"):
        schedule.load_state_dict(longer)
    assert repr(schedule.state_dict()) == before


def test_a_loaded_state_is_a_copy():
    optimizer = optimizer_of(0.5)
    schedule = schedules.StepLR(optimizer, 1)
    saved = schedule.state_dict()
    schedule.load_state_dict(saved)
    schedule.base_lrs[0] = 7.0
    assert saved["base_lrs"] == [0.5]


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
