"""A schedule that lowers the rate when a metric is no longer better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import SupportsFloat

from retrograd.checks import ensure, one_of
from retrograd.optim.lr_scheduler.scheduler import LRScheduler, groups_of, one_each
from retrograd.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric was not better for more than `patience` steps.

    Args:
        optimizer: the optimizer whose rates are set.
        mode: "min" for a metric that should fall (default), "max" for one that should rise.
        factor: what the rate is multiplied by, from 0 to below 1 (default 0.1).
        patience: how many steps in a row without a better metric are nothing yet (default 10).
        threshold: by how much a metric must be better to count (default 0.0001).
        threshold_mode: "rel" for `threshold` times the best metric so far (default), "abs" for
            `threshold` itself.
        cooldown: how many steps after a reduction do not count (default 0).
        min_lr: the lowest rate (default 0), or one for each param group.
        eps: a smaller reduction is not made (default 1e-8).

    Attributes:
        best: the best metric so far.
        num_bad_epochs: how many steps there were since then.

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if `mode` or `threshold_mode` is something else, `factor` outside its bounds,
            or if there are not as many `min_lr` as param groups.

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
        self.optimizer, groups = optimizer, groups_of(optimizer)
        one_of("mode", mode, "min", "max", verb="is")
        one_of("threshold_mode", threshold_mode, "rel", "abs", verb="is")
        ensure(0 <= factor < 1, "factor", "from 0 to below 1", factor)
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.cooldown, self.eps = cooldown, eps
        self.min_lrs = one_each("min_lr", min_lr, groups)
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.cooldown_counter = self.num_bad_epochs = 0
        self._note()

    def step(self, metrics: SupportsFloat) -> None:  # type: ignore[override]
        """Take the metric of a step and lower the rates if it is time.

        Args:
            metrics: a number, or a Tensor of one element. NaN is not better.
        """
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
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._note()

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        # a group that was added since has the bound of the last one
        self.min_lrs += self.min_lrs[-1:] * (len(groups) - len(self.min_lrs))
        for group, least in zip(groups, self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, least)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr
