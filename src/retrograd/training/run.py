"""A run of `fit`: what callbacks see of it, and what a checkpoint has of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from retrograd.engine import Array, Tensor
from retrograd.nn.module import Module, once
from retrograd.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from retrograd.optim.optimizer import Optimizer
from retrograd.random import generator, restore
from retrograd.training.history import History

# What a checkpoint has as it is, and what has a state_dict of its own.
_PLAIN = ("epoch", "update", "best", "best_epoch", "best_weights", "stop", "_seen", "_sum")
_PARTS = ("model", "optimizer", "scheduler", "data")


class Training:
    """A run of `fit` as callbacks see it: read anything, set `stop` to end it after this epoch.

    Args:
        model: the model.
        data: batches `(*inputs, target)`, iterated every epoch.
        optimizer: the optimizer of the model's parameters.
        scheduler: the schedule of its rates, or None.
        rngs: generators that the run draws from, by name, beside those of the library, the model
            and the data.
        validation: further batches, or None.

    Attributes:
        model: the model.
        data: the batches to train on.
        optimizer: the optimizer.
        scheduler: the schedule, or None.
        history: what was measured, a `History`.
        epoch: how many epochs are complete.
        update: how many updates there were, in all epochs.
        best: the lowest loss, of validation if there is some.
        best_epoch: the epoch that had it, 0 before the first.
        best_weights: the model's `state_dict()` then, with `keep_best`; else None.
        stop: whether the run ends after this epoch.

    Raises:
        TypeError: if an argument is something else.
        ValueError: if the optimizer has no parameter of the model.

    >>> def stop_when_good(run):
    ...     run.stop = run.history["loss"][-1] < 0.1
    >>> model = rg.nn.Linear(1, 1)
    >>> x = np.ones((4, 1))
    >>> history = rg.fit(
    ...     model, [(x, 2 * x)], rg.nn.MSELoss(), rg.optim.SGD(model.parameters(), lr=0.1),
    ...     epochs=1000, callbacks=[stop_when_good],
    ... )
    >>> history.epochs < 1000
    True
    """

    def __init__(
        self, model: Module, data: Iterable[Any], optimizer: Optimizer,
        scheduler: LRScheduler | None, rngs: Mapping[str, np.random.Generator],
        validation: Iterable[Any] | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(model, Module):
            raise TypeError(f"fit trains a Module, not {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"fit takes an Optimizer, not {type(optimizer).__name__}")
        for name, rng in (rngs if isinstance(rngs, Mapping) else {"rngs": rngs}).items():
            if not isinstance(rng, np.random.Generator):
                raise TypeError(f"rngs is a dict of Generators, {name} is {type(rng).__name__}")
        trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if trained.isdisjoint(map(id, model.parameters())):
            raise ValueError("the optimizer has no parameter of the model: pass model.parameters()")
        for name, batches in {"data": data, "validation": validation}.items():
            if not isinstance(batches, Iterable | None) or isinstance(
                batches, (Iterator, np.ndarray, Tensor)
            ):
                raise TypeError(
                    f"{name} is iterated every epoch, not {type(batches).__name__}: {name} gives "
                    "batches (inputs, target), as DataLoader(TensorDataset(x, y), 32) does"
                )
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.data: Any = data
        self.history = History()
        self.epoch = self.update = 0
        self.best, self.best_epoch = math.inf, 0
        self.best_weights: dict[str, Array] | None = None
        self.stop = False
        self._seen, self._sum = 0, 0.0  # samples of this epoch, and the sum of their losses
        self._rngs = _generators(model, data, validation, rngs)

    def __repr__(self) -> str:
        best = f"{self.best:.4g} (epoch {self.best_epoch})" if self.best_epoch else "none yet"
        measured = {name: values[-1] for name, values in self.history.items()}
        last = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
        return (
            f"Training(epoch={self.epoch}, update={self.update}, history: {last or 'empty'}, "
            f"best={best}, stop={self.stop}; model, optimizer, scheduler, data, best_weights)"
        )

    def within_epoch(self) -> bool:
        """Tell whether the epoch has further batches; for data that tells how far it is.

        Returns:
            True before the last batch of an epoch was handed out.

        >>> x = np.ones((4, 1))
        >>> data = rg.data.DataLoader(rg.data.TensorDataset(x, x), batch_size=2)
        >>> model = rg.nn.Linear(1, 1)
        >>> run = rg.training.Training(model, data, rg.optim.SGD(model.parameters()), None, {})
        >>> for _ in data:
        ...     print(run.within_epoch())
        True
        False
        """
        return bool(self.data.state_dict()["position"] < len(self.data))

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on, as `fit` saves it.

        Returns:
            The states of model, optimizer, schedule, data and generators, the history and the
            counts, by name.

        >>> model = rg.nn.Linear(1, 1)
        >>> optimizer = rg.optim.SGD(model.parameters())
        >>> run = rg.training.Training(model, [], optimizer, None, {})
        >>> sorted(run.state_dict())[-4:]
        ['rngs', 'scheduler', 'stop', 'update']
        """
        state = {name: getattr(self, name) for name in (*_PLAIN, *_PARTS)}
        for name in _PARTS:
            state[name] = state[name].state_dict() if hasattr(state[name], "state_dict") else None
        state["rngs"] = {name: rng.bit_generator.state for name, rng in self._rngs.items()}
        state["history"] = {name: list(values) for name, values in self.history.items()}
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where a state was taken.

        Args:
            state_dict: what `state_dict` returned, of a run of the same parts.

        Raises:
            ValueError: if it is of a run of other parts, or no state of a run. Nothing is changed
                then.

        >>> model = rg.nn.Linear(1, 1)
        >>> optimizer = rg.optim.SGD(model.parameters())
        >>> run, other = (rg.training.Training(model, [], optimizer, None, {}) for _ in range(2))
        >>> run.epoch = 3
        >>> other.load_state_dict(run.state_dict())
        >>> other.epoch
        3
        """
        here = self.state_dict()
        try:
            there = {name: state_dict[name] for name in here}
            rngs, own = sorted(there["rngs"]), sorted(here["rngs"])
        except (KeyError, TypeError) as error:
            raise ValueError("this is no checkpoint of rg.fit") from error
        if rngs != own:
            raise ValueError(f"the checkpoint has the generators {rngs}, here are {own}")
        for name in _PARTS:
            if (there[name] is None) != (here[name] is None):
                raise ValueError(f"only one of checkpoint and run has the state of {name}")
        try:
            self._load_parts(there)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            self._load_parts(here)
            raise ValueError(f"the checkpoint is of another run: {error}") from error
        vars(self).update({name: there[name] for name in _PLAIN})
        self.history = History(there["history"])

    def _load_parts(self, state: Mapping[str, Any]) -> None:
        for name in _PARTS:
            if state[name] is not None:
                getattr(self, name).load_state_dict(state[name])
        for name, rng in self._rngs.items():
            restore(rng, state["rngs"][name])

    # What `fit` tells the run

    def _count_update(self, loss: float, samples: int) -> None:
        """Take note of an update, with the loss before it, the mean over so many samples."""
        self.update += 1
        self._seen += samples
        self._sum += loss * samples

    def _mean_loss(self, samples: float, total: float) -> float:
        """Return the mean loss of so many samples, given its sum; ValueError if there are none."""
        if not samples:
            raise ValueError("the data has no batches")
        return total / samples

    def _end_epoch(
        self, measured: dict[str, float], step: bool, patience: int | None, keep_best: bool
    ) -> None:
        """Take note of what was measured, step the schedule, and look whether it was the best.

        Args:
            measured: "loss" and, with validation, "val_loss" and metrics.
            step: whether the schedule steps after an epoch.
            patience: stop after so many epochs without a new best; None for never.
            keep_best: whether the weights of the best epoch are kept.
        """
        measured["lr"] = float(self.optimizer.param_groups[0]["lr"])
        for name, value in measured.items():
            self.history.setdefault(name, []).append(value)
        watched = measured.get("val_loss", measured["loss"])
        self.epoch += 1
        self._seen, self._sum = 0, 0.0
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(watched)
        elif self.scheduler is not None and step:
            self.scheduler.step()
        if watched < self.best:
            self.best, self.best_epoch = watched, self.epoch
            if keep_best:
                self.best_weights = self.model.state_dict()
        if patience is not None and self.epoch - self.best_epoch >= patience:
            self.stop = True


def _generators(
    model: Module, data: Any, validation: Any, rngs: Mapping[str, np.random.Generator]
) -> dict[str, np.random.Generator]:
    """Return what the run may draw from, each generator once, by names that stay the same."""
    found: dict[str, Any] = {"default": generator()}
    found |= {f"rngs.{name}": rng for name, rng in rngs.items()}
    found |= {"data": getattr(data, "rng", 0), "validation": getattr(validation, "rng", 0)}
    for at, module in model.named_modules():
        found |= {f"model.{at}.{name}": value for name, value in vars(module).items()}
    drawing = ((name, r) for name, r in found.items() if isinstance(r, np.random.Generator))
    return dict(once(drawing))
