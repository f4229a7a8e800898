"""Schedules in which the rate falls or rises along a curve: cosine annealing and one cycle."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

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
    as `lr`.

    Args:
        optimizer: the optimizer whose rates are set.
        T_max: how many steps the fall takes.
        eta_min: the lowest rate (default 0).
        last_epoch: how many steps there were (default -1: a new run).

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
        part = self.last_epoch / self.T_max
        return [along_cosine(lr, self.eta_min, part) for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Fall to `eta_min` as a cosine does, jump back to the first rate, and fall again.

    Args:
        optimizer: the optimizer whose rates are set.
        T_0: how many steps the first fall takes.
        T_mult: each further fall takes so many times as many steps (default 1).
        eta_min: the lowest rate (default 0).
        last_epoch: how many steps there were (default -1: a new run).

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
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        since, length = self.last_epoch, self.T_0
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
        last_epoch: how many steps there were (default -1: a new run).

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
        if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            kind = type(optimizer).__name__
            raise ValueError(f"{kind} has neither momentum nor betas: pass cycle_momentum=False")
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
            for group, values in zip(self.optimizer.param_groups, self._momenta, strict=True):
                momentum = between(values[at - 1], values[at], part)
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return [between(values[at - 1], values[at], part) for values in self._rates]
