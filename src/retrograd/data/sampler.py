"""In which order the samples of an epoch come, and which of a batch this process reads."""

from __future__ import annotations

import numpy as np

from retrograd.checks import whole
from retrograd.engine import Array
from retrograd.random import RngLike, generator

MIXED = 8  # so many blocks at a time are mixed


class Sampler:
    """Decides the order of the samples of each epoch, and which of each batch are read.

    A `DataLoader` has one. Derive from it for another order, or for parts of batches.

    Args:
        shuffle: whether each epoch has an order of its own (default False).
        rng: a generator or a seed that draws the orders (default: the generator of
            `rg.manual_seed`).
        block_size: shuffles blocks of so many samples that lie side by side, 8 of them mixed at a
            time; by default all samples alike.

    Attributes:
        shuffle: whether orders are drawn.
        rng: the generator.
        block_size: the samples of a block, or None.

    Raises:
        TypeError: if `shuffle` is no bool.
        ValueError: if `block_size` is no whole number above 0.

    >>> rg.data.Sampler(shuffle=True, rng=0, block_size=2).order(6).tolist()
    [3, 1, 0, 2, 5, 4]
    """

    def __init__(
        self, shuffle: bool = False, rng: RngLike = None, block_size: int | None = None
    ) -> None:
        if not isinstance(shuffle, (bool, np.bool_)):
            raise TypeError(
                f"shuffle is True or False, not a {type(shuffle).__name__}: the data set goes to "
                "the DataLoader"
            )
        if block_size is not None:
            whole(block_size=block_size)
        self.shuffle, self.block_size = bool(shuffle), block_size
        self.rng = generator(rng)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shuffle={self.shuffle}, block_size={self.block_size})"

    def order(self, count: int) -> Array | None:
        """Return the order of the next epoch.

        Args:
            count: how many samples there are.

        Returns:
            The indices of all samples, `(count,)`, or None for the order in which they lie.
        """
        if not self.shuffle:
            return None
        if self.block_size is None:
            return self.rng.permutation(count)
        blocks = self.rng.permutation(-(-count // self.block_size))
        mixed = []
        for at in range(0, len(blocks), MIXED):
            starts = blocks[at : at + MIXED, None] * self.block_size
            samples = (starts + np.arange(self.block_size)).reshape(-1)
            mixed.append(self.rng.permutation(samples[samples < count]))
        return np.concatenate(mixed) if mixed else np.arange(0)

    def part(self, batch: Array) -> Array:
        """Return the samples of a batch that this process reads: here all of them.

        Args:
            batch: the indices of its samples.

        Returns:
            Those of this process.

        >>> rg.data.Sampler().part(np.array([4, 2]))
        array([4, 2])
        """
        return batch
