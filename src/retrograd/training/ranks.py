"""What a run of `fit` does together with those on other ranks; alone, each answer is its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.data import DataLoader
from retrograd.engine import Tensor
from retrograd.io.saving import load, save
from retrograd.nn.module import Module
from retrograd.nn.utils import clip_grad_norm_
from retrograd.parallel.group import Group
from retrograd.parallel.optimizer import DataParallel
from retrograd.parallel.sampler import DistributedSampler
from retrograd.random import restore
from retrograd.training.run import Training

_PLAIN = (bool, int, float, str, list)
# Generators that are the same on all ranks: they draw the orders of samples.
_SHARED = ("data", "validation")


class Ranks:
    """The ranks that a run goes on.

    Args:
        run: the run.

    Attributes:
        is_first: whether this is the one that prints, saves and calls callbacks.
    """

    def __init__(self, run: Training) -> None:
        self.run = run
        optimizer = run.optimizer
        self._group = optimizer.group if isinstance(optimizer, DataParallel) else Group()
        self.is_first = self._group.rank == 0
        run.history.writes = self.is_first

    def check(self, **options: Any) -> None:
        """Raise if the ranks would do other things, or all go through the same samples.

        Args:
            **options: what decides what a run does, as `fit` got it.

        Raises:
            RanksDifferError: if the ranks have other options or numbers of batches.
            ValueError: if every rank would train on all samples.
        """
        if self._group.size == 1:
            return
        plain = {k: v if isinstance(v, _PLAIN) else v is not None for k, v in options.items()}
        self._group.compare("the arguments of fit", plain)
        data = self.run.data
        if isinstance(data, DataLoader) and not isinstance(data.sampler, DistributedSampler):
            raise ValueError(
                "every rank would train on all samples: give the DataLoader a "
                "sampler=rg.parallel.DistributedSampler(), for shuffle and rng"
            )
        if hasattr(data, "__len__"):
            self._group.compare("the number of batches of an epoch", len(data))

    def sum(self, *values: float) -> list[float]:
        """Return the sums of numbers over all ranks."""
        found = self._group.gather(values)
        return [sum(each) for each in zip(*found, strict=True)]

    # Files

    def save(self, path: Any) -> None:
        """Write the run to a file, from the first rank."""
        run, group = self.run, self._group
        if group.size == 1:
            save(run.state_dict(), path)
            return
        state = run.state_dict()
        state["_seen"], state["_sum"] = self.sum(run._seen, run._sum)
        state["ranks"] = group.gather(state["rngs"])[1:]
        if self.is_first:
            save(state, path)

    def resume(self, path: Any) -> None:
        """Go on where a file was written, if it is there; by any number of ranks."""
        group = self._group
        there = self.is_first and os.path.exists(path)
        state = group.broadcast(load(path) if there else None)
        if state is None:
            return
        if group.rank:
            state = {**state, "_seen": 0, "_sum": 0.0, "rngs": _generators(state, group.rank)}
        self.run.load_state_dict(state)
        self.run.history.writes = self.is_first

    # What the first rank decides

    def follow(self) -> None:
        """Take over what callbacks on the first rank have changed."""
        run, group = self.run, self._group
        if group.size == 1 or not isinstance(run.optimizer, DataParallel):
            return
        run.stop = group.broadcast(run.stop)
        run.optimizer.broadcast()
        self.share(run.model.state_dict())

    def share_buffers(self) -> None:
        """Give all ranks the buffers of the first, such as running statistics."""
        if self._group.size > 1:
            names = {name for name, _ in self.run.model.named_buffers()}
            state = self.run.model.state_dict()
            self.share({name: state[name] for name in state if name in names})

    def share(self, state: Mapping[str, Any]) -> None:
        """Give all ranks a part of the model's state that the first has."""
        state = self._group.broadcast(state)
        if self._group.rank:
            self.run.model.load_state_dict(state, strict=False)

    def tell_causes(self, mine: str) -> str:
        """Return what is not finite on each rank, given what is on this one."""
        if self._group.size == 1:
            return mine
        found = enumerate(self._group.gather(mine))
        return "; ".join(f"on rank {rank} {text}" for rank, text in found if text)


def _generators(state: Mapping[str, Any], rank: int) -> dict[str, Any]:
    """Return the generators of a rank: as saved, or made of the first's where it had not run."""
    others = state.get("ranks") or []
    if rank <= len(others):
        return dict(others[rank - 1])
    found = {}
    for name, own in state["rngs"].items():
        kind = getattr(np.random, own["bit_generator"])
        rng = np.random.Generator(kind(0))
        restore(rng, own)
        seeds = [int(rng.integers(1 << 62)), rank]
        found[name] = own if name in _SHARED else kind(seeds).state
    return found


def parallel_update(
    model: Module, loss: Callable[[Any, Any], Tensor], optimizer: DataParallel,
    clip_norm: float | None,
) -> Callable[[list[Any], Any], Tensor]:  # fmt: skip
    """Return a function of inputs and target that makes one update, together with other ranks.

    It returns the loss before, the mean over the samples of all ranks.
    """

    def update(inputs: list[Any], target: Any) -> Any:
        def closure() -> Any:
            optimizer.zero_grad()
            output = model(*inputs)
            # a rank without samples takes part in what all do together, with the gradient 0
            value: Any = loss(output, target) if len(target) else _total(output)
            value.backward()
            return value

        if clip_norm is None:
            return optimizer.step(closure, batch_size=len(target))
        value = optimizer.synchronize(closure(), batch_size=len(target))
        clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        return value

    return update


def _total(output: Any) -> Any:
    return sum(np.sum(t) for t in tree.leaves(output) if isinstance(t, Tensor))
