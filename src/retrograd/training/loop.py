"""`fit`: the loop itself."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from retrograd.checks import ensure, one_of, whole
from retrograd.engine import Tensor
from retrograd.io.saving import resolve
from retrograd.nn.module import Module
from retrograd.nn.utils import clip_grad_norm_
from retrograd.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from retrograd.optim.optimizer import Optimizer
from retrograd.parallel.group import NotFiniteError
from retrograd.parallel.optimizer import DataParallel
from retrograd.training.evaluation import Metric, add_up, inputs_and_targets, means
from retrograd.training.history import History
from retrograd.training.ranks import Ranks, parallel_update
from retrograd.training.run import Training
from retrograd.training.safeguard import Safeguard

# A function of output and target that returns a number to lower, the mean over a batch.
Loss: TypeAlias = Callable[[Any, Any], Tensor]
Path: TypeAlias = str | os.PathLike[str]


def fit(
    model: Module, data: Iterable[Any], loss: Loss, optimizer: Optimizer, *, epochs: int,
    validation: Iterable[Any] | None = None, metrics: Mapping[str, Metric] | None = None,
    scheduler: LRScheduler | None = None, step_scheduler: str = "epoch",
    clip_norm: float | None = None, callbacks: Sequence[Callable[[Training], Any]] = (),
    patience: int | None = None, keep_best: bool = False, checkpoint: Path | None = None,
    save_every: int | None = None, resume: bool = False,
    rngs: Mapping[str, np.random.Generator] | None = None, compile: bool = False,
    progress: bool = True,
) -> History:  # fmt: skip
    """Train a model: for each batch an update by the gradients of `loss(model(*inputs), target)`.

    With a `rg.parallel.DataParallel` as the optimizer, several ranks train together, each on its
    part of the batches: the `DataLoader` has an `rg.parallel.DistributedSampler`. What is measured
    is that of all ranks. The first rank alone shows the bar, saves, and calls the callbacks; what
    these change, the others take over. A run may be resumed on another number of ranks.

    All that is measured is a mean over samples. Where a loss is watched, by a ReduceLROnPlateau,
    `patience` or `keep_best`, it is that of the validation, or without it that of the training.

    Args:
        model: the model, a `Module`.
        data: batches `(*inputs, target)`, iterated every epoch: a `DataLoader`, or a list.
        loss: a function of output and target that returns the mean over its batch, such as
            `rg.nn.MSELoss()`.
        optimizer: an optimizer of the model's parameters.
        epochs: how many times `data` is gone through, with those before a `resume`.
        validation: batches that are only measured, after each epoch.
        metrics: functions like `loss`, by name, that are measured on `validation` too.
        scheduler: a schedule of this optimizer's learning rate.
        step_scheduler: when the schedule steps: after each "epoch" (default) or "update".
        clip_norm: scales the gradients, all together, down to this norm (default: no bound).
        callbacks: functions that are called after each epoch with the run so far, a `Training`:
            its `history`, `epoch`, `update`, `model`, `optimizer`, `scheduler`, `data`, `best` and
            `best_epoch`; `run.stop = True` ends it.
        patience: ends the run after so many epochs without a new best (default: never).
        keep_best: whether the model gets the weights of its best epoch at the end, not those of
            the last (default False).
        checkpoint: a file, `.npz` or `.safetensors`, that the run is saved to after each epoch.
        save_every: saves it after so many updates too; then `data` must be a `DataLoader`.
        resume: goes on from the checkpoint, if it is there, as if the run had never been
            interrupted: bit for bit, with the generators of the library, the model, the data and
            `rngs` (default False).
        rngs: other generators that the run draws from, by name.
        compile: whether updates run as NumPy programs (default False). They may round differently.
        progress: whether to show a bar, in a terminal or a notebook, if tqdm is installed
            (default True).

    Returns:
        What was measured after each epoch, a `History`: `history.plot()` draws it, and a notebook
        shows it as a picture.

    Raises:
        TypeError: if an argument is of another kind, or a batch no tuple `(*inputs, target)`.
        ValueError: if an argument cannot work, if there are no batches, or if the checkpoint is of
            another run. Where a loss, or what an update makes of the weights, is not finite, too:
            the model and the optimizer then are what they were before that batch.
        OSError: if the checkpoint cannot be written.

    >>> x = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> data = rg.data.DataLoader(rg.data.TensorDataset(x, 3 * x + 1), 8)
    >>> model = rg.nn.Linear(1, 1, rng=0)
    >>> optimizer = rg.optim.SGD(model.parameters(), lr=0.1)
    >>> history = rg.fit(model, data, rg.nn.MSELoss(), optimizer, epochs=30)
    >>> history.epochs, history["loss"][-1] < 1e-3
    (30, True)
    """
    run = Training(model, data, optimizer, scheduler, rngs or {}, validation)
    _check_functions(loss, metrics, callbacks)
    _check_schedule(scheduler, step_scheduler, optimizer)
    ensure(clip_norm is None or clip_norm > 0, "clip_norm", "above 0", clip_norm)
    whole(epochs=epochs)
    if patience is not None:
        whole(patience=patience)
    _check_saving(checkpoint, save_every, resume, data)
    ranks = Ranks(run)
    ranks.check(
        epochs=epochs, validation=validation, metrics=[*(metrics or ())], scheduler=scheduler,
        step_scheduler=step_scheduler, clip_norm=clip_norm, patience=patience,
        keep_best=keep_best, checkpoint=bool(checkpoint), save_every=save_every, resume=resume,
        compile=compile,
    )  # fmt: skip
    calls_back = ranks.sum(len(callbacks))[0] > 0
    if resume and checkpoint:
        ranks.resume(checkpoint)
    ranks.follow()
    safeguard = Safeguard(model, optimizer)
    update = _updater(model, loss, optimizer, clip_norm, compile)
    with _bar(progress and ranks.is_first, epochs, data, run.update) as bar:
        while run.epoch < epochs and not run.stop:
            model.train()
            for batch, (inputs, target) in enumerate(inputs_and_targets(data), 1):
                safeguard.back_up()
                at = f"epoch {run.epoch + 1}, batch {_number(data, batch)}"
                try:
                    value = update(inputs, target).item()
                except NotFiniteError as error:
                    causes = ranks.tell_causes(safeguard.undo(inputs, target)) or str(error)
                    raise ValueError(
                        f"{at}: the loss or its gradients are not finite: {causes}. Model and "
                        "optimizer are as they were before this batch"
                    ) from None
                if fault := safeguard.undo_if_spoiled(value, inputs, target):
                    raise ValueError(f"{at}: {fault}")
                run._count_update(value, len(target))
                if scheduler is not None and step_scheduler == "update":
                    scheduler.step()
                if bar is not None and not bar.disable:
                    bar.set_postfix_str(f"epoch {run.epoch + 1}, loss {value:.4g}", refresh=False)
                    bar.update()
                due = save_every and run.update % save_every == 0
                if checkpoint and due and run.within_epoch():
                    ranks.save(checkpoint)
            seen, total = ranks.sum(run._seen, run._sum)
            measured = {"loss": run._mean_loss(seen, total)}
            ranks.share_buffers()
            if validation is not None:
                sums, count = add_up(model, validation, {"loss": loss, **(metrics or {})})
                *totals, total = ranks.sum(*sums.values(), count)
                found = means(dict(zip(sums, totals, strict=True)), total)
                measured |= {f"val_{name}": value for name, value in found.items()}
            run._end_epoch(measured, step_scheduler == "epoch", patience, keep_best)
            for callback in callbacks if ranks.is_first else ():
                callback(run)
            if calls_back:
                ranks.follow()
            if checkpoint:
                ranks.save(checkpoint)
    if keep_best and run.best_weights is not None:
        model.load_state_dict(run.best_weights)
    return run.history


def _updater(
    model: Module, loss: Loss, optimizer: Optimizer, clip_norm: float | None, compile: bool
) -> Callable[[list[Any], Any], Tensor]:
    """Return a function of inputs and target that makes one update and returns the loss before."""

    def update(inputs: list[Any], target: Any) -> Any:
        # a closure, since LBFGS computes the loss several times
        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss(model(*inputs), target)
            value.backward()
            if clip_norm is not None:
                clip_grad_norm_(model.parameters(), clip_norm)
            return value

        return optimizer.step(closure)

    chosen: Callable[[list[Any], Any], Tensor] = update
    if isinstance(optimizer, DataParallel):
        chosen = parallel_update(model, loss, optimizer, clip_norm)
    if not compile:
        return chosen
    from retrograd.compiler import CompiledStep

    return CompiledStep(chosen, replay_first=True)


def _number(data: Any, counted: int) -> int:
    """Return which batch of its epoch was handed out last, where a run may have begun within."""
    return int(data.state_dict()["position"]) if hasattr(data, "state_dict") else counted


def _bar(progress: bool, epochs: int, data: Any, done: int) -> Any:
    """Return a bar that counts updates, as a context; None is in it where there is no bar."""
    if progress:
        with contextlib.suppress(ImportError):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a notebook without widgets gets a bar of text
                from tqdm.auto import tqdm  # type: ignore[import-untyped]

            total = epochs * len(data) if hasattr(data, "__len__") else None
            # None: no bar in a log file, for which a notebook would be taken too
            disable = False if _is_notebook() else None
            return tqdm(
                total=total, initial=done, unit="update", leave=False, delay=1, disable=disable
            )
    return contextlib.nullcontext()


def _is_notebook() -> bool:
    """Tell whether this runs in the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


# Arguments


def _check_functions(loss: Any, metrics: Any, callbacks: Any) -> None:
    hint = f": pass {loss.__name__}()" if isinstance(loss, type) else ""
    if hint or not callable(loss):
        raise TypeError(f"loss is a function of output and target, not {loss!r}{hint}")
    if not isinstance(metrics, Mapping | None):
        raise TypeError(f"metrics is a dict of names and functions, not {type(metrics).__name__}")
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise TypeError(f"callbacks is a list of functions, not {callbacks!r}")


def _check_schedule(scheduler: Any, step_scheduler: str, optimizer: Optimizer) -> None:
    one_of("step_scheduler", step_scheduler, "epoch", "update", verb="is")
    if scheduler is None:
        return
    if not isinstance(scheduler, LRScheduler):
        raise TypeError(f"fit takes a schedule, not {type(scheduler).__name__}")
    if scheduler.optimizer not in (optimizer, getattr(optimizer, "optimizer", None)):
        raise ValueError("the scheduler is a schedule of another optimizer")
    if isinstance(scheduler, ReduceLROnPlateau) and step_scheduler == "update":
        raise ValueError("ReduceLROnPlateau steps after an epoch, which is measured")


def _check_saving(checkpoint: Path | None, save_every: int | None, resume: bool, data: Any) -> None:
    if checkpoint:
        os.stat(resolve(checkpoint)[0].parent)  # a missing folder is an error now
    if save_every is not None:
        whole(save_every=save_every)
        if not hasattr(data, "state_dict"):
            raise ValueError("save_every saves within an epoch: data must be a DataLoader")
    if (save_every or resume) and not checkpoint:
        raise ValueError("save_every and resume need checkpoint=, the name of the file")
