"""Batches of a data set, epoch after epoch."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.checks import whole
from retrograd.data.datasets import Dataset
from retrograd.data.large import is_lazy
from retrograd.data.prefetch import read_ahead
from retrograd.data.reading import Reader
from retrograd.data.sampler import Sampler
from retrograd.engine import Array, Tensor
from retrograd.random import RngLike

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext


class DataLoader:
    """Batches of a data set; each iteration is an epoch.

    In the middle of an epoch `state_dict()` tells how far it is: the first iteration of a loader
    that has loaded it goes on from there.

    For data that is larger than memory (see `rg.data`), `block_size` reads blocks of samples that
    lie side by side: a random order then is one of blocks, the samples of 8 of which are mixed.

    Args:
        dataset: the data set.
        batch_size: how many samples a batch has (default 1), that of all processes together; the
            last one may be smaller.
        shuffle: whether each epoch has an order of its own (default False).
        rng: a generator or a seed that draws the orders (default: the generator of
            `rg.manual_seed`).
        drop_last: whether a last batch that is smaller is left out (default False).
        collate: makes a batch of a list of samples (default: `rg.data.collate`).
        sampler: decides the order in the place of `shuffle`, `rng` and `block_size`, and which part
            of a batch this process reads: `rg.parallel.DistributedSampler`.
        block_size: how many samples are read at once (default: those of a batch).
        prefetch: how many batches a thread reads ahead (default 0: none, there is no thread). Data
            sets of one's own must allow that. With workers, there is no thread: so many batches
            they read ahead together (default: 2 each).
        num_workers: how many processes read the batches (default 0: this one). They pay where
            samples cost Python or NumPy 100 us and more, and cores are free; never for arrays, of
            which a batch is one indexing. See `rg.data`.
        multiprocessing_context: how the processes start: `"fork"`, `"spawn"`, `"forkserver"` or a
            context (default: as `multiprocessing` does here).

    Attributes:
        dataset: the data set.
        batch_size: how many samples a batch has.
        sampler: what decides the order, a `Sampler`.
        num_workers: how many processes read.

    Raises:
        TypeError: if `dataset` is an array, or has no length or items; in an epoch, if workers are
            to get what cannot be pickled.
        ValueError: if a size is no whole number above 0, or a sampler and what it decides are both
            given, or there is no such way of starting processes.
        RuntimeError: in an epoch, if a worker has ended. What it raises, it raises here: with its
            traceback and the index of the sample, as a note.

    >>> data = rg.data.TensorDataset(np.arange(5) * 10)
    >>> [x.tolist() for x, in rg.data.DataLoader(data, batch_size=2)]
    [[0, 10], [20, 30], [40]]
    """

    def __init__(
        self, dataset: Dataset, batch_size: int = 1, shuffle: bool = False, *, rng: RngLike = None,
        drop_last: bool = False, collate: Callable[[list[Any]], Any] | None = None,
        sampler: Sampler | None = None, block_size: int | None = None, prefetch: int = 0,
        num_workers: int = 0, multiprocessing_context: str | BaseContext | None = None,
    ) -> None:  # fmt: skip
        sized = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
        if not sized or isinstance(dataset, (np.ndarray, Tensor)) or is_lazy(dataset):
            raise TypeError(
                f"a data set has a length and items, not {type(dataset).__name__}: "
                "wrap arrays in TensorDataset(x, y)"
            )
        whole(batch_size=batch_size)
        whole(at_least=0, prefetch=prefetch, num_workers=num_workers)
        if sampler is not None and (shuffle or rng is not None or block_size is not None):
            raise ValueError("the sampler decides: give shuffle, rng and block_size to it")
        if not isinstance(sampler, Sampler | None):
            raise TypeError(f"sampler is a Sampler, not {type(sampler).__name__}")
        self.dataset, self.batch_size = dataset, int(batch_size)
        self.drop_last, self.collate, self.prefetch = bool(drop_last), collate, prefetch
        self.sampler = sampler or Sampler(bool(shuffle), rng, block_size)
        self.num_workers = int(num_workers)
        self._context: Any = None
        if self.num_workers:
            from retrograd.data.workers import context_of  # they load multiprocessing

            self._context = context_of(multiprocessing_context)
        elif multiprocessing_context is not None:
            raise ValueError("multiprocessing_context is for workers: give num_workers too")
        self._order: Array | None = None
        self._position = 0  # batches handed out of this epoch
        self._resumed = False
        self._seed: int | None = None  # of what is drawn in workers, in this epoch

    def __repr__(self) -> str:
        count, size = len(self), f"batch_size={self.batch_size}"
        batches = f"{count} batch{'es' * (count != 1)}"
        return f"DataLoader({self.dataset!r}, {size}, shuffle={self.shuffle}): {batches}"

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    @property
    def rng(self) -> np.random.Generator:
        """The generator that draws the orders."""
        return self.sampler.rng

    @property
    def shuffle(self) -> bool:
        """Whether each epoch has an order of its own."""
        return self.sampler.shuffle

    def __iter__(self) -> Iterator[Any]:
        if not self._resumed:
            self._order = self.sampler.order(len(self.dataset))
            self._position = 0
        if self.num_workers and (self._seed is None or not self._resumed):
            self._seed = self._next_seed()
        self._resumed = False
        first = self._position
        batches = self._batches(first)
        if self.prefetch and not self.num_workers:
            batches = read_ahead(batches, self.prefetch)
        with contextlib.closing(batches):  # type: ignore[type-var]
            for at, batch in enumerate(batches, first + 1):
                self._position = at
                yield batch

    def _batches(self, first: int) -> Iterator[Any]:
        """Yield the batches of this epoch from one on, without counting them."""
        order = np.arange(len(self.dataset)) if self._order is None else self._order
        reader = Reader(self.dataset, self.collate, self.sampler.block_size)
        size, places = self.batch_size, range(first, len(self))
        parts = (self.sampler.part(order[at * size : (at + 1) * size]) for at in places)
        count = min(self.num_workers, len(places))
        if not count:
            for part in parts:
                yield reader(part)
            return
        from retrograd.data.workers import read_in_workers

        read = read_in_workers(
            reader, parts, count,
            ahead=self.prefetch, seed=self._seed or 0, context=self._context,
        )  # fmt: skip
        with contextlib.closing(read):  # type: ignore[type-var]
            yield from read

    def _next_seed(self) -> int:
        """Return the seed of the next epoch's workers, which follows from the rng and the last.

        Nothing is drawn from the rng itself: orders are those of a loader without workers.
        """
        drawn = copy.deepcopy(self.rng).integers(1 << 63)
        mixed = np.random.SeedSequence([self._seed or 0, int(drawn)]).generate_state(1, np.uint64)
        return int(mixed[0]) >> 1

    def state_dict(self) -> dict[str, Any]:
        """Return the order of this epoch and how far it is.

        The generator is not a part of it: what else draws from it decides its state.

        Returns:
            `{"order": indices or None, "position": number of batches handed out}`; with workers
            also `"seed"`, that of what they draw in this epoch.

        >>> loader = rg.data.DataLoader(rg.data.TensorDataset(np.arange(6)), batch_size=2)
        >>> _ = next(iter(loader))
        >>> loader.state_dict()
        {'order': None, 'position': 1}
        """
        order = None if self._order is None else self._order.copy()
        state = {"order": order, "position": self._position}
        return state if self._seed is None else {**state, "seed": self._seed}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next iteration go on where a state was taken.

        Args:
            state_dict: what `state_dict` returned.

        Raises:
            ValueError: if it is of a data set of another size, of another `shuffle`, or no state
                of a loader.

        >>> loader = rg.data.DataLoader(rg.data.TensorDataset(np.arange(6)), batch_size=2)
        >>> loader.load_state_dict({"order": None, "position": 1})
        >>> [x.tolist() for x, in loader]
        [[2, 3], [4, 5]]
        """
        try:
            order, position = state_dict["order"], int(state_dict["position"])
            seed = int(state_dict["seed"]) if "seed" in state_dict else None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("a DataLoader loads what its state_dict() returns") from error
        count, batches = len(self.dataset), len(self)
        if order is not None:
            order = np.asarray(order)
            if not np.array_equal(np.sort(order, axis=None), np.arange(count)):
                raise ValueError(f"an order of {order.size} samples, the data set has {count}")
        if (order is None) == self.shuffle and position:
            raise ValueError("the state is of a loader with another value of shuffle")
        if not 0 <= position <= batches:
            raise ValueError(f"the epoch has {batches} batches, no position {position}")
        self._order, self._position, self._seed = order, position, seed
        self._resumed = 0 < position < batches
