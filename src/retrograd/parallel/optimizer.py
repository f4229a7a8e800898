"""An optimizer whose gradients are averaged over all ranks before each update."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from retrograd.checks import ensure, whole
from retrograd.engine import Tensor, is_recording, no_grad, section, tell, touch, wrap
from retrograd.nn.module import Module
from retrograd.optim.buckets import State
from retrograd.optim.optimizer import Optimizer
from retrograd.optim.updates import Options
from retrograd.parallel.group import TIMEOUT, group_of
from retrograd.parallel.sums import MeanOfRanks, as_dtype, constant, summed_dtype


class DataParallel(Optimizer):
    """Data parallel training: an optimizer that averages gradients over all ranks in each step.

    Every rank has the whole model and a part of each batch (see `DistributedSampler`). In each step
    the gradients of all parameters, as one flat vector, are averaged over the ranks, weighted by
    their batch sizes. All ranks then make the same update, that of one process with the whole
    batch; so the losses must be means over samples.

    **Exchange.** Ranks on one machine add up long vectors in memory that they share, as much as a
    vector for each rank. Where they share none (on several machines, without `/dev/shm`, or
    with no room there) and for vectors below 512 KiB, it is one Allreduce of MPI. Either way all
    ranks have the same mean, bit for bit, and in a compiled step it is one line of the program,
    `allreduce(...)`. A rank that waits long in shared memory sleeps most of the time.

    All ranks make it, in the same way. Then parameters, buffers of the `model`, and the state of
    the optimizer are those of rank 0. The optimizer that it is made of is not used by itself any
    more; its param groups are shared. In one process it is that optimizer.

    **Faults.** An exception that nobody catches on a rank, a rank that is killed, one that ends
    while others wait for it: all ranks end within seconds, with its message. A rank that is late is
    waited for, `timeout` seconds at most. One that is interrupted within an exchange, as by Ctrl-C,
    and goes on nevertheless, gets a RanksDifferError at the next. Gradients or losses that are not
    finite on some rank are a NotFiniteError on all, before the update. Ranks with other parameters
    or options are told here; such with other shapes, or calls in their compiled steps, at the first
    step.

    **Draws.** Ranks that are seeded alike draw the same dropout for different samples: write
    `rg.manual_seed(seed + rg.parallel.rank())`.

    **Accumulation.** Gradients of several batches add up without any exchange, until `step`:
    divide their losses by the number of batches, and pass the samples of all as `batch_size`.

    Args:
        optimizer: an optimizer of the model's parameters, which updates by gradients: not LBFGS.
        model: the model, whose buffers, such as running statistics, become those of rank 0; without
            it (default) each rank keeps its own.
        comm: a communicator of mpi4py (default: all ranks).
        timeout: for how many seconds a rank waits for the others (default 1800).

    Attributes:
        optimizer: the optimizer that it is made of.
        param_groups: those of that optimizer.
        group: the ranks, with `rank` and `size`.

    Raises:
        TypeError: if `optimizer` is none, or decides by losses.
        ValueError: if `comm` or `timeout` cannot be.
        RanksDifferError: on all ranks, if they have other parameters or options.

    Named after PyTorch's DistributedDataParallel and Horovod's DistributedOptimizer.

    >>> model = rg.nn.Linear(2, 1, rng=0)
    >>> optimizer = rg.parallel.DataParallel(rg.optim.SGD(model.parameters(), lr=0.1), model)
    >>> x, y = np.ones((4, 2)), np.ones((4, 1))  # this rank's part of a batch
    >>> rg.nn.functional.mse_loss(model(x), y).backward()
    >>> optimizer.step(batch_size=len(x))
    """

    def __init__(
        self, optimizer: Optimizer, model: Module | None = None, comm: Any = None,
        timeout: float = TIMEOUT,
    ) -> None:  # fmt: skip
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, DataParallel):
            raise TypeError(f"DataParallel takes an optimizer, not {type(optimizer).__name__}")
        if type(optimizer).step is not Optimizer.step:
            name = type(optimizer).__name__
            raise TypeError(f"DataParallel averages gradients, and {name} decides by losses too")
        if not isinstance(model, Module | None):
            raise TypeError(f"model is a Module, not {type(model).__name__}")
        ensure(timeout > 0, "timeout", "a number of seconds above 0", timeout)
        self.optimizer, self.model = optimizer, model
        self.defaults, self.param_groups = optimizer.defaults, optimizer.param_groups
        self.scalars, self.elementwise = optimizer.scalars, optimizer.elementwise
        self._buckets = optimizer._buckets
        self.group = group_of(comm)
        self.group.timeout = timeout
        self._mean_of = MeanOfRanks(self.group)
        self._is_synchronized = False
        if self.group.size > 1:
            self._check_ranks()
            self.broadcast()

    # What is the optimizer's own

    def check(self, options: dict[str, Any]) -> None:
        self.optimizer.check(options)

    def used_slots(self, options: Options) -> dict[str, float]:
        return self.optimizer.used_slots(options)

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        self.optimizer.update(p, g, state, options, lr, t)

    def __repr__(self) -> str:
        return f"DataParallel({self.optimizer!r}, {self.group.size} ranks)"

    # Ranks are made equal

    def _check_ranks(self) -> None:
        shapes = [[(*p.shape, p.dtype.name) for p in g["params"]] for g in self.param_groups]
        options = [{k: v for k, v in g.items() if k != "params"} for g in self.param_groups]
        self.group.compare("the optimizer", repr((type(self.optimizer).__name__, options)))
        self.group.compare("the shapes of parameters", repr(shapes))
        if self.model is not None:
            state = {name: a.shape for name, a in self.model.state_dict().items()}
            self.group.compare("the state of the model", repr(state))

    def broadcast(self) -> None:
        """Give all ranks the parameters, the model's buffers and the optimizer's state of rank 0.

        All ranks must call it. It is done when a `DataParallel` is made, and is needed again only
        after one rank alone has changed something.

        >>> model = rg.nn.Linear(2, 1)
        >>> rg.parallel.DataParallel(rg.optim.Adam(model.parameters()), model).broadcast()
        """
        if self.group.size == 1:
            return
        state = self.group.broadcast(self.optimizer.state_dict())
        if self.group.rank:
            self.optimizer.load_state_dict(state)
        for p in self._all():
            self.group.copy(p._array)
        touch(*self._all())
        if self.model is not None:
            buffers = self.group.broadcast(self.model.state_dict())
            if self.group.rank:
                self.model.load_state_dict(buffers)

    # A step

    def step(
        self, closure: Callable[[], Any] | None = None, *, batch_size: int | None = None
    ) -> Any:
        """Average the gradients over all ranks, and update all parameters that have one.

        All ranks must call it, with gradients of the same parameters.

        Args:
            closure: computes the loss anew and calls `backward` on it, before the update.
            batch_size: how many samples this rank's gradients are the mean over: how much they
                count. 0 is a rank that has no samples, whose gradients then do not matter. Without
                it (default) all ranks count the same.

        Returns:
            The mean of the ranks' losses, weighted in the same way, if `closure` returns a loss; a
            Tensor. None without a closure.

        Raises:
            NotFiniteError: on all ranks, if a gradient or a loss is not finite.
            RanksDifferError: if the ranks do not do the same.
            ValueError: if `batch_size` is no whole number from 0 on.

        >>> model = rg.nn.Linear(2, 1, rng=0)
        >>> optimizer = rg.parallel.DataParallel(rg.optim.SGD(model.parameters(), lr=0.1))
        >>> x, y = np.ones((4, 2)), np.ones((4, 1))
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = rg.nn.functional.mse_loss(model(x), y)
        ...     loss.backward()
        ...     return loss
        >>> loss = optimizer.step(closure, batch_size=len(x))
        """
        loss = closure() if closure is not None else None
        _check(loss, batch_size)
        if self._is_synchronized or self.group.size == 1:
            self._is_synchronized = False
            self.optimizer.step()
            return loss
        parts, loss = self._average(loss, batch_size)
        if is_recording():
            with section("update"):
                for options, bucket, g in parts:
                    tell("update", self.optimizer, options, bucket, g)
            return loss
        for options, bucket, g in parts:
            self.update(bucket.data, g, bucket.state, options, options["lr"], bucket.count + 1)
            bucket.count += 1
            touch(*bucket.params)
        return loss

    def synchronize(self, loss: Any = None, *, batch_size: int | None = None) -> Any:
        """Average the gradients over all ranks now; the next `step` then does not.

        For what is done with the gradients of the whole batch before the update, such as clipping
        them. All ranks must call it.

        Args:
            loss: this rank's loss, if its mean over the ranks is wanted.
            batch_size: as for `step`.

        Returns:
            The mean of the ranks' losses, as `step` returns it; None without `loss`.

        Raises:
            NotFiniteError: as `step` does.
            RanksDifferError: as `step` does.
            ValueError: as `step` does.

        >>> model = rg.nn.Linear(2, 1, rng=0)
        >>> optimizer = rg.parallel.DataParallel(rg.optim.SGD(model.parameters(), lr=0.1))
        >>> x, y = np.ones((4, 2)), np.ones((4, 1))
        >>> rg.nn.functional.mse_loss(model(x), y).backward()
        >>> optimizer.synchronize(batch_size=len(x))
        >>> norm = rg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        >>> optimizer.step()
        """
        _check(loss, batch_size)
        self._is_synchronized = True
        if self.group.size == 1:
            return loss
        parts, loss = self._average(loss, batch_size)
        for _, bucket, g in parts:
            start = 0
            for p in bucket.params:
                p.grad = g.reshape(-1)[start : start + p.size].reshape(p.shape)
                start += p.size
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        self._is_synchronized = False
        super().zero_grad(set_to_none)

    def _average(
        self, loss: Any, batch_size: int | None
    ) -> tuple[list[tuple[dict[str, Any], Any, Any]], Any]:
        """Return each param group and bucket with its averaged gradient, and the averaged loss."""
        weight = 1.0 if batch_size is None else float(batch_size)
        found = [
            (group, bucket, grads)
            for group, buckets in zip(self.param_groups, self._buckets, strict=True)
            for bucket, grads in buckets.parts(self.used_slots(group))
        ]
        if not found:
            raise RuntimeError("no parameter has a gradient: call backward() before step()")
        if any(bucket.dtype.kind == "c" for _, bucket, _ in found):
            raise TypeError(
                "DataParallel averages gradients of real numbers: train the real and imaginary "
                "parts of complex parameters as Tensors of their own"
            )
        by_dtype: dict[Any, list[int]] = {}
        for i, (_, bucket, _) in enumerate(found):
            by_dtype.setdefault(bucket.data.dtype, []).append(i)
        means: dict[int, Any] = {}
        with no_grad(), section("backward"):
            for at in by_dtype.values():
                flat, mean = self._mean([g for i in at for g in found[i][2]], loss, weight)
                loss = mean if loss is not None else None
                start = 0
                for i in at:
                    data = found[i][1].data
                    means[i] = flat[start : start + data.size].reshape(data.shape)
                    start += data.size
        return [(group, bucket, means[i]) for i, (group, bucket, _) in enumerate(found)], loss

    def _mean(self, grads: list[Any], loss: Any, weight: float) -> tuple[Any, Any]:
        """Return the mean of the ranks' gradients as one vector, and that of their losses.

        What is averaged is one vector: the gradients and the loss.
        """
        dtype = grads[0].dtype
        kind = summed_dtype(dtype)
        size = sum(g.size for g in grads)
        value = constant(kind, 0.0) if loss is None or not weight else _as_vector(loss, kind)
        shapes = ", ".join(str(g.shape) for g in grads)
        what = f"gradients of {len(grads)} parameters {zlib.crc32(shapes.encode()):x}"
        joined = np.concatenate((*grads, value), axis=None)
        mean = self._mean_of(as_dtype(joined, kind), weight, self.group.sign(what))
        return as_dtype(mean[:size], dtype), None if loss is None else _as_tensor(mean[size])

    # State

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        self.optimizer.add_param_group(group)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the optimizer, the same on all ranks: as without `DataParallel`.

        Returns:
            What the optimizer's own `state_dict` returns.

        >>> model = rg.nn.Linear(2, 1)
        >>> optimizer = rg.parallel.DataParallel(rg.optim.SGD(model.parameters()))
        >>> sorted(optimizer.state_dict())
        ['param_groups', 'state']
        """
        return self.optimizer.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state_dict)

    def _all(self) -> list[Tensor]:
        return self.optimizer._all()


def _check(loss: Any, batch_size: Any) -> None:
    """Raise ValueError if a loss is not one number, or the number of samples is none."""
    if batch_size is not None:
        whole(at_least=0, batch_size=batch_size)
    if loss is not None and np.size(loss) != 1:
        shape = np.shape(loss)
        raise ValueError(f"a loss is one number, a mean over samples, not of shape {shape}")


def _as_vector(loss: Any, dtype: Any) -> Any:
    """Return a loss as a vector of one number, without its graph."""
    if isinstance(loss, Tensor):
        value: Any = loss.detach() if is_recording() else loss._array
    else:
        value = np.asarray(loss)
    return as_dtype(value.reshape(1), dtype)


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else wrap(np.asarray(value))
