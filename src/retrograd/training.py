"""A training loop: validation, callbacks, early stopping, checkpoints that go on exactly."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.core import Array, Tensor
from retrograd.io import load, save
from retrograd.mode import no_grad
from retrograd.nn.module import Module
from retrograd.nn.utils import clip_grad_norm_
from retrograd.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from retrograd.optim.optimizer import Optimizer
from retrograd.random import generator

Loss = Callable[[Any, Any], Tensor]
Metric = Callable[[Any, Any], Any]


class History(dict[str, list[float]]):
    """What was measured after each epoch: "loss", "lr", "val_loss" and "val_" metrics."""

    @property
    def epochs(self) -> int:
        """Number of epochs that were measured."""
        return len(self.get("loss", ()))

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw each quantity over the epochs, training and validation in one panel.

        Returns the matplotlib figure, and writes it to `path` if given. Raises ImportError
        without matplotlib.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            message = "history.plot() needs matplotlib: python -m pip install matplotlib"
            raise ImportError(message) from error
        titles = list(dict.fromkeys(name.removeprefix("val_") for name in self))
        figure = Figure(figsize=(4.5 * len(titles), 3.5), layout="constrained")
        for i, title in enumerate(titles, 1):
            axes = figure.add_subplot(1, len(titles), i)
            for name, label in ((title, "training"), (f"val_{title}", "validation")):
                if name in self:
                    axes.plot(range(1, len(self[name]) + 1), self[name], label=label)
            axes.set(title=title, xlabel="epoch", ylabel=title)
            axes.grid(alpha=0.3)
            if title != "lr":
                axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure


_NUMBERS = ("epoch", "update", "best", "best_epoch", "stop", "_seen", "_sum")
_PARTS = ("model", "optimizer", "scheduler", "data")


class Training:
    """A run of `fit` as callbacks see it: read anything, set `stop` to end after this epoch."""

    def __init__(
        self, model: Module, data: Any, optimizer: Optimizer, scheduler: LRScheduler | None,
        rngs: Mapping[str, np.random.Generator], validation: Any = None,
    ) -> None:  # fmt: skip
        self.model, self.data, self.optimizer, self.scheduler = model, data, optimizer, scheduler
        self.history = History()
        self.epoch = 0  # epochs that are complete
        self.update = 0  # updates of the parameters, in all epochs
        self.best, self.best_epoch = math.inf, 0
        self.best_weights: dict[str, Array] | None = None
        self.stop = False
        self._seen, self._sum = 0, 0.0  # samples of the present epoch, and the sum of their losses
        # every generator that the run may draw from, each once, by a name that stays the same
        parts = {"data": getattr(data, "rng", None), "validation": getattr(validation, "rng", None)}
        for at, module in model.named_modules():
            parts |= {f"model.{at}.{name}": value for name, value in vars(module).items()}
        found = {"default": generator(), **{f"rngs.{name}": rng for name, rng in rngs.items()}}
        found |= {k: rng for k, rng in parts.items() if isinstance(rng, np.random.Generator)}
        first = {id(rng): name for name, rng in reversed(found.items())}
        self._rngs = {name: found[name] for name in first.values()}

    def within_epoch(self) -> bool:
        """Tell whether batches of the present epoch are left."""
        return bool(self.data.state_dict()["position"] < len(self.data))

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on."""
        parts = {name: getattr(self, name) for name in _PARTS}
        return {
            **{k: v.state_dict() if hasattr(v, "state_dict") else None for k, v in parts.items()},
            "rngs": {name: rng.bit_generator.state for name, rng in self._rngs.items()},
            "history": {name: list(values) for name, values in self.history.items()},
            "best_weights": self.best_weights,
            **{name: getattr(self, name) for name in _NUMBERS},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken; ValueError if it is of a run of other parts."""
        try:
            numbers = {name: state_dict[name] for name in _NUMBERS}
            rngs, history = dict(state_dict["rngs"]), History(state_dict["history"])
            parts = [(name, getattr(self, name), state_dict[name]) for name in _PARTS]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("this is no checkpoint of rg.fit") from error
        names, here = sorted(rngs), sorted(self._rngs)
        if names != here:
            raise ValueError(f"the checkpoint has the generators {names}, here are {here}")
        for name, part, state in parts:
            if hasattr(part, "state_dict") != (state is not None):
                raise ValueError(f"the state of {name} is in one of checkpoint and run only")
        for _, part, state in parts:
            if state is not None:
                part.load_state_dict(state)
        for name, rng in self._rngs.items():
            rng.bit_generator.state = rngs[name]
        vars(self).update(numbers, history=history, best_weights=state_dict["best_weights"])


def fit(
    model: Module, data: Iterable[Any], loss: Loss, optimizer: Optimizer, *, epochs: int,
    validation: Iterable[Any] | None = None, metrics: Mapping[str, Metric] | None = None,
    scheduler: LRScheduler | None = None, step_scheduler: str = "epoch",
    clip_norm: float | None = None, callbacks: Sequence[Callable[[Training], Any]] = (),
    patience: int | None = None, keep_best: bool = False,
    checkpoint: str | os.PathLike[str] | None = None, save_every: int | None = None,
    resume: bool = False, rngs: Mapping[str, np.random.Generator] | None = None,
    compile: bool = False, progress: bool = True,
) -> History:  # fmt: skip
    """Train `model` for `epochs` passes over `data`; return what was measured after each.

    `data` and `validation` give batches `(*inputs, target)`, as a `DataLoader` does; the model is
    called with the inputs, and `loss(output, target)` gives a number to lower. All figures are
    means over samples. Each of the `metrics` is called like the loss, on validation batches.

    - `scheduler` steps after each "epoch" or each "update"; a ReduceLROnPlateau gets the
      validation loss, or without validation the training loss, as early stopping does.
    - `clip_norm` scales the gradients down to this norm, all parameters together.
    - `callbacks` are called with the `Training` after each epoch.
    - `patience` ends the run when that loss has not fallen for as many epochs; `keep_best` leaves
      the model with the weights of the best epoch.
    - `checkpoint` names a file (`.npz`, `.safetensors`) to save the run in after each epoch, and
      after every `save_every` updates. With `resume` the run goes on from there if the file is
      there, and is from then on bit for bit the same as one that was never interrupted:
      generators, those of the library, the model and the data, are part of it. Others that the
      run draws from are given as `rngs`, by name.
    - `compile` runs each update as a NumPy program.
    - `progress` shows a bar if tqdm is there.

    Raises ValueError or TypeError before training for arguments that do not fit.

    >>> x = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> data = rg.data.DataLoader(rg.data.TensorDataset(x, 3 * x + 1), 8, shuffle=True, rng=0)
    >>> model = rg.nn.Linear(1, 1, rng=0)
    >>> optimizer = rg.optim.SGD(model.parameters(), lr=0.1)
    >>> history = rg.fit(model, data, rg.nn.MSELoss(), optimizer, epochs=30)
    >>> history.epochs, history["loss"][-1] < 1e-3
    (30, True)
    """
    _check(model, data, loss, optimizer, epochs, validation, step_scheduler, save_every)
    if (save_every or resume) and checkpoint is None:
        raise ValueError("save_every and resume need checkpoint=, the name of the file")
    run = Training(model, data, optimizer, scheduler, rngs or {}, validation)
    if resume and checkpoint is not None and os.path.exists(checkpoint):
        run.load_state_dict(load(checkpoint))

    def update(inputs: list[Any], target: Any) -> Any:
        # a closure, since LBFGS evaluates the loss several times
        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss(model(*inputs), target)
            value.backward()
            if clip_norm is not None:
                clip_grad_norm_(model.parameters(), clip_norm)
            return value

        return optimizer.step(closure)

    if compile:
        from retrograd.compiler.step import CompiledStep

        update = CompiledStep(update, replay_first=True)
    with _bar(epochs, data, run.update) if progress else contextlib.nullcontext() as bar:
        while run.epoch < epochs and not run.stop:
            model.train()
            for inputs, target in _batches(data):
                value = update(inputs, target).item()
                run.update += 1
                run._seen += len(target)
                run._sum += value * len(target)
                if scheduler is not None and step_scheduler == "update":
                    scheduler.step()
                if bar is not None and not bar.disable:
                    bar.set_postfix_str(f"epoch {run.epoch + 1}, loss {value:.4g}", refresh=False)
                    bar.update()
                due = save_every and run.update % save_every == 0 and run.within_epoch()
                if due and checkpoint is not None:
                    save(run.state_dict(), checkpoint)
            if not run._seen:
                raise ValueError("the data has no batches")
            _end_epoch(run, loss, validation, metrics or {}, step_scheduler, patience, keep_best)
            for callback in callbacks:
                callback(run)
            if checkpoint is not None:
                save(run.state_dict(), checkpoint)
    if keep_best and run.best_weights is not None:
        model.load_state_dict(run.best_weights)
    return run.history


def _check(
    model: Any, data: Any, loss: Any, optimizer: Any, epochs: Any, validation: Any,
    step_scheduler: str, save_every: Any,
) -> None:  # fmt: skip
    if not isinstance(model, Module):
        raise TypeError(f"fit trains a Module, not {type(model).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit takes an Optimizer, not {type(optimizer).__name__}")
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if trained.isdisjoint(map(id, model.parameters())):
        raise ValueError("the optimizer has no parameter of the model: pass model.parameters()")
    if isinstance(loss, type) or not callable(loss):
        got = f"a class: pass {loss.__name__}()" if isinstance(loss, type) else type(loss).__name__
        raise TypeError(f"loss is a function of output and target, not {got}")
    for name, batches in (("data", data), ("validation", validation)):
        if isinstance(batches, Iterator):
            raise TypeError(f"{name} is iterated every epoch: pass a DataLoader or a list")
        given = batches is not None
        if given and (
            isinstance(batches, (np.ndarray, Tensor)) or not hasattr(batches, "__iter__")
        ):
            raise TypeError(
                f"{name} gives batches (inputs, target), {type(batches).__name__} does not: use "
                "rg.data.DataLoader(rg.data.TensorDataset(x, y), batch_size)"
            )
    for name, count in (("epochs", epochs), ("save_every", save_every)):
        if count is not None and not (isinstance(count, (int, np.integer)) and count >= 1):
            raise ValueError(f"{name} must be a whole number above 0, not {count!r}")
    if step_scheduler not in ("epoch", "update"):
        raise ValueError(f'step_scheduler is "epoch" or "update", not {step_scheduler!r}')
    if save_every and not hasattr(data, "state_dict"):
        raise ValueError("save_every saves within an epoch: data must be a DataLoader")


def _batches(data: Iterable[Any]) -> Iterator[tuple[list[Any], Any]]:
    for batch in data:
        if not (isinstance(batch, (tuple, list)) and len(batch) >= 2):
            raise TypeError(f"a batch is a tuple (*inputs, target), not {type(batch).__name__}")
        *inputs, target = batch
        yield inputs, target


def _end_epoch(
    run: Training, loss: Loss, validation: Iterable[Any] | None, metrics: Mapping[str, Metric],
    step_scheduler: str, patience: int | None, keep_best: bool,
) -> None:  # fmt: skip
    """Measure, step the schedule, and decide whether this is the best epoch and the last one."""
    measured = {"loss": run._sum / run._seen}
    if validation is not None:
        found = evaluate(run.model, validation, {"loss": loss, **metrics})
        measured |= {f"val_{name}": value for name, value in found.items()}
    measured["lr"] = float(run.optimizer.param_groups[0]["lr"])
    for name, value in measured.items():
        run.history.setdefault(name, []).append(value)
    watched = measured.get("val_loss", measured["loss"])
    run.epoch += 1
    run._seen, run._sum = 0, 0.0
    if isinstance(run.scheduler, ReduceLROnPlateau):
        run.scheduler.step(watched)
    elif run.scheduler is not None and step_scheduler == "epoch":
        run.scheduler.step()
    if watched < run.best:
        run.best, run.best_epoch = watched, run.epoch
        if keep_best:
            run.best_weights = run.model.state_dict()
    run.stop = run.stop or (patience is not None and run.epoch - run.best_epoch >= patience)


def evaluate(model: Module, data: Iterable[Any], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Return the mean over samples of each metric, with the model in evaluation mode.

    `data` gives batches `(*inputs, target)`; a metric takes output and target, as Tensors or
    arrays, and returns the mean over its batch.

    >>> data = [(np.ones((2, 1)), np.ones((2, 1))), (np.zeros((1, 1)), np.ones((1, 1)))]
    >>> rg.evaluate(rg.nn.Identity(), data, {"error": lambda out, y: abs(out - y).mean()})
    {'error': 0.3333333333333333}
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    sums, count = dict.fromkeys(metrics, 0.0), 0
    try:
        with no_grad():
            for inputs, target in _batches(data):
                output = model(*inputs)
                count += len(target)
                for name, metric in metrics.items():
                    sums[name] += float(metric(output, target)) * len(target)
    finally:
        for module, mode in modes:
            module.training = mode
    if not count:
        raise ValueError("the data to evaluate on has no batches")
    return {name: total / count for name, total in sums.items()}


def _bar(epochs: int, data: Any, done: int) -> Any:
    """Return a context with the bar, or with None."""
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return contextlib.nullcontext()
    total = epochs * len(data) if hasattr(data, "__len__") else None
    # disable=None: no bar in a log file; a delay: none for a short run
    return tqdm(total=total, initial=done, unit="update", leave=False, delay=1.0, disable=None)
