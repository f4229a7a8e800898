"""Batches over arrays: data sets, loaders that shuffle, random splits, data larger than memory.

A data set is anything with a length and items: a list of samples, `TensorDataset`, or a class of
one's own with `__len__` and `__getitem__`.

**Larger than memory.** A `TensorDataset` reads arrays on files only where it is asked to:
`np.memmap` and `np.load(path, mmap_mode="r")`, many `.npy` files as one array (`Shards`), and
anything else with `shape`, `dtype` and slices, such as arrays of Zarr and h5py. A `DataLoader` with
`block_size` reads whole blocks, of samples that lie side by side, and mixes the samples of 8 of
them; with `prefetch`, a thread reads ahead, which pays where reading waits for a disk. It holds 16
blocks at most, and an order of 8 bytes a sample.
"""

from retrograd.data.batches import collate
from retrograd.data.datasets import Subset, TensorDataset, random_split
from retrograd.data.large import Shards
from retrograd.data.loader import DataLoader
from retrograd.data.sampler import Sampler
from retrograd.later import public_names

__all__ = [
    "DataLoader", "Sampler", "Shards", "Subset", "TensorDataset", "collate", "random_split",
]  # fmt: skip

__dir__ = public_names(__name__)
