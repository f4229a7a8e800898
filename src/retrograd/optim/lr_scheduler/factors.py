"""Schedules that multiply the rate by a factor at each step or at some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from retrograd.checks import ensure, whole
from retrograd.optim.lr_scheduler.scheduler import LRScheduler, along_line, groups_of, one_each
from retrograd.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Multiply the rate by `gamma` every `step_size` steps.

    Args:
        optimizer: the optimizer whose rates are set.
        step_size: how many steps there are from one multiplication to the next.
        gamma: the factor (default 0.1).
        last_epoch: how many steps there were (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if `step_size` is no whole number above 0.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.5 0.25 0.25 0.125
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        whole(step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        now = self.last_epoch and self.last_epoch % self.step_size == 0
        return self._times(self.gamma if now else 1.0)


class MultiStepLR(LRScheduler):
    """Multiply the rate by `gamma` at certain steps.

    Args:
        optimizer: the optimizer whose rates are set.
        milestones: the steps; at one that is listed twice the rate is multiplied twice.
        gamma: the factor (default 0.1).
        last_epoch: how many steps there were (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.25 0.25 0.125 0.125
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self._times(self.gamma ** self.milestones.count(self.last_epoch))


class ExponentialLR(LRScheduler):
    """Multiply the rate by `gamma` every step.

    Args:
        optimizer: the optimizer whose rates are set.
        gamma: the factor.
        last_epoch: how many steps there were (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.25 0.125 0.062 0.031
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self._times(self.gamma if self.last_epoch else 1.0)


class LinearLR(LRScheduler):
    """Go evenly from `start_factor` to `end_factor` times the rate, and stay there.

    Args:
        optimizer: the optimizer whose rates are set.
        start_factor: what the rate is multiplied by at first, above 0 (default 1/3).
        end_factor: what it is multiplied by at the end (default 1).
        total_iters: how many steps there are from start to end (default 5).
        last_epoch: how many steps there were (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if a factor is not from 0 to 1, or `total_iters` no whole number above 0.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.375 0.5 0.5 0.5
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
        total_iters: int = 5, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor {start_factor!r} is not above 0 and at most 1")
        ensure(0 <= end_factor <= 1, "end_factor", "from 0 to 1", end_factor)
        whole(total_iters=total_iters)
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, last = self.last_epoch, self.total_iters
        ends = self.start_factor, self.end_factor
        now, before = (along_line(*ends, min(step, last) / last) for step in (epoch, epoch - 1))
        return self._times(now / before if epoch and before else now)


class LambdaLR(LRScheduler):
    """Multiply the first rate by what a function says.

    Args:
        optimizer: the optimizer whose rates are set.
        lr_lambda: a function of the count of steps that returns the factor; or one for each param
            group.
        last_epoch: how many steps there were (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if there are not as many functions as param groups.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.25 0.167 0.125 0.1
    """

    def __init__(
        self, optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.lr_lambdas = one_each("lr_lambda", lr_lambda, groups_of(optimizer), "functions")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        each = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in each]
