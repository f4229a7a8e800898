"""Schedules one after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from retrograd.optim.lr_scheduler.plateau import ReduceLROnPlateau
from retrograd.optim.lr_scheduler.scheduler import LRScheduler
from retrograd.optim.optimizer import Optimizer


class SequentialLR(LRScheduler):
    """Run schedules one after another, each from the first rates.

    Args:
        optimizer: the optimizer whose rates are set.
        schedulers: the schedules, in order, all of this optimizer. One may be sequential itself.
        milestones: the steps at which the next one begins: one less than there are schedules.

    Raises:
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
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]
    ) -> None:
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        count, ends = len(self.schedulers), len(self.milestones)
        if ends != count - 1:
            raise ValueError(f"{count} schedules take one milestone less, not {ends}")
        for each in self.schedulers:
            if isinstance(each, ReduceLROnPlateau):
                raise ValueError("ReduceLROnPlateau needs a metric, which SequentialLR has not")
            if each.optimizer is not optimizer:
                raise ValueError(f"{type(each).__name__} is for another optimizer")
        self.optimizer = optimizer
        self.restart()

    def restart(self) -> None:
        self.last_epoch = 0
        self.schedulers[0].restart()
        self._note()

    def step(self) -> None:
        self.last_epoch += 1
        current = self.schedulers[bisect_right(self.milestones, self.last_epoch)]
        if self.last_epoch in self.milestones:
            current.restart()
        else:
            current.step()
        self._note()

    def state_dict(self) -> dict[str, Any]:
        inner = [each.state_dict() for each in self.schedulers]
        return {**super().state_dict(), "schedules": inner}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for each, state in zip(self.schedulers, state_dict["schedules"], strict=True):
            each.load_state_dict(state)
