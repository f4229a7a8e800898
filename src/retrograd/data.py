"""Batches over arrays."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.checks import whole
from retrograd.engine import Array, Tensor
from retrograd.random import RngLike, generator


class TensorDataset:
    """Arrays with first axes of one length; item `i` is a tuple of theirs.

    >>> data = rg.data.TensorDataset(np.arange(6).reshape(3, 2), np.array([0, 1, 0]))
    >>> data[1]
    (array([2, 3]), np.int64(1))
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = tuple(a.detach() if isinstance(a, Tensor) else np.asarray(a) for a in arrays)
        shapes = [a.shape for a in self.arrays]
        if () in shapes or len({shape[0] for shape in shapes}) != 1:
            got = shapes or "no arrays"
            raise ValueError(f"TensorDataset takes first axes of one length, not {got}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(a[index] for a in self.arrays)


class Subset:
    """The samples of a data set at `indices`.

    >>> rg.data.Subset(rg.data.TensorDataset(np.array([10, 11, 12])), [2, 0])[0]
    (np.int64(12),)
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | Array) -> None:
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


def random_split(dataset: Any, lengths: Sequence[float], rng: RngLike = None) -> list[Subset]:
    """Return subsets that share no sample and together have all.

    `lengths` are numbers of samples, or fractions, rounded. Raises ValueError if they do not add
    up.

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
    """Batches of a data set, in order or, with `shuffle`, in one `rng` draws every epoch.

    `drop_last` leaves out a last one smaller than `batch_size`. `collate` makes a batch of a list
    of samples.

    >>> data = rg.data.TensorDataset(np.arange(5) * 10)
    >>> [x.tolist() for x, in rg.data.DataLoader(data, batch_size=2)]
    [[0, 10], [20, 30], [40]]
    """

    def __init__(
        self, dataset: Any, batch_size: int = 1, shuffle: bool = False, *, rng: RngLike = None,
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
        """Return the order of this epoch and how far it is, not the generator."""
        order = None if self._order is None else self._order.copy()
        return {"order": order, "position": self._position}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken; ValueError if it does not fit."""
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
    """Stack samples along a new first axis: arrays, numbers, tuples or dicts of them.

    >>> rg.data.collate([(1.0, 2), (3.0, 4)])
    (array([1., 3.]), array([2, 4]))
    """
    first = samples[0]
    if isinstance(first, Mapping):
        return {key: collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(collate(list(part)) for part in zip(*samples, strict=True))
    return np.stack(samples)
