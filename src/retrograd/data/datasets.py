"""Data sets: what has a length and items. Arrays side by side, parts of others, random splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from retrograd.data.large import is_lazy, read
from retrograd.engine import Array, Tensor
from retrograd.random import RngLike, generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Dataset(Protocol):
    """What has a length and items."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class TensorDataset:
    """Arrays whose first axes count the same samples; item `i` is the tuple of their items `i`.

    An item may be a slice or an array of indices too: a batch at once.

    Args:
        *arrays: arrays or Tensors with first axes of one length, such as inputs `(N, ...)` and
            targets `(N,)`. Arrays give arrays, Tensors give Tensors, through which gradients
            flow. Arrays on files stay there, and give arrays in memory: `np.memmap`, `Shards`, and
            what else has `shape`, `dtype` and slices along the first axis.

    Attributes:
        arrays: the arrays as a tuple.

    Raises:
        ValueError: if there are none, or their lengths differ.

    >>> data = rg.data.TensorDataset(np.arange(6).reshape(3, 2), np.array([0, 1, 0]))
    >>> data[1]
    (array([2, 3]), np.int64(1))
    """

    def __init__(self, *arrays: ArrayLike | Tensor) -> None:
        self.arrays: tuple[Any, ...] = tuple(map(_as_array, arrays))
        shapes = [tuple(a.shape) for a in self.arrays]
        if () in shapes or len({shape[0] for shape in shapes}) != 1:
            got = shapes or "no arrays"
            raise ValueError(f"TensorDataset takes first axes of one length, not {got}")

    def __repr__(self) -> str:
        arrays = ", ".join(f"{a.dtype} {tuple(a.shape)}" for a in self.arrays)
        return f"{type(self).__name__}({arrays})"

    def __len__(self) -> int:
        return int(self.arrays[0].shape[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(read(a, index) for a in self.arrays)


def _as_array(given: Any) -> Any:
    return given if isinstance(given, Tensor) or is_lazy(given) else np.asarray(given)


class Subset:
    """The samples of a data set at some indices, in their order.

    Args:
        dataset: the data set.
        indices: whole numbers, one axis of them; negative ones count from the end.

    Attributes:
        dataset: the data set.
        indices: the indices as an array.

    Raises:
        TypeError: if `indices` are no whole numbers, such as a mask.
        ValueError: if they have another number of axes than one.
        IndexError: if the data set has no such sample.

    >>> rg.data.Subset(rg.data.TensorDataset(np.array([10, 11, 12])), [2, 0])[0]
    (np.int64(12),)
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int] | Array) -> None:
        given = np.asarray(indices)
        if given.size and given.dtype.kind not in "iu":
            raise TypeError(f"indices are whole numbers, not {given.dtype}: np.flatnonzero(mask)")
        self.dataset, self.indices = dataset, given.astype(np.intp)
        if self.indices.ndim != 1:
            raise ValueError(f"indices must have one axis, not {self.indices.shape}")
        count = len(dataset)
        out = self.indices[(self.indices < -count) | (self.indices >= count)]
        if out.size:
            raise IndexError(f"the data set has {count} samples, no {out[0]}")

    def __repr__(self) -> str:
        return f"Subset({len(self)} samples of {self.dataset!r})"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[self.indices[index]]


def random_split(dataset: Dataset, lengths: Sequence[float], rng: RngLike = None) -> list[Subset]:
    """Return random subsets that share no sample and together have all.

    Args:
        dataset: the data set.
        lengths: the number of samples of each subset; or fractions that add up to 1, which are
            rounded: samples that are left over go to the first ones.
        rng: a generator or a seed (default: the generator of `rg.manual_seed`).

    Returns:
        A `Subset` for each of the lengths.

    Raises:
        ValueError: if the lengths do not add up.

    >>> train, test = rg.data.random_split(rg.data.TensorDataset(np.arange(10)), [0.8, 0.2], rng=0)
    >>> len(train), len(test)
    (8, 2)
    """
    total, sizes = len(dataset), np.array(lengths, float)
    if abs(sizes.sum() - 1) < 1e-9:
        sizes = np.floor(sizes * total)
        sizes[: total - int(sizes.sum())] += 1
    if sizes.sum() != total or (sizes < 0).any() or (sizes % 1).any():
        raise ValueError(f"lengths must add up to {total}, or fractions to 1, not {lengths!r}")
    ends = sizes.cumsum().astype(int)[:-1]
    return [Subset(dataset, part) for part in np.split(generator(rng).permutation(total), ends)]
