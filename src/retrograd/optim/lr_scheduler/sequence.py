"""Schedules of one optimizer together: one after another, or all at every step."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from retrograd.optim.lr_scheduler.plateau import ReduceLROnPlateau
from retrograd.optim.lr_scheduler.scheduler import LRScheduler
from retrograd.optim.optimizer import Optimizer


class ScheduleGroup(LRScheduler):
    """Base of the schedules that are made of others.

    Args:
        optimizer: the optimizer whose rates are set.
        schedulers: the schedules, all of this optimizer.

    Raises:
        TypeError: if `schedulers` has something else.
        ValueError: if a schedule is of another optimizer or a ReduceLROnPlateau, which takes a
            metric.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
        kind = type(self).__name__
        for each in schedulers:
            if not isinstance(each, LRScheduler):
                raise TypeError(f"{kind} takes schedules, not {type(each).__name__}")
            if isinstance(each, ReduceLROnPlateau):
                raise ValueError(f"ReduceLROnPlateau needs a metric, which {kind} has not")
            if each.optimizer is not optimizer:
                raise ValueError(f"{type(each).__name__} is for another optimizer")
        self.optimizer, self.schedulers = optimizer, list(schedulers)

    def _first_rates(self) -> list[float]:
        return self.schedulers[0]._first_rates()

    def state_dict(self) -> dict[str, Any]:
        inner = [each.state_dict() for each in self.schedulers]
        return {**super().state_dict(), "schedules": inner}

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._check_state(state_dict)
        there, here = len(state_dict["schedules"]), len(self.schedulers)
        if there != here:
            raise ValueError(f"a state of {there} schedules, here are {here}")
        for each, state in zip(self.schedulers, state_dict["schedules"], strict=True):
            each._check_state(state)

    def _take_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._take_state(state_dict)
        for each, state in zip(self.schedulers, state_dict["schedules"], strict=True):
            each._take_state(state)


class SequentialLR(ScheduleGroup):
    """Run schedules one after another, each from the first rates.

    Args:
        optimizer: the optimizer whose rates are set.
        schedulers: the schedules, in order, all of this optimizer. One may be sequential itself.
        milestones: the steps at which the next one begins: one less than there are schedules.
        last_epoch: must be -1: what continues a run is `load_state_dict`.

    Raises:
        TypeError: if `schedulers` has something else.
        ValueError: if the counts do not fit, or if a schedule is of another optimizer or a
            ReduceLROnPlateau, which takes a metric.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> rise = rg.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> fall = rg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> schedule = rg.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], [2])
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.375 0.5 0.25 0.0
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.milestones = list(milestones)
        count, ends = len(schedulers), len(self.milestones)
        if ends != count - 1:
            raise ValueError(f"{count} schedules take one milestone less, not {ends}")
        super().__init__(optimizer, schedulers)
        if last_epoch != -1:
            raise ValueError(
                f"last_epoch must be -1, not {last_epoch!r}: SequentialLR continues a run by "
                "load_state_dict"
            )
        self.restart()

    def _begin(self) -> None:
        self.last_epoch, first = 0, self.schedulers[0]
        first.last_epoch = -1
        first._begin()
        self._note()

    def step(self) -> None:
        self.last_epoch += 1
        current = self.schedulers[bisect_right(self.milestones, self.last_epoch)]
        if self.last_epoch in self.milestones:
            current._enter()
        else:
            current.step()
        self._note()


class ChainedScheduler(ScheduleGroup):
    """Step several schedules together, one after another at each step.

    Each acts on the rates that those before it have set, so that factors multiply. Schedules that
    compute the rate from the first one, such as LambdaLR or OneCycleLR, come first.

    Args:
        schedulers: the schedules, in order, all of one optimizer.
        optimizer: the optimizer whose rates are set (default: that of the schedules).

    Raises:
        TypeError: if `schedulers` has something else.
        ValueError: if there are no schedules, or if one is of another optimizer or a
            ReduceLROnPlateau, which takes a metric.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> rise = rg.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> fall = rg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = rg.optim.lr_scheduler.ChainedScheduler([rise, fall])
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.188 0.125 0.062 0.031
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler got no schedules")
        own: Any = getattr(schedulers[0], "optimizer", None)
        super().__init__(own if optimizer is None else optimizer, schedulers)
        self.last_epoch = self.schedulers[0].last_epoch
        self._note()

    def _begin(self) -> None:
        self.last_epoch = 0
        for each in self.schedulers:
            each.last_epoch = -1
            each._begin()
        self._note()

    def step(self) -> None:
        self.last_epoch += 1
        for each in self.schedulers:
            each.step()
        self._note()
