"""Schedules that multiply the rate by a factor at each step or at some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from retrograd.checks import ensure, whole
from retrograd.optim.lr_scheduler.scheduler import LRScheduler, along_line, groups_of, one_each
from retrograd.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Multiply the rate by `gamma` every `step_size` steps.

    Args:
        optimizer: the optimizer whose rates are set.
        step_size: how many steps there are from one multiplication to the next.
        gamma: the factor (default 0.1).
        last_epoch: the last epoch that was complete (default -1: a new run).

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
        last_epoch: the last epoch that was complete (default -1: a new run).

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
        last_epoch: the last epoch that was complete (default -1: a new run).

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
        return self._times(1.0 if self._is_initial else self.gamma)


class LinearLR(LRScheduler):
    """Go evenly from `start_factor` to `end_factor` times the rate, and stay there.

    Args:
        optimizer: the optimizer whose rates are set.
        start_factor: what the rate is multiplied by at first, above 0 (default 1/3).
        end_factor: what it is multiplied by at the end (default 1).
        total_iters: how many steps there are from start to end (default 5).
        last_epoch: the last epoch that was complete (default -1: a new run).

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
        if epoch == 0:
            return self._times(self.start_factor)
        if self._is_initial or epoch > last:
            return self._times(1.0)
        ends = self.start_factor, self.end_factor
        now, before = (along_line(*ends, step / last) for step in (epoch, epoch - 1))
        return self._times(now / before)


class ConstantLR(LRScheduler):
    """Multiply the rate by `factor` at first, and take that back after `total_iters` steps.

    Args:
        optimizer: the optimizer whose rates are set.
        factor: what the rate is multiplied by, from 0 to 1 (default 1/3). With 0 there is no rate
            to take back: it becomes the first one.
        total_iters: how many steps the rate is smaller (default 5).
        last_epoch: the last epoch that was complete (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if `factor` is not from 0 to 1, or `total_iters` no whole number.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.25 0.5 0.5 0.5
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        ensure(0 <= factor <= 1, "factor", "from 0 to 1", factor)
        whole(total_iters=total_iters, at_least=0)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._times(self.factor)
        if self.last_epoch != self.total_iters:
            return self._times(1.0)
        return self._times(1 / self.factor) if self.factor else list(self.base_lrs)


class PolynomialLR(LRScheduler):
    """Fall to 0 in `total_iters` steps as a power of what is left of them.

    The rate is `lr * (1 - step / total_iters) ** power`, with the first rate as `lr`.

    Args:
        optimizer: the optimizer whose rates are set.
        total_iters: how many steps the fall takes (default 5).
        power: the power, at least 0 (default 1: along a line).
        last_epoch: the last epoch that was complete (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if `total_iters` is no whole number above 0, or `power` below 0.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.281 0.125 0.031 0.0
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        whole(total_iters=total_iters)
        ensure(power >= 0, "power", "at least 0", power)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._times(1.0)
        left = self.total_iters - self.last_epoch
        return self._times((left / (left + 1)) ** self.power)


class LambdaLR(LRScheduler):
    """Multiply the first rate by what a function says.

    Args:
        optimizer: the optimizer whose rates are set.
        lr_lambda: a function of the count of steps that returns the factor; or one for each param
            group.
        last_epoch: the last epoch that was complete (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none, or `lr_lambda` no function.
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
        self.lr_lambdas = _functions(lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        each = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in each]


class MultiplicativeLR(LRScheduler):
    """Multiply the present rate at each step by what a function says.

    As one of several in a `SequentialLR` it goes on from the rate that it finds, as in PyTorch.

    Args:
        optimizer: the optimizer whose rates are set.
        lr_lambda: a function of the count of steps that returns the factor; or one for each param
            group. It is not called when the schedule is made.
        last_epoch: the last epoch that was complete (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none, or `lr_lambda` no function.
        ValueError: if there are not as many functions as param groups.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda step: 1 / step)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.5 0.25 0.083 0.021
    """

    def __init__(
        self, optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.lr_lambdas = _functions(lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return self._times(1.0)
        each = zip(self._times(1.0), self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in each]

    def _enter(self) -> None:
        self.last_epoch = -1
        self.step()


def _functions(lr_lambda: Any, optimizer: Optimizer) -> list[Callable[[int], float]]:
    """Return `lr_lambda` as one function for each param group, checked."""
    functions = one_each("lr_lambda", lr_lambda, groups_of(optimizer), "functions")
    if wrong := [type(each).__name__ for each in functions if not callable(each)]:
        raise TypeError(f"lr_lambda is a function of the count of steps, not {wrong[0]}")
    return functions
