"""Arrays that are larger than memory: read slice by slice, where they are asked for."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from retrograd.data.sampler import MIXED
from retrograd.engine import Array, Tensor


def is_lazy(value: Any) -> bool:
    """Tell whether a value is an array that is read by slices, rather than one to be converted.

    Such has a shape, a dtype and items, and does not offer itself as an array of NumPy, unless it
    lies in chunks: so do arrays of Zarr, h5py and Dask.
    """
    if isinstance(value, (np.memmap, Shards)):
        return True
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        return False
    kind = type(value)
    like_array = hasattr(value, "shape") and hasattr(value, "dtype")
    like_array = like_array and hasattr(kind, "__getitem__")
    return like_array and (hasattr(value, "chunks") or not hasattr(kind, "__array__"))


def read(array: Any, index: Any) -> Any:
    """Return items of an array: of a lazy one a NumPy array in memory.

    Args:
        array: an array, a Tensor or a lazy array.
        index: a number, a slice, or whole numbers along one axis.
    """
    if isinstance(array, (np.memmap, Shards)):
        return np.array(array[index])
    if isinstance(array, (np.ndarray, Tensor)):
        return array[index]
    if isinstance(index, (int, np.integer)):
        return np.asarray(array[int(index)])
    if isinstance(index, slice):
        start, stop, step = index.indices(array.shape[0])
        if step > 0:
            return _read_slice(array, start, max(start, stop))[::step]
        index = np.arange(start, stop, step)
    return read_scattered(array, index)


def read_scattered(array: Any, index: Any) -> Array:
    """Return items at any indices of what has slices only, by as few slices as there are runs."""
    indices = _places(index, array.shape[0])
    places, inverse = np.unique(indices, return_inverse=True)
    if not places.size:
        return np.asarray(array[0:0])[indices]
    starts = np.flatnonzero(np.diff(places, prepend=places[0] - 2) != 1)
    ends = [*starts[1:], len(places)]
    runs = [
        _read_slice(array, int(places[a]), int(places[b - 1]) + 1)
        for a, b in zip(starts, ends, strict=True)
    ]
    return np.concatenate(runs)[inverse.reshape(indices.shape)]


def _places(index: Any, count: int) -> Array:
    """Return an index along the first axis as whole numbers from 0 to `count`."""
    if isinstance(index, tuple) or index is None or index is Ellipsis:
        indices = np.empty(0, object)
    else:
        indices = np.asarray(index)
    if indices.dtype.kind == "b":
        if indices.shape != (count,):
            raise IndexError(f"a mask is ({count},) bools, not {indices.shape}")
        return np.flatnonzero(indices)
    if indices.dtype.kind not in "iu" and not (indices.size == 0 and indices.dtype.kind == "f"):
        raise TypeError(
            f"samples are picked by whole numbers, a slice or a mask, not by {index!r}: read them "
            "first, and index what comes back"
        )
    out = indices[(indices < -count) | (indices >= count)]
    if out.size:
        raise IndexError(f"there are {count} samples, no {out[0]}")
    return np.where(indices < 0, indices + count, indices).astype(np.intp)


def _read_slice(array: Any, start: int, stop: int) -> Array:
    found = np.asarray(array[start:stop])
    wanted = (stop - start, *array.shape[1:])
    if found.shape != wanted:
        raise ValueError(
            f"an array of shape {tuple(array.shape)} gave {found.shape}, not {wanted}, for its "
            f"samples {start}:{stop}"
        )
    return found


def let_go(array: Any) -> None:
    """Let the memory go that reading a `np.memmap` has taken: the file keeps what it has.

    The pages of a file count as this process's memory once they were read.
    """
    mapped = getattr(array, "_mmap", None)
    # in the mode "c" what was written is in memory only
    if isinstance(mapped, mmap.mmap) and array.mode != "c" and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


class Shards:
    """Files of arrays, `.npy`, one behind the other along their first axis, as one array.

    Nothing is kept in memory: a slice reads what it needs of the files.

    Args:
        paths: the files, in order; their arrays have one dtype, and shapes that differ in the first
            axis only.

    Attributes:
        shape: the shape of all together.
        dtype: their dtype.

    Raises:
        TypeError: if `paths` is one file.
        ValueError: if there are none, a file is no `.npy`, or dtypes or shapes do not fit.
        OSError: if a file cannot be opened.

    >>> import pathlib, tempfile
    >>> paths = [pathlib.Path(tempfile.mkdtemp(), f"{i}.npy") for i in range(2)]
    >>> for i, path in enumerate(paths):
    ...     np.save(path, np.arange(3) + 10 * i)
    >>> shards = rg.data.Shards(paths)
    >>> shards.shape, shards[2:5]
    ((6,), array([ 2, 10, 11]))
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        if isinstance(paths, (str, os.PathLike)):
            raise TypeError(f"Shards takes a list of files, not one: [{os.fspath(paths)!r}]")
        self._paths = [os.fspath(path) for path in paths]
        if not self._paths:
            raise ValueError("Shards got no files")
        arrays = [_open(path) for path in self._paths]
        kinds = {(a.dtype, a.shape[1:]) for a in arrays}
        if len(kinds) > 1 or not all(a.ndim for a in arrays):
            each = ", ".join(f"{a.shape} {a.dtype}" for a in arrays[:8])
            raise ValueError(f"shards differ in their first axis only, not {each}")
        self._ends = np.cumsum([len(a) for a in arrays])
        self.dtype: np.dtype[Any] = arrays[0].dtype
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *arrays[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Shards({len(self._paths)} files, {self.shape}, {self.dtype})"

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return self._read(start, max(start, stop))
            return read_scattered(self, np.arange(start, stop, step))
        if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
            at = int(_places(index, len(self)).item())
            return self._read(at, at + 1)[0]
        return read_scattered(self, index)

    def _read(self, start: int, stop: int) -> Array:
        first, last = np.searchsorted(self._ends, [start, max(stop - 1, start)], side="right")
        parts = []
        for i in range(min(int(first), len(self._paths) - 1), min(int(last) + 1, len(self._paths))):
            begin = int(self._ends[i - 1]) if i else 0
            # opened anew, so that neither files nor their pages stay
            parts.append(np.array(_open(self._paths[i])[max(start - begin, 0) : stop - begin]))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _open(path: str) -> Array:
    try:
        found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is no .npy file of numbers: {error}") from error
    if not isinstance(found, np.ndarray):
        found.close()
        raise ValueError(f"{path} is no .npy file of one array")
    return found


class Blocks:
    """Reads a data set block by block, and keeps the blocks that were used last.

    Args:
        read: returns the samples of a slice, as a tuple of arrays.
        count: how many samples there are.
        block_size: how many samples a block has.
        arrays: what is read from, to let its memory go.
    """

    def __init__(
        self, read: Callable[[slice], Sequence[Any]], count: int, block_size: int,
        arrays: Sequence[Any],
    ) -> None:  # fmt: skip
        self._read, self._count, self._size, self._arrays = read, count, block_size, arrays
        self._kept: OrderedDict[int, Sequence[Any]] = OrderedDict()

    def samples(self, indices: Array) -> tuple[Any, ...]:
        """Return samples at indices, as the data set would."""
        blocks, which = np.unique(indices // self._size, return_inverse=True)
        parts = [self._block(int(block)) for block in blocks]
        # two mixtures of blocks meet in a batch
        while len(self._kept) > max(2 * MIXED, len(blocks)):
            self._kept.popitem(last=False)
        if not parts:
            return tuple(self._read(slice(0, 0)))
        within = indices % self._size
        return tuple(
            _pick([part[k] for part in parts], which, within) for k in range(len(parts[0]))
        )

    def _block(self, block: int) -> Sequence[Any]:
        if block in self._kept:
            self._kept.move_to_end(block)
        else:
            start = block * self._size
            self._kept[block] = self._read(slice(start, min(start + self._size, self._count)))
            for array in self._arrays:
                let_go(array)
        return self._kept[block]


def _pick(parts: Sequence[Any], which: Array, within: Array) -> Any:
    first = parts[0]
    if isinstance(first, Tensor):
        arrays = [part._array for part in parts]
        return Tensor(_pick(arrays, which, within))
    out = np.empty((len(which), *first.shape[1:]), first.dtype)
    for i, part in enumerate(parts):
        mine = which == i
        out[mine] = part[within[mine]]
    return out
