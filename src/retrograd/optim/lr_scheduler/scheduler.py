"""What schedules share: a count of steps, rates that are set, state that can be saved."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from retrograd.checks import whole
from retrograd.optim.optimizer import Optimizer


class LRScheduler:
    """Base of the schedules: define `get_lr`, from the count of steps `self.last_epoch`.

    A schedule makes its first step when it is made, and so sets the rates for epoch 0. Where
    `get_lr` computes the next rates from those that the optimizer has, the schedule combines with
    others, stepped one after another, and with changes by hand.

    To continue a run, load the states of optimizer and schedule, in any order. Or load the
    optimizer's and pass the last epoch that was complete as `last_epoch`.

    Args:
        optimizer: the optimizer whose rates are set; those that it has are the first ones.
        last_epoch: the last epoch that was complete (default -1: a new run).

    Attributes:
        optimizer: the optimizer.
        last_epoch: how many steps there were.
        base_lrs: the first rate of each param group.

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if `last_epoch` is given, and the optimizer has no first rates: they are in its
            state.

    >>> class Halves(rg.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [lr / 2**self.last_epoch for lr in self.base_lrs]
    >>> schedule = Halves(rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5))
    >>> schedule.step(); schedule.get_last_lr()
    [0.25]
    """

    # Whether `step` is the first one, which a schedule makes by itself.
    _is_initial: bool = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        groups = groups_of(optimizer)
        whole(last_epoch=last_epoch, at_least=-1)
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for group in groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError("the optimizer has no initial_lr: load its state_dict first")
        self.base_lrs: list[float] = [group["initial_lr"] for group in groups]
        self._begin()

    def get_lr(self) -> list[float]:
        """Return the rates for step `self.last_epoch`; called by `step`, for others to define.

        Returns:
            A rate for each param group.

        Raises:
            NotImplementedError: if the class does not define it.

        >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5)
        >>> rg.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.1**step).get_lr()
        [0.5]
        """
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr")

    def get_last_lr(self) -> list[float]:
        """Return the rates that were set last.

        Returns:
            A rate for each param group.
        """
        return list(self._last_lr)

    def step(self) -> None:
        """Count a step and set the rates: after `optimizer.step()`, or after an epoch of them."""
        for group in self.optimizer.param_groups[len(self.base_lrs) :]:  # added since
            self.base_lrs.append(group.setdefault("initial_lr", group["lr"]))
        self.last_epoch += 1
        self._set(self.get_lr())

    def _begin(self) -> None:
        """Make the first step, which sets the rates of the epoch after `self.last_epoch`."""
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _first_rates(self) -> list[float]:
        """Return the rate that each param group had before the first step."""
        return self.base_lrs

    def _enter(self) -> None:
        """Begin as the next of schedules in a row."""
        self.restart()

    def _set(self, rates: list[float]) -> None:
        groups = self.optimizer.param_groups
        if len(rates) != len(groups):
            kind = type(self).__name__
            raise ValueError(f"{kind} was made for {len(rates)} param groups, not {len(groups)}")
        for group, lr in zip(groups, rates, strict=True):
            group["lr"] = lr
        self._note()

    def _note(self) -> None:
        """Take note of the rates that the optimizer has."""
        self._last_lr = self._times(1.0)

    def _times(self, factor: float) -> list[float]:
        """Return the rates that the optimizer has, times a factor."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def restart(self) -> None:
        """Begin again from the first rates.

        >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5)
        >>> schedule = rg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> schedule.step(); schedule.restart(); schedule.get_last_lr()
        [0.5]
        """
        self._set(self._first_rates())
        self.last_epoch = -1
        self._begin()

    def state_dict(self) -> dict[str, Any]:
        """Return what a run needs to go on: all but the optimizer and functions.

        Returns:
            The attributes by name, copied; and as "options" what the optimizer has of the options
            that the schedule sets, a dict for each param group.

        >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5)
        >>> schedule = rg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> schedule.step(); schedule.state_dict()["last_epoch"]
        1
        """
        others = ("optimizer", "lr_lambdas", "scale_fn", "schedulers", "_is_initial")
        state = {k: v for k, v in vars(self).items() if k not in others}
        # What the optimizer has, not what this schedule set: another one may have acted since.
        groups = self.optimizer.param_groups
        state["options"] = [{k: group[k] for k in self._options_set()} for group in groups]
        return copy.deepcopy(state)

    def _options_set(self) -> tuple[str, ...]:
        """Return the options of a param group that this schedule sets."""
        return ("lr",)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from where `state_dict` was taken, with the rates that the optimizer had then.

        Args:
            state_dict: what `state_dict` returned.

        Raises:
            ValueError: if it is no dict, or of another kind of schedule or number of param groups.
                Nothing is changed then.

        >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.5)
        >>> old, new = (rg.optim.lr_scheduler.StepLR(optimizer, 10) for _ in range(2))
        >>> old.step(); new.load_state_dict(old.state_dict()); new.last_epoch
        1
        """
        self._check_state(state_dict)
        self._take_state(state_dict)

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        """Raise ValueError for a state that cannot be taken."""
        if not isinstance(state_dict, Mapping):
            raise ValueError(f"a state_dict is a dict, not {type(state_dict).__name__}")
        if differ := sorted(self.state_dict().keys() ^ state_dict.keys()):
            raise ValueError(f"no state_dict of {type(self).__name__}: {', '.join(differ)}")
        there, here = len(state_dict["options"]), len(self.optimizer.param_groups)
        if there != here:
            raise ValueError(f"a state of {there} param groups, here are {here}")

    def _take_state(self, state_dict: Mapping[str, Any]) -> None:
        """Take a state that was checked."""
        others = ("options", "schedules")
        vars(self).update({k: copy.deepcopy(v) for k, v in state_dict.items() if k not in others})
        for group, values in zip(self.optimizer.param_groups, state_dict["options"], strict=True):
            # JSON has no tuples, and betas are one.
            group.update({k: tuple(v) if k == "betas" else v for k, v in values.items()})

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last_epoch={self.last_epoch}, lr={self._last_lr})"


def groups_of(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Return the param groups of an optimizer; TypeError for something else."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"a schedule takes an Optimizer, not {type(optimizer).__name__}")
    return optimizer.param_groups


def one_each(name: str, value: Any, groups: Sequence[Any], what: str = "entries") -> list[Any]:
    """Return an argument as one value for each param group; ValueError for too many or too few."""
    values = list(value) if isinstance(value, Iterable) else [value] * len(groups)
    if len(values) != len(groups):
        raise ValueError(f"{name} has {len(values)} {what} for {len(groups)} param groups")
    return values


def along_cosine(start: float, end: float, part: float) -> float:
    """Return what lies between `start` (part 0) and `end` (part 1) on half a cosine wave."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def along_line(start: float, end: float, part: float) -> float:
    """Return what lies between `start` (part 0) and `end` (part 1) on a line."""
    return start + (end - start) * part
