"""Which samples of each batch a rank reads."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from retrograd.data.sampler import Sampler
from retrograd.engine import Array
from retrograd.parallel.group import group_of
from retrograd.random import RngLike, generator


class DistributedSampler(Sampler):
    """Gives each rank its part of every batch of a `DataLoader`; the order is the same on all.

    The loader's `batch_size` is that of all ranks together. Its samples are those that one process
    would have, whatever the number of ranks: so a run may go on with another number of them. Each
    rank reads its part, and the parts differ by one sample at most; where a last batch has fewer
    samples than there are ranks, some have none, arrays of length 0.

    All ranks make it, since the state of the generator is that of rank 0.

    Args:
        shuffle: whether each epoch has an order of its own (default True).
        rng: a seed or a generator, of which a copy draws the orders (default: the seed 0); None for
            that of `rg.manual_seed`.
        block_size: shuffles blocks of so many samples, as for `rg.data.Sampler`; each rank then
            reads those samples of a batch that lie side by side, and so only some of the blocks.
        comm: a communicator of mpi4py (default: all ranks).

    Attributes:
        rank: which of the ranks this is.
        num_replicas: how many ranks there are.

    Raises:
        TypeError: if `shuffle` is no bool, such as the data set, which the loader gets.
        ValueError: if `block_size` is no whole number above 0.

    >>> data = rg.data.TensorDataset(np.arange(6))
    >>> sampler = rg.parallel.DistributedSampler(shuffle=False)
    >>> [x.tolist() for x, in rg.data.DataLoader(data, batch_size=4, sampler=sampler)]
    [[0, 1, 2, 3], [4, 5]]
    """

    def __init__(
        self, shuffle: bool = True, rng: RngLike = 0, block_size: int | None = None,
        comm: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(shuffle, copy.deepcopy(generator(rng)), block_size)
        group = group_of(comm)
        self.rank, self.num_replicas = group.rank, group.size
        self.rng = group.broadcast(self.rng)

    def part(self, batch: Array) -> Array:
        """Return this rank's samples of a batch.

        Args:
            batch: the indices of its samples, the same on all ranks.

        Returns:
            Those of this rank, side by side in the batch or, with `block_size`, in the data.

        >>> rg.parallel.DistributedSampler().part(np.array([4, 2]))
        array([4, 2])
        """
        if self.block_size is not None:
            batch = np.sort(batch)
        return np.array_split(batch, self.num_replicas)[self.rank]
