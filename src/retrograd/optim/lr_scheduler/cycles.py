"""Schedules in which the rate falls and rises along a curve: cosines, one cycle, many cycles."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

from retrograd.checks import ensure, one_of, whole
from retrograd.optim.lr_scheduler.scheduler import (
    LRScheduler,
    along_cosine,
    along_line,
    groups_of,
    one_each,
)
from retrograd.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """Fall to `eta_min` in `T_max` steps as a cosine does, and rise again in as many.

    The rate is `eta_min + (lr - eta_min) * (1 + cos(pi * step / T_max)) / 2`, with the first rate
    as `lr`. Each step multiplies what the present rate is above `eta_min`, as in PyTorch, and so
    combines with other schedules.

    Args:
        optimizer: the optimizer whose rates are set.
        T_max: how many steps the fall takes.
        eta_min: the lowest rate (default 0).
        last_epoch: the last epoch that was complete (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if `T_max` is no whole number above 0.

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", without the
    restarts.

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.25 0.0 0.25 0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        whole(T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return self._times(1.0)
        rates, low, last = self._times(1.0), self.eta_min, self.T_max
        if (self.last_epoch - 1 - last) % (2 * last) == 0:
            # At the bottom no factor leads up again: the way is that of the first rates.
            rise = (1 - math.cos(math.pi / last)) / 2
            each = zip(rates, self.base_lrs, strict=True)
            return [lr + (first - low) * rise for lr, first in each]
        now, before = (along_cosine(1.0, 0.0, (self.last_epoch - n) / last) for n in (0, 1))
        return [low + (lr - low) * now / before for lr in rates]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Fall to `eta_min` as a cosine does, jump back to the first rate, and fall again.

    Args:
        optimizer: the optimizer whose rates are set.
        T_0: how many steps the first fall takes.
        T_mult: each further fall takes so many times as many steps (default 1).
        eta_min: the lowest rate (default 0).
        last_epoch: the last epoch that was complete (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if `T_0` or `T_mult` is no whole number above 0.

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts".

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
        whole(T_0=T_0, T_mult=T_mult)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        self._fraction = 0.0  # of an epoch, beyond `last_epoch`
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:
        """Count a step and set the rates.

        Args:
            epoch: how far the run is, in epochs; with fractions, such as `epoch + i / n` for batch
                `i` of `n`, the rate falls within an epoch too (default: an epoch more than at the
                last step).

        Raises:
            ValueError: if `epoch` is below 0 or not finite.

        >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5)
        >>> schedule = rg.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
        >>> for i in range(3):
        ...     schedule.step(1 + i / 3); print(round(schedule.get_last_lr()[0], 3), end=" ")
        0.25 0.125 0.033
        """
        if epoch is not None:
            good = isinstance(epoch, (int, float, np.number)) and 0 <= epoch < math.inf
            ensure(good, "epoch", "a finite number of at least 0", epoch)
            before = math.floor(epoch)
            self.last_epoch, self._fraction = before - 1, float(epoch - before)
        super().step()

    def restart(self) -> None:
        self._fraction = 0.0
        super().restart()

    def get_lr(self) -> list[float]:
        since, length = self.last_epoch + self._fraction, self.T_0
        while since >= length:
            since = since % length if self.T_mult == 1 else since - length
            length *= self.T_mult
        return [along_cosine(lr, self.eta_min, since / length) for lr in self.base_lrs]


class OneCycleLR(LRScheduler):
    """Rise to `max_lr`, then fall far below the first rate; step it after each update.

    The momentum goes the other way: it falls from `max_momentum` to `base_momentum` while the rate
    rises, and rises again after it. It is the `momentum` of a param group, or its first beta.

    Args:
        optimizer: the optimizer whose rates are set.
        max_lr: the highest rate, or one for each param group.
        total_steps: how many steps the cycle has; else it has `epochs * steps_per_epoch`.
        epochs: how many epochs the cycle has.
        steps_per_epoch: how many steps an epoch has.
        pct_start: the part of the steps in which the rate rises, from 0 to 1 (default 0.3).
        anneal_strategy: the curve of rise and fall: "cos" (default) or "linear".
        cycle_momentum: whether the momentum is set too (default True).
        base_momentum: the lowest momentum (default 0.85), or one for each param group.
        max_momentum: the highest momentum (default 0.95), or one for each param group.
        div_factor: the first rate is `max_lr / div_factor` (default 25).
        final_div_factor: the last rate is the first one divided by this (default 10,000).
        three_phase: whether the rate first falls to where it began, in as many steps as it rose,
            and then to the end (default False).
        last_epoch: the last epoch that was complete (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if an argument is outside its bounds, if there is no number of steps, if there
            are not as many entries as param groups, or if the optimizer has no momentum to set. At
            a `step` beyond the end too.

    Smith & Topin 2018, "Super-convergence: very fast training of neural networks using large
    learning rates".

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
        groups = groups_of(optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        whole(total_steps=total_steps)
        ensure(0 <= pct_start <= 1, "pct_start", "from 0 to 1", pct_start)
        one_of("anneal_strategy", anneal_strategy, "cos", "linear", verb="is")
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        if cycle_momentum:
            _momentum_of(optimizer)
        self.cycle_momentum = cycle_momentum
        tops = one_each("max_lr", max_lr, groups)
        lows = one_each("base_momentum", base_momentum, groups)
        highs = one_each("max_momentum", max_momentum, groups)
        rise = pct_start * total_steps
        # the steps, and for each group the rates and momenta, at the ends of phases
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
        between = along_cosine if self.anneal_strategy == "cos" else along_line
        if self.cycle_momentum:
            _set_momenta(
                self.optimizer,
                [between(values[at - 1], values[at], part) for values in self._momenta],
            )
        return [between(values[at - 1], values[at], part) for values in self._rates]

    def _options_set(self) -> tuple[str, ...]:
        return ("lr", _momentum_of(self.optimizer)) if self.cycle_momentum else ("lr",)


class CyclicLR(LRScheduler):
    """Rise from `base_lr` to `max_lr` and fall again, over and over; step it after each update.

    The momentum goes the other way: it falls from `max_momentum` to `base_momentum` while the rate
    rises. It is the `momentum` of a param group, or its first beta.

    Args:
        optimizer: the optimizer whose rates are set.
        base_lr: the lowest rate, or one for each param group.
        max_lr: the highest rate, or one for each param group.
        step_size_up: how many steps the rise takes (default 2,000).
        step_size_down: how many steps the fall takes (default as many as the rise).
        mode: "triangular" (default) for peaks of one height; "triangular2" for peaks each half as
            high above `base_lr` as the one before; "exp_range" for a height that is multiplied by
            `gamma` at each step.
        gamma: the factor of "exp_range" (default 1).
        scale_fn: a function that returns what the height is multiplied by, in the place of `mode`
            (default: there is none).
        scale_mode: what `scale_fn` is called with: the number of the "cycle", 1 at first
            (default), or of "iterations", the count of steps.
        cycle_momentum: whether the momentum is set too (default True).
        base_momentum: the lowest momentum (default 0.8), or one for each param group.
        max_momentum: the highest momentum (default 0.9), or one for each param group.
        last_epoch: the last step that was made (default -1: a new run).

    Raises:
        TypeError: if `optimizer` is none, or `scale_fn` no function.
        ValueError: if an argument is outside its bounds, if there are not as many entries as param
            groups, or if the optimizer has no momentum to set.

    Smith 2017, "Cyclical learning rates for training neural networks".

    >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5, momentum=0.9)
    >>> schedule = rg.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.5, step_size_up=2)
    >>> for _ in range(4):
    ...     schedule.step(); print(round(schedule.get_last_lr()[0], 3), end=" ")
    0.3 0.5 0.3 0.1
    """

    def __init__(
        self, optimizer: Optimizer, base_lr: float | Sequence[float],
        max_lr: float | Sequence[float], step_size_up: int = 2000,
        step_size_down: int | None = None, mode: str = "triangular", gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle",
        cycle_momentum: bool = True, base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        groups = groups_of(optimizer)
        down = step_size_up if step_size_down is None else step_size_down
        for name, value in {"step_size_up": step_size_up, "step_size_down": down}.items():
            ensure(value > 0, name, "a number above 0", value)
        if scale_fn is None:
            one_of("mode", mode, "triangular", "triangular2", "exp_range", verb="is")
        elif not callable(scale_fn):
            raise TypeError(f"scale_fn is a function of a count, not {type(scale_fn).__name__}")
        one_of("scale_mode", scale_mode, "cycle", "iterations", verb="is")
        if cycle_momentum:
            _momentum_of(optimizer)
        self.step_size_up, self.step_size_down = step_size_up, down
        self.mode, self.gamma, self.scale_fn, self.scale_mode = mode, gamma, scale_fn, scale_mode
        self.cycle_momentum = cycle_momentum
        self.min_lrs = one_each("base_lr", base_lr, groups)
        self.max_lrs = one_each("max_lr", max_lr, groups)
        self.base_momentums = one_each("base_momentum", base_momentum, groups)
        self.max_momentums = one_each("max_momentum", max_momentum, groups)
        if last_epoch == -1:
            for group, lr in zip(groups, self.min_lrs, strict=True):
                group["lr"] = lr
        super().__init__(optimizer, last_epoch)
        self.base_lrs = list(self.min_lrs)

    def get_lr(self) -> list[float]:
        cycles, since = divmod(self.last_epoch, self.step_size_up + self.step_size_down)
        up, down = self.step_size_up, self.step_size_down
        height = since / up if since <= up else (up + down - since) / down
        height *= self._scale(int(cycles) + 1)
        if self.cycle_momentum:
            each = zip(self.max_momentums, self.base_momentums, strict=True)
            _set_momenta(self.optimizer, [along_line(*ends, height) for ends in each])
        pairs = zip(self.min_lrs, self.max_lrs, strict=True)
        return [along_line(*ends, height) for ends in pairs]

    def _scale(self, cycle: int) -> float:
        """Return what the height of a cycle is multiplied by at this step."""
        if self.scale_fn is not None:
            return self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.mode == "exp_range":
            return self.gamma**self.last_epoch
        return 0.5 ** (cycle - 1) if self.mode == "triangular2" else 1.0

    def _options_set(self) -> tuple[str, ...]:
        return ("lr", _momentum_of(self.optimizer)) if self.cycle_momentum else ("lr",)


def _momentum_of(optimizer: Optimizer) -> str:
    """Return the option that is an optimizer's momentum; ValueError where there is none."""
    for name in ("betas", "momentum"):
        if name in optimizer.defaults:
            return name
    kind = type(optimizer).__name__
    raise ValueError(f"{kind} has neither momentum nor betas: pass cycle_momentum=False")


def _set_momenta(optimizer: Optimizer, momenta: Sequence[float]) -> None:
    """Set the momentum of each param group."""
    name = _momentum_of(optimizer)
    for group, momentum in zip(optimizer.param_groups, momenta, strict=True):
        group[name] = (momentum, *group["betas"][1:]) if name == "betas" else momentum
