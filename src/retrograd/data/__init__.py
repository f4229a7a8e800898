"""Batches over arrays: data sets, loaders that shuffle, random splits, data larger than memory.

A data set is anything with a length and items: a list of samples, `TensorDataset`, or a class of
one's own with `__len__` and `__getitem__`.

**Larger than memory.** A `TensorDataset` reads arrays on files only where it is asked to:
`np.memmap` and `np.load(path, mmap_mode="r")`, many `.npy` files as one array (`Shards`), and
anything else with `shape`, `dtype` and slices, such as arrays of Zarr and h5py. A `DataLoader` with
`block_size` reads whole blocks, of samples that lie side by side, and mixes the samples of 8 of
them; with `prefetch`, a thread reads ahead, which pays where reading waits for a disk. It holds 16
blocks at most, and an order of 8 bytes a sample.

**Workers.** A `DataLoader` with `num_workers` has batches read by processes of its own. That pays
where a sample takes Python or NumPy long, decoding, augmenting, and about as many times as there
are workers with a free core each. With samples of 100 to 150 us, the main process takes an eighth
of the time that it takes without workers; two workers, which take 15 % longer than it would, give
1.7 times the samples where cores are free (1.5 on two cores that did other work), and 0.8 where
none is; so does one worker, unless the training step takes long too
(`python -m benchmarks.loading`). Workers never pay for a `TensorDataset`, be it of files: to send a
batch takes longer than to index it, and the loop runs at 0.4 of its speed.

- The batches are those of a loader without workers, in their order, and `state_dict()` is exact.
- Memory: each worker holds the batches that it reads ahead, and blocks of its own where there is a
  `block_size`. Forked ones share the data set; under `"spawn"` each gets a copy by `pickle`, of a
  `np.memmap` too: open files in `__getitem__`, on first use.
- Random numbers: for each sample, `rg.random.generator()`, generators that the data set and
  `collate` have in their attributes, close over or stand beside in a module, and those of `random`
  and `np.random` get in its worker a state that follows from the loader's `rng`, the epoch and the
  index of the sample alone. So runs repeat, with any number of workers and of ranks, but draw
  otherwise than without workers.
- They start with each epoch, in some 10 ms each by `"fork"` and 250 ms by `"spawn"`, and end with
  it, or where the loop is left: what the data set keeps in a worker goes with it. Ctrl-C is for the
  main process only. One that is killed is an error at the `for`, and if the main process is, they
  end by themselves.
- A script that starts them by `"spawn"` or `"forkserver"` has its work under
  `if __name__ == "__main__":`, and its data set in a module or at its top.
- Threads of BLAS in each would share the same cores: set `OMP_NUM_THREADS=1` where samples need
  large products. On ranks (`rg.parallel`), each rank has its workers: count the cores.
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
