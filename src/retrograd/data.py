"""Batches over arrays: data sets, loaders that shuffle, random splits.

A data set is anything with a length and items: a list of samples, `TensorDataset`, or a class of
one's own with `__len__` and `__getitem__`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from retrograd.checks import whole
from retrograd.engine import Array, Tensor
from retrograd.later import public_names
from retrograd.random import RngLike, generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["DataLoader", "Subset", "TensorDataset", "collate", "random_split"]

__dir__ = public_names(__name__)


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
            flow.

    Attributes:
        arrays: the arrays as a tuple.

    Raises:
        ValueError: if there are none, or their lengths differ.

    >>> data = rg.data.TensorDataset(np.arange(6).reshape(3, 2), np.array([0, 1, 0]))
    >>> data[1]
    (array([2, 3]), np.int64(1))
    """

    def __init__(self, *arrays: ArrayLike | Tensor) -> None:
        self.arrays = tuple(a if isinstance(a, Tensor) else np.asarray(a) for a in arrays)
        shapes = [a.shape for a in self.arrays]
        if () in shapes or len({shape[0] for shape in shapes}) != 1:
            got = shapes or "no arrays"
            raise ValueError(f"TensorDataset takes first axes of one length, not {got}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(a[index] for a in self.arrays)


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


class DataLoader:
    """Batches of a data set; each iteration is an epoch.

    In the middle of an epoch `state_dict()` tells how far it is: the first iteration of a loader
    that has loaded it goes on from there.

    Args:
        dataset: the data set.
        batch_size: how many samples a batch has (default 1); the last one may be smaller.
        shuffle: whether each epoch has an order of its own (default False).
        rng: a generator or a seed that draws the orders (default: the generator of
            `rg.manual_seed`).
        drop_last: whether a last batch that is smaller is left out (default False).
        collate: makes a batch of a list of samples (default: `rg.data.collate`).

    Attributes:
        dataset: the data set.
        batch_size: how many samples a batch has.
        rng: the generator.

    Raises:
        TypeError: if `dataset` is an array, or has no length or items.
        ValueError: if `batch_size` is no whole number above 0.

    >>> data = rg.data.TensorDataset(np.arange(5) * 10)
    >>> [x.tolist() for x, in rg.data.DataLoader(data, batch_size=2)]
    [[0, 10], [20, 30], [40]]
    """

    def __init__(
        self, dataset: Dataset, batch_size: int = 1, shuffle: bool = False, *, rng: RngLike = None,
        drop_last: bool = False, collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:  # fmt: skip
        sized = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
        if not sized or isinstance(dataset, (np.ndarray, Tensor)):
            raise TypeError(
                f"a data set has a length and items, not {type(dataset).__name__}: "
                "wrap arrays in TensorDataset(x, y)"
            )
        whole(batch_size=batch_size)
        self.dataset, self.batch_size = dataset, int(batch_size)
        self.shuffle, self.drop_last, self.collate = bool(shuffle), bool(drop_last), collate
        self.rng = generator(rng)
        self._order: Array | None = None
        self._position = 0  # batches handed out of this epoch
        self._resumed = False

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        if not self._resumed:
            self._order = self.rng.permutation(len(self.dataset)) if self.shuffle else None
            self._position = 0
        self._resumed = False
        order = np.arange(len(self.dataset)) if self._order is None else self._order
        for at in range(self._position, len(self)):
            self._position = at + 1
            yield self._batch(order[at * self.batch_size : (at + 1) * self.batch_size])

    def _batch(self, indices: Array) -> Any:
        source = self.dataset
        while type(source) is Subset:
            source = source.dataset
        if self.collate is None and type(source) is TensorDataset:
            return self.dataset[indices]
        return (self.collate or collate)([self.dataset[int(i)] for i in indices])

    def state_dict(self) -> dict[str, Any]:
        """Return the order of this epoch and how far it is.

        The generator is not a part of it: what else draws from it decides its state.

        Returns:
            `{"order": indices or None, "position": number of batches handed out}`.

        >>> loader = rg.data.DataLoader(rg.data.TensorDataset(np.arange(6)), batch_size=2)
        >>> _ = next(iter(loader))
        >>> loader.state_dict()
        {'order': None, 'position': 1}
        """
        order = None if self._order is None else self._order.copy()
        return {"order": order, "position": self._position}

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
        self._order, self._position = order, position
        self._resumed = 0 < position < batches


def collate(samples: list[Any]) -> Any:
    """Return a batch: samples stacked along a new first axis.

    Args:
        samples: a list of arrays, Tensors or numbers of one shape; or of tuples, lists or dicts
            of them.

    Returns:
        An array or a Tensor with one axis more; or a tuple or dict of them.

    >>> rg.data.collate([(1.0, 2), (3.0, 4)])
    (array([1., 3.]), array([2, 4]))
    """
    first = samples[0]
    if isinstance(first, Mapping):
        return {key: collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(collate(list(part)) for part in zip(*samples, strict=True))
    return np.stack(samples)
