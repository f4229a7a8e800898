"""Arrays on files give the batches of arrays in memory, and are read a few blocks at a time."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrograd as rg
from retrograd.data import DataLoader, Shards, TensorDataset
from retrograd.data.sampler import MIXED

COUNT = 103


class Chunked:
    """An array such as Zarr's: it has a shape, a dtype, and slices along the first axis."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.read = []

    def __getitem__(self, index):
        assert isinstance(index, (slice, int)), index
        self.read.append(index)
        return self._array[index]


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(COUNT, 3)).astype(np.float32)


def kinds(x, folder):
    """Return the array in every way in which it may lie outside of memory."""
    np.save(folder / "x.npy", x)
    paths = [folder / f"part{i}.npy" for i in range(4)]
    for path, part in zip(paths, np.split(x, [10, 11, 60]), strict=True):
        np.save(path, part)
    raw = np.memmap(folder / "x.raw", x.dtype, "w+", shape=x.shape)
    raw[:] = x
    return {
        "npy": np.load(folder / "x.npy", mmap_mode="r"), "raw": raw, "shards": Shards(paths),
        "chunked": Chunked(x),
    }  # fmt: skip


@pytest.mark.parametrize("options", [
    {}, {"shuffle": True, "rng": 1}, {"block_size": 8},
    {"shuffle": True, "rng": 1, "block_size": 8},
    {"shuffle": True, "rng": 1, "block_size": 7, "prefetch": 3}, {"drop_last": True, "prefetch": 1},
], ids=str)  # fmt: skip
def test_batches_are_those_of_the_array_in_memory(x, tmp_path, options):
    y = np.arange(COUNT)
    right = list(DataLoader(TensorDataset(x, y), 10, **options))
    for array in kinds(x, tmp_path).values():
        loader = DataLoader(TensorDataset(array, rg.Tensor(y)), 10, **options)
        for (a, b), (c, d) in zip(loader, right, strict=True):
            assert type(a) is np.ndarray
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b.data, d)


def test_items_slices_and_indices_are_those_of_numpy(x, tmp_path):
    for array in kinds(x, tmp_path).values():
        data = TensorDataset(array)
        for index in (3, -1, slice(2, 70), slice(50, 5, -3), slice(5, 5), np.array([60, 3, 3, -2]),
                      np.array([[1, 2], [11, 10]]), np.array([], int)):  # fmt: skip
            (found,) = data[index]
            np.testing.assert_array_equal(found, x[index])


@given(ends=st.lists(st.integers(0, 20), min_size=1, max_size=4), a=st.integers(0, 25),
       b=st.integers(0, 25))  # fmt: skip
def test_slices_of_shards_of_any_lengths(tmp_path_factory, ends, a, b):
    folder = tmp_path_factory.mktemp("shards")
    paths, ends = [folder / f"{i}.npy" for i in range(len(ends) + 1)], sorted(ends)
    for path, part in zip(paths, np.split(np.arange(20), ends), strict=True):
        np.save(path, part)
    np.testing.assert_array_equal(Shards(paths)[a:b], np.arange(20)[a:b])


def test_blocks_are_read_once_an_epoch_and_no_more_than_two_mixtures_are_kept(x):
    array = Chunked(np.repeat(x, 20, axis=0))
    loader = DataLoader(TensorDataset(array), 16, shuffle=True, rng=0, block_size=20)
    for _ in loader:
        pass
    starts = [index.start for index in array.read]
    assert sorted(starts) == list(range(0, 20 * COUNT, 20))  # each block, whole and once
    assert len(starts) > 4 * MIXED


def test_each_rank_reads_its_blocks_only(x, monkeypatch):
    found = []
    for rank in range(2):
        sampler = rg.parallel.DistributedSampler(rng=0, block_size=5)
        monkeypatch.setattr(sampler, "rank", rank)
        monkeypatch.setattr(sampler, "num_replicas", 2)
        array = Chunked(x)
        batches = [b for (b,) in DataLoader(TensorDataset(array), 40, sampler=sampler)]
        found.append((batches, len(array.read)))
    plain = DataLoader(TensorDataset(x), 40, True, rng=np.random.default_rng(0), block_size=5)
    for one, two, (both,) in zip(found[0][0], found[1][0], plain, strict=True):
        assert abs(len(one) - len(two)) <= 1
        rows = {row.tobytes() for row in both}
        assert {row.tobytes() for row in np.concatenate([one, two])} == rows
    assert max(reads for _, reads in found) < 21 + 9  # of 21 blocks; some are at borders


def test_shards_that_do_not_fit_are_refused(tmp_path):
    for name, array in (("a", np.ones((2, 3))), ("b", np.ones((2, 4))), ("c", np.array(1.0))):
        np.save(tmp_path / f"{name}.npy", array)
    np.savez(tmp_path / "d.npz", x=1)
    a, b, c = (tmp_path / f"{name}.npy" for name in "abc")
    with pytest.raises(ValueError, match=r"differ in their first axis only, not \(2, 3\) float64"):
        Shards([a, b])
    with pytest.raises(ValueError, match="first axis only"):
        Shards([c])
    with pytest.raises(ValueError, match=r"no \.npy file of one array"):
        Shards([tmp_path / "d.npz"])
    with pytest.raises(ValueError, match="got no files"):
        Shards([])
    with pytest.raises(TypeError, match=r"takes a list of files, not one: \['.*a\.npy'\]"):
        Shards(a)
    (tmp_path / "e.npy").write_text("junk")
    (tmp_path / "f.npy").write_text("")
    for name in "ef":
        with pytest.raises(ValueError, match=rf"{name}\.npy is no \.npy file of numbers"):
            Shards([a, tmp_path / f"{name}.npy"])
    with pytest.raises(TypeError, match="Shards: wrap arrays in TensorDataset"):
        DataLoader(Shards([a]), 2)


@pytest.mark.parametrize("kind", ["shards", "chunked"])
@pytest.mark.parametrize(("index", "error", "message"), [
    ([COUNT], IndexError, f"there are {COUNT} samples, no {COUNT}"),
    (np.array([3, -COUNT - 1]), IndexError, f"samples, no {-COUNT - 1}"),
    (np.ones(5, bool), IndexError, r"a mask is \(103,\) bools, not \(5,\)"),
    ((1, 1), TypeError, r"picked by whole numbers, a slice or a mask, not by \(1, 1\)"),
    (None, TypeError, "not by None"), (..., TypeError, "not by Ellipsis"),
    (1.5, TypeError, "not by 1.5"), ("a", TypeError, "not by 'a'"),
], ids=str)  # fmt: skip
def test_what_picks_no_samples_is_refused(x, tmp_path, kind, index, error, message):
    data = TensorDataset(kinds(x, tmp_path)[kind])
    with pytest.raises(error, match=message):
        data[index]


@pytest.mark.parametrize("options", [
    {}, {"shuffle": True}, {"block_size": 4}, {"shuffle": True, "block_size": 4, "prefetch": 1},
], ids=str)  # fmt: skip
def test_an_array_that_gives_other_samples_than_its_shape_says_is_told(x, options):
    array = Chunked(x[:20])
    array.shape = (25, 3)
    message = r"of shape \(25, 3\) gave \(\d, 3\), not \(\d, 3\), for its samples \d+:\d+"
    with pytest.raises(ValueError, match=message):
        list(DataLoader(TensorDataset(array), 6, **options))


def test_arrays_of_other_libraries_that_numpy_takes_are_taken_as_before():
    class Other:
        shape, dtype = (2,), np.dtype(int)

        def __array__(self, dtype=None, copy=None):
            return np.array([1, 2])

        def __getitem__(self, index):
            raise AssertionError("it is to be converted")

    (found,) = TensorDataset(Other()).arrays
    np.testing.assert_array_equal(found, [1, 2])


MAPPED = """
import resource, sys
import numpy as np
import retrograd as rg

mapped = np.memmap(sys.argv[1], np.float32, "w+", shape=(50_000, 1000))  # 200 MB, all zeros
mapped[::1000] = 1.0
loader = rg.data.DataLoader(
    rg.data.TensorDataset(mapped), 250, shuffle=True, rng=0, block_size=250, prefetch=2
)
unit = 1 if sys.platform == "darwin" else 1000
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
del mapped
before = peak()
assert sum(float(x.sum()) for (x,) in loader) == 50_000
print(peak() - before)
"""


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="memory is let go on POSIX only")
def test_going_through_a_mapped_file_takes_the_memory_of_a_few_blocks(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(rg.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", MAPPED, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert float(done.stdout) < 60  # MB, of 200
