"""Schedules of the learning rate, with torch's formulas: call `step()` after each epoch or update.

StepLR, MultiStepLR, ExponentialLR and LinearLR multiply the rate they find, and so combine; others
start from the first.
"""

import copy
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from retrograd.optim.optimizer import Optimizer, ensure, positive


class LRScheduler:
    """Base of the schedules: define `get_lr`, from the count of steps `self.last_epoch`.

    To continue, `load_state_dict`, or pass `last_epoch` and an optimizer with loaded state.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        groups = _groups(optimizer)
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for group in groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError("the optimizer has no initial_lr: load its state_dict first")
        self.base_lrs: list[float] = [group["initial_lr"] for group in groups]
        self.step()

    def get_lr(self) -> list[float]:
        """Return the rate of each param group."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr")

    def get_last_lr(self) -> list[float]:
        """Return the rates last set."""
        return list(self._last_lr)

    def step(self) -> None:
        """Count a step and set the rates."""
        for group in self.optimizer.param_groups[len(self.base_lrs) :]:  # added since
            self.base_lrs.append(group.setdefault("initial_lr", group["lr"]))
        self.last_epoch += 1
        self._set(self.get_lr())

    def _set(self, rates: list[float]) -> None:
        groups = self.optimizer.param_groups
        if len(rates) != len(groups):
            kind = type(self).__name__
            raise ValueError(f"{kind} was made for {len(rates)} param groups, not {len(groups)}")
        for group, lr in zip(groups, rates, strict=True):
            group["lr"] = lr
        self._note()

    def _note(self) -> None:
        self._last_lr = self._times(1.0)

    def _times(self, factor: float) -> list[float]:
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def restart(self) -> None:
        """Begin again from the first rates."""
        self._set(self.base_lrs)
        self.last_epoch = -1
        self.step()

    def state_dict(self) -> dict[str, Any]:
        """Return all but optimizer and functions."""
        others = ("optimizer", "lr_lambdas", "schedulers")
        return copy.deepcopy({k: v for k, v in vars(self).items() if k not in others})

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`; the rates are in the optimizer's."""
        if not isinstance(state_dict, Mapping):
            raise ValueError(f"a state_dict is a dict, not {type(state_dict).__name__}")
        if differ := sorted(self.state_dict().keys() ^ state_dict.keys()):
            raise ValueError(f"no state_dict of {type(self).__name__}: {', '.join(differ)}")
        vars(self).update({k: v for k, v in state_dict.items() if k != "schedules"})

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last_epoch={self.last_epoch}, lr={self._last_lr})"


class StepLR(LRScheduler):
    """Multiply the rate by `gamma` every `step_size` steps.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.5 0.25 0.25 0.125
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        positive(step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        now = self.last_epoch and self.last_epoch % self.step_size == 0
        return self._times(self.gamma if now else 1.0)


class MultiStepLR(LRScheduler):
    """Multiply the rate by `gamma` at each of the `milestones`, as often as it is listed.

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
    """Go evenly from `start_factor` to `end_factor` times the rate in `total_iters` steps.

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
        positive(total_iters=total_iters)
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, last = self.last_epoch, self.total_iters
        ends = self.start_factor, self.end_factor
        now, before = (_linear(*ends, min(step, last) / last) for step in (epoch, epoch - 1))
        return self._times(now / before if epoch and before else now)


class LambdaLR(LRScheduler):
    """Multiply the first rate by `lr_lambda(steps)`; one function, or one a group.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.25 0.167 0.125 0.1
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        self.lr_lambdas = _each("lr_lambda", lr_lambda, _groups(optimizer), "functions")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        each = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in each]


class CosineAnnealingLR(LRScheduler):
    """Fall to `eta_min` in `T_max` steps and rise again, as a cosine does: SGDR without restarts.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.25 0.0 0.25 0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        positive(T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [_cosine(lr, self.eta_min, self.last_epoch / self.T_max) for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Fall to `eta_min` as a cosine does and jump back (SGDR, Loshchilov & Hutter 2017).

    The first fall takes `T_0` steps, each further one `T_mult` times as many.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.25 0.5 0.25 0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        positive(T_0=T_0, T_mult=T_mult)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        since, length = self.last_epoch, self.T_0
        while since >= length:
            since = since % length if self.T_mult == 1 else since - length
            length *= self.T_mult
        return [_cosine(lr, self.eta_min, since / length) for lr in self.base_lrs]


class OneCycleLR(LRScheduler):
    """Rise to `max_lr`, fall far below the first rate; momentum the other way (Smith & Topin 2018).

    The rise from `max_lr / div_factor` takes `pct_start` of `total_steps` (or
    `epochs * steps_per_epoch`); the end is `1 / final_div_factor` of the start. If `three_phase`,
    the fall first mirrors the rise. `anneal_strategy` is "cos" or "linear". `max_lr` and the
    momenta may be lists, one entry a group. ValueError beyond the end.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.52 1.0 0.95 0.812
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | Sequence[float], total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85, max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0, final_div_factor: float = 1e4, three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        groups = _groups(optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        positive(total_steps=total_steps)
        ensure(0 <= pct_start <= 1, "pct_start", "from 0 to 1", pct_start)
        either("anneal_strategy", anneal_strategy, "cos", "linear")
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            kind = type(optimizer).__name__
            raise ValueError(f"{kind} has neither momentum nor betas: pass cycle_momentum=False")
        self.cycle_momentum = cycle_momentum
        tops = _each("max_lr", max_lr, groups)
        lows = _each("base_momentum", base_momentum, groups)
        highs = _each("max_momentum", max_momentum, groups)
        rise = pct_start * total_steps
        # the steps, rates and momenta at the ends of phases
        self._ends = [0.0, rise - 1, 2 * rise - 2, total_steps - 1]
        starts = [top / div_factor for top in tops]
        self._rates = [[s, t, s, s / final_div_factor] for s, t in zip(starts, tops, strict=True)]
        self._momenta = [[high, low, high, high] for low, high in zip(lows, highs, strict=True)]
        if not three_phase:
            for values in (self._ends, *self._rates, *self._momenta):
                del values[2]
        if last_epoch == -1:
            for group, start in zip(groups, starts, strict=True):
                group["initial_lr"] = start
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step, ends = self.last_epoch, self._ends
        if step > self.total_steps:
            raise ValueError(f"a cycle made for {self.total_steps} steps, this is step {step}")
        at = bisect_left(ends, step, 1, len(ends) - 1)
        length = ends[at] - ends[at - 1]
        part = (step - ends[at - 1]) / length if length else 1.0
        between = _cosine if self.anneal_strategy == "cos" else _linear
        if self.cycle_momentum:
            for group, values in zip(self.optimizer.param_groups, self._momenta, strict=True):
                momentum = between(values[at - 1], values[at], part)
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return [between(values[at - 1], values[at], part) for values in self._rates]


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric was not better for more than `patience` steps.

    `step(metric)` takes the metric, which should fall (`mode="min"`) or rise ("max") by
    `threshold`, times the best so far ("rel") or as it is ("abs"). `cooldown` steps after a
    reduction do not count. No rate falls below `min_lr` (or one a group) or by less than `eps`.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.5 0.5 0.5 0.05
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0, eps: float = 1e-8,
    ) -> None:  # fmt: skip
        self.optimizer, groups = optimizer, _groups(optimizer)
        either("mode", mode, "min", "max")
        either("threshold_mode", threshold_mode, "rel", "abs")
        ensure(0 <= factor < 1, "factor", "from 0 to below 1", factor)
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.cooldown, self.eps = cooldown, eps
        self.min_lrs = _each("min_lr", min_lr, groups)
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.cooldown_counter = self.num_bad_epochs = 0
        self._note()

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Take the metric of a step and reduce the rates if it is time."""
        metric, sign = float(metrics), -1 if self.mode == "min" else 1
        self.last_epoch += 1
        by = sign * self.threshold
        bound = self.best + by if self.threshold_mode == "abs" else self.best * (1 + by)
        better = sign * metric > sign * bound
        if better:
            self.best = metric
        self.num_bad_epochs = 0 if better or self.cooldown_counter else self.num_bad_epochs + 1
        self.cooldown_counter = max(self.cooldown_counter - 1, 0)
        if self.num_bad_epochs > self.patience:
            added = len(self.optimizer.param_groups) - len(self.min_lrs)
            self.min_lrs += self.min_lrs[-1:] * added
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lr = max(group["lr"] * self.factor, least)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._note()


class SequentialLR(LRScheduler):
    """Run schedules one after another, each from the first rates; the next at each of `milestones`.

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


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _linear(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def either(name: str, value: str, *choices: str) -> None:
    """Raise ValueError for a value that is no choice."""
    if value not in choices:
        raise ValueError(f"{name} is {' or '.join(map(repr, choices))}, not {value!r}")


def _groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"a schedule takes an Optimizer, not {type(optimizer).__name__}")
    return optimizer.param_groups


def _each(name: str, value: Any, groups: Sequence[Any], what: str = "entries") -> list[Any]:
    values = list(value) if isinstance(value, Iterable) else [value] * len(groups)
    if len(values) != len(groups):
        raise ValueError(f"{name} has {len(values)} {what} for {len(groups)} param groups")
    return values
