"""A training loop with validation, early stopping and exact resume."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.checks import ensure, one_of, whole
from retrograd.engine import Array, Tensor
from retrograd.io.saving import load, resolve, save
from retrograd.nn.module import Module, evaluating, once
from retrograd.nn.utils import clip_grad_norm_
from retrograd.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from retrograd.optim.optimizer import Optimizer
from retrograd.random import generator, restore

Loss = Callable[[Any, Any], Tensor]
Metric = Callable[[Any, Any], Any]


class History(dict[str, list[float]]):
    """What was measured after each epoch: "loss", "lr", "val_loss" and "val_" metrics."""

    @property
    def epochs(self) -> int:
        """How many epochs were measured."""
        return len(self.get("loss", ()))

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return a matplotlib figure of all over the epochs; write it to `path`."""
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("a plot needs matplotlib: pip install matplotlib") from error
        titles = list(dict.fromkeys(name.removeprefix("val_") for name in self))
        figure = Figure(figsize=(4.5 * len(titles), 3.5), layout="constrained")
        for i, title in enumerate(titles, 1):
            axes = figure.add_subplot(1, len(titles), i, title=title, xlabel="epoch", ylabel=title)
            for name, label in ((title, "training"), (f"val_{title}", "validation")):
                if name in self:
                    axes.plot(range(1, len(self[name]) + 1), self[name], label=label)
            axes.grid(alpha=0.3)
            if title != "lr":
                axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure


_PLAIN = ("epoch", "update", "best", "best_epoch", "best_weights", "stop", "_seen", "_sum")
_PARTS = ("model", "optimizer", "scheduler", "data")


class Training:
    """A run of `fit` as callbacks see it: set `stop` to end it after this epoch."""

    def __init__(
        self, model: Module, data: Any, optimizer: Optimizer, scheduler: LRScheduler | None,
        rngs: Mapping[str, np.random.Generator], validation: Any = None,
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
        self.model, self.data, self.optimizer, self.scheduler = model, data, optimizer, scheduler
        self.history = History()
        self.epoch = self.update = 0  # how many are complete, in all
        self.best, self.best_epoch = np.inf, 0
        self.best_weights: dict[str, Array] | None = None
        self.stop = False
        self._seen, self._sum = 0, 0.0  # samples of this epoch, and the sum of their losses
        # what the run may draw from
        found: dict[str, Any] = {"default": generator()}
        found |= {f"rngs.{name}": rng for name, rng in rngs.items()}
        found |= {"data": getattr(data, "rng", 0), "validation": getattr(validation, "rng", 0)}
        for at, module in model.named_modules():
            found |= {f"model.{at}.{name}": value for name, value in vars(module).items()}
        drawing = ((name, r) for name, r in found.items() if isinstance(r, np.random.Generator))
        self._rngs = dict(once(drawing))

    def within_epoch(self) -> bool:
        """Tell whether the epoch has further batches."""
        return bool(self.data.state_dict()["position"] < len(self.data))

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on."""
        state = {name: getattr(self, name) for name in (*_PLAIN, *_PARTS)}
        for name in _PARTS:
            state[name] = state[name].state_dict() if hasattr(state[name], "state_dict") else None
        state["rngs"] = {name: rng.bit_generator.state for name, rng in self._rngs.items()}
        state["history"] = {name: list(values) for name, values in self.history.items()}
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken; ValueError for a run of other parts."""
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
            self._take(there)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            self._take(here)
            raise ValueError(f"the checkpoint is of another run: {error}") from error
        vars(self).update({name: there[name] for name in _PLAIN})
        self.history = History(there["history"])

    def _take(self, state: Mapping[str, Any]) -> None:
        for name in _PARTS:
            if state[name] is not None:
                getattr(self, name).load_state_dict(state[name])
        for name, rng in self._rngs.items():
            restore(rng, state["rngs"][name])

    def _end_epoch(
        self, measured: dict[str, float], step: bool, patience: int | None, keep_best: bool
    ) -> None:
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

    `data` and `validation` give batches `(*inputs, target)`, as a `DataLoader` does, for
    `loss(model(*inputs), target)`, validation for `metrics` too: means over samples. Raises
    ValueError or TypeError for arguments that do not fit.

    - `scheduler` steps after each "epoch" or "update"; a ReduceLROnPlateau watches the loss on
      validation, else in training, as `patience` and `keep_best` do.
    - `clip_norm` bounds the norm of all gradients together.
    - `callbacks` are called with the `Training` after each epoch.
    - `patience` ends the run after so many epochs without a new best; `keep_best` leaves the model
      with the best weights.
    - `checkpoint` is a file for `rg.save`, after each epoch and every `save_every` updates. With
      `resume` the run goes on from it, if it is there, bit for bit as if never interrupted, with
      the generators of library, model, data and `rngs`.
    - `compile` runs updates as NumPy programs; `progress` shows a bar if tqdm is there.

    >>> x = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> data = rg.data.DataLoader(rg.data.TensorDataset(x, 3 * x + 1), 8)
    >>> model = rg.nn.Linear(1, 1, rng=0)
    >>> optimizer = rg.optim.SGD(model.parameters(), lr=0.1)
    >>> history = rg.fit(model, data, rg.nn.MSELoss(), optimizer, epochs=30)
    >>> history.epochs, history["loss"][-1] < 1e-3
    (30, True)
    """
    run = Training(model, data, optimizer, scheduler, rngs or {}, validation)
    hint = f": pass {loss.__name__}()" if isinstance(loss, type) else ""
    if hint or not callable(loss):
        raise TypeError(f"loss is a function of output and target, not {loss!r}{hint}")
    one_of("step_scheduler", step_scheduler, "epoch", "update", verb="is")
    if scheduler is not None:
        if not isinstance(scheduler, LRScheduler):
            raise TypeError(f"fit takes a schedule, not {type(scheduler).__name__}")
        if scheduler.optimizer is not optimizer:
            raise ValueError("the scheduler is a schedule of another optimizer")
        if isinstance(scheduler, ReduceLROnPlateau) and step_scheduler == "update":
            raise ValueError("ReduceLROnPlateau steps after an epoch, which is measured")
    if not isinstance(metrics, Mapping | None):
        raise TypeError(f"metrics is a dict of names and functions, not {type(metrics).__name__}")
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise TypeError(f"callbacks is a list of functions, not {callbacks!r}")
    ensure(clip_norm is None or clip_norm > 0, "clip_norm", "above 0", clip_norm)
    whole(epochs=epochs, **({} if patience is None else {"patience": patience}))
    if checkpoint:
        os.stat(resolve(checkpoint)[0].parent)  # a missing folder is an error now
    if save_every is not None:
        whole(save_every=save_every)
        if not hasattr(data, "state_dict"):
            raise ValueError("save_every saves within an epoch: data must be a DataLoader")
    if (save_every or resume) and not checkpoint:
        raise ValueError("save_every and resume need checkpoint=, the name of the file")
    if resume and checkpoint and os.path.exists(checkpoint):
        run.load_state_dict(load(checkpoint))

    def update(inputs: list[Any], target: Any) -> Any:
        # called several times by LBFGS
        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss(model(*inputs), target)
            value.backward()
            if clip_norm is not None:
                clip_grad_norm_(model.parameters(), clip_norm)
            return value

        return optimizer.step(closure)

    if compile:
        from retrograd.compiler import CompiledStep

        update = CompiledStep(update, replay_first=True)
    with _bar(progress, epochs, data, run.update) as bar:
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
                due = save_every and run.update % save_every == 0
                if checkpoint and due and run.within_epoch():
                    save(run.state_dict(), checkpoint)
            if not run._seen:
                raise ValueError("the data has no batches")
            measured = {"loss": run._sum / run._seen}
            if validation is not None:
                found = evaluate(model, validation, {"loss": loss, **(metrics or {})})
                measured |= {f"val_{name}": value for name, value in found.items()}
            run._end_epoch(measured, step_scheduler == "epoch", patience, keep_best)
            for callback in callbacks:
                callback(run)
            if checkpoint:
                save(run.state_dict(), checkpoint)
    if keep_best and run.best_weights is not None:
        model.load_state_dict(run.best_weights)
    return run.history


def _batches(data: Iterable[Any]) -> Iterator[tuple[list[Any], Any]]:
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise TypeError(f"a batch is a tuple (*inputs, target), not {type(batch).__name__}")
        *inputs, target = batch
        yield inputs, target


def evaluate(model: Module, data: Iterable[Any], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Return the mean over samples of each metric, with the model in evaluation mode.

    `data` gives batches `(*inputs, target)`, a metric of output and target the mean over one.

    >>> data = [(np.ones(3), np.ones(3)), (np.zeros(1), np.ones(1))]
    >>> rg.evaluate(rg.nn.Identity(), data, {"error": lambda out, y: abs(out - y).mean()})
    {'error': 0.25}
    """
    sums, count = dict.fromkeys(metrics, 0.0), 0
    with evaluating(model):
        for inputs, target in _batches(data):
            output = model(*inputs)
            count += len(target)
            for name, metric in metrics.items():
                sums[name] += float(metric(output, target)) * len(target)
    if not count:
        raise ValueError("the data to evaluate on has no batches")
    return {name: total / count for name, total in sums.items()}


def _bar(progress: bool, epochs: int, data: Any, done: int) -> Any:
    if progress:
        with contextlib.suppress(ImportError):
            from tqdm import tqdm  # type: ignore[import-untyped]

            total = epochs * len(data) if hasattr(data, "__len__") else None
            # disable=None: no bar in a log file
            return tqdm(
                total=total, initial=done, unit="update", leave=False, delay=1, disable=None
            )
    return contextlib.nullcontext()
