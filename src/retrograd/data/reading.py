"""Reading the samples at indices as a batch: what a loader, its thread and its workers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retrograd.data.batches import collate, collate_none
from retrograd.data.datasets import Dataset, Subset, TensorDataset
from retrograd.data.large import Blocks
from retrograd.engine import Array


class Reader:
    """Reads the samples at indices as a batch.

    Args:
        dataset: the data set.
        make: makes a batch of a list of samples; None for `collate`, and for arrays that are
            indexed at once.
        block_size: how many samples are read at once where they are arrays, or None.

    Attributes:
        dataset: the data set.
        make: as given.
        at: the index of the sample that is being read, None where a batch is read at once.
        before: is called with the index before each sample is read, where samples are read one by
            one; or None.
    """

    def __init__(
        self, dataset: Dataset, make: Callable[[list[Any]], Any] | None, block_size: int | None
    ) -> None:
        self.dataset, self.make, self.block_size = dataset, make, block_size
        self.at: int | None = None
        self.before: Callable[[int], None] | None = None
        self._read_at_once = self._reads_at_once()

    def _reads_at_once(self) -> Callable[[Array], Any] | None:
        source: Any = self.dataset
        while type(source) is Subset:
            source = source.dataset
        if self.make is not None or type(source) is not TensorDataset:
            return None
        if self.block_size is None:
            return self.dataset.__getitem__
        count = len(self.dataset)
        return Blocks(self.dataset.__getitem__, count, self.block_size, source.arrays).samples

    def __reduce__(self) -> Any:
        return type(self), (self.dataset, self.make, self.block_size)

    def __call__(self, indices: Array) -> Any:
        """Return the batch.

        Args:
            indices: those of its samples, `(n,)`; where there are none, the batch has arrays of
                length 0.
        """
        if self._read_at_once is not None:
            return self._read_at_once(indices)
        make = self.make or collate
        if not len(indices):
            return collate_none(self._sample(0), make)
        samples = [self._sample(int(i)) for i in indices]
        self.at = None
        return make(samples)

    def _sample(self, index: int) -> Any:
        self.at = index
        if self.before is not None:
            self.before(index)
        return self.dataset[index]
