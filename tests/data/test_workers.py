"""Worker processes read: what comes and where a run stands are as without them."""

import copy
import functools
import mmap
import multiprocessing
import pickle
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrograd as rg
from data.processes import FORK, LIMIT, WAYS, forks, spawns
from data.samples import BESIDE, Drawing, Makes, Squares, first_of, row_and_sum
from retrograd.data import DataLoader, Subset, TensorDataset
from retrograd.data.draws import Draws, generators_in


def plain(batches):
    """Return batches as lists, to compare them."""
    return [rg.tree.map(lambda a: (type(a), np.asarray(a).tolist()), batch) for batch in batches]


# What comes


@forks
@given(
    count=st.integers(0, 20), size=st.integers(1, 8), shuffle=st.booleans(), drop=st.booleans(),
    workers=st.integers(1, 3), ahead=st.integers(0, 5),
)  # fmt: skip
def test_batches_are_those_of_a_loader_without_workers(count, size, shuffle, drop, workers, ahead):
    options = {"rng": 0, "drop_last": drop}
    loader = DataLoader(Squares(count), size, shuffle, **options)
    other = DataLoader(
        Squares(count), size, shuffle, num_workers=workers, prefetch=ahead, **FORK, **options
    )
    for _ in range(2):
        assert plain(other) == plain(loader)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_starting_processes_gives_the_same(way):
    options = {"num_workers": 2, "multiprocessing_context": way}
    assert plain(DataLoader(Squares(), 5, **options)) == plain(DataLoader(Squares(), 5))
    part = Subset([1.0, 2.0], [1, 0])
    assert list(DataLoader(part, collate=first_of, **options)) == [2.0, 1.0]


@pytest.mark.parametrize("way", WAYS)
def test_the_default_dtype_is_that_of_this_process(way):
    before = rg.get_default_dtype()
    rg.set_default_dtype(np.float32)
    try:
        (batch,) = DataLoader(Makes(), 12, num_workers=1, multiprocessing_context=way)
    finally:
        rg.set_default_dtype(before)
    assert batch.dtype == np.float32


@forks
def test_a_loader_can_be_copied_and_pickled():
    loader = DataLoader(Squares(), 5, num_workers=2, **FORK)
    for other in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        assert plain(other) == plain(loader)


def parts():
    x = np.arange(24.0).reshape(12, 2)
    return {
        "arrays": TensorDataset(x, np.arange(12)),
        "arrays and Tensors": TensorDataset(rg.Tensor(x.astype(np.float32)), np.asfortranarray(x)),
        "a part": Subset(TensorDataset(x), [3, 1, 2]),
        "texts": [["a", np.str_("bcd")], ["ef", np.str_("g")]],
        "no numbers": [np.zeros((0, 3))] * 3,
        "complex": [(1j, None)] * 2,
    }


@forks
@pytest.mark.parametrize("kind", parts())
@pytest.mark.parametrize("block", [None, 3])
def test_kinds_of_samples_come_as_they_are(kind, block):
    dataset = parts()[kind]
    options = {"block_size": block, "shuffle": True, "rng": 0}
    if kind == "complex":
        options["collate"] = list
    loader = DataLoader(dataset, 2, **options)
    assert plain(DataLoader(dataset, 2, num_workers=2, **FORK, **options)) == plain(loader)


@forks
def test_a_batch_can_be_written_to():
    for batch in DataLoader(Squares(), 4, num_workers=1, **FORK):
        batch["row"] += 1
        batch["square"] *= 2


@forks
def test_no_more_is_read_than_may_wait():
    was_read, wanted = mmap.mmap(-1, 100), multiprocessing.get_context("fork").Semaphore(0)

    class Watched(Squares):
        def __getitem__(self, index):
            was_read[index] = 1
            wanted.release()
            return np.zeros(100_000)  # more than a pipe holds

    for ahead, most in ((0, 2 * 2 + 1), (3, 4 + 1), (6, 6 + 1)):
        was_read[:] = bytes(100)
        for _ in DataLoader(Watched(100), 1, num_workers=2, prefetch=ahead, **FORK):
            for _ in range(most):
                assert wanted.acquire(timeout=LIMIT)
            assert not wanted.acquire(timeout=0.2)
            assert was_read[:] == b"\1" * most + bytes(100 - most)
            break


# Where a run stands


@forks
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("position", [0, 1, 3, 4])
def test_a_loader_goes_on_exactly_where_a_state_was_taken(shuffle, position, tmp_path):
    rng = np.random.default_rng(0)
    loader = DataLoader(Drawing(), 3, shuffle, rng=rng, num_workers=2, **FORK)
    list(loader)
    iterator = iter(loader)
    for _ in range(position):
        next(iterator)
    rg.save({"loader": loader.state_dict(), "rng": rng.bit_generator.state}, tmp_path / "s.npz")
    if position == 0:
        iterator = ()  # it has not begun
    rest = plain(iterator) + plain(loader)
    saved = rg.load(tmp_path / "s.npz")
    rng = np.random.default_rng(9)
    other = DataLoader(Drawing(), 3, shuffle, rng=rng, num_workers=3, **FORK)
    other.load_state_dict(saved["loader"])
    rg.random.restore(rng, saved["rng"])
    found = plain(other) if 0 < position < 4 else []
    assert found + plain(other) == rest


@forks
def test_states_go_between_loaders_with_and_without_workers():
    both = [DataLoader(Squares(), 5, num_workers=n, **(FORK if n else {})) for n in (0, 2)]
    for one, other in (both, both[::-1]):
        iterator = iter(one)
        next(iterator)
        other.load_state_dict(one.state_dict())
        assert plain(other) == plain(iterator)


@forks
def test_a_run_of_fit_repeats_with_any_number_of_workers():
    found = []
    for n in (1, 3):
        model = rg.nn.Linear(8, 1, rng=0)
        loader = DataLoader(Drawing(), 5, True, rng=0, num_workers=n, collate=row_and_sum, **FORK)
        optimizer = rg.optim.SGD(model.parameters(), lr=0.1)
        options = {"epochs": 2, "progress": False}
        found.append(rg.fit(model, loader, rg.nn.MSELoss(), optimizer, **options)["loss"])
    assert found[0] == found[1]


# Random numbers


def drawn(**options):
    """Return what each sample of two epochs has drawn, (epochs, samples, generators)."""
    loader = DataLoader(Drawing(), shuffle=True, **{"rng": 0, "batch_size": 5} | options)
    epochs = [[(int(i), row) for b in loader for i, row in zip(*b, strict=True)] for _ in range(2)]
    return np.array(
        [[row for _, row in sorted(epoch, key=lambda pair: pair[0])] for epoch in epochs]
    )


@forks
def test_draws_depend_on_the_epoch_and_the_sample_alone():
    rg.manual_seed(0)
    first = drawn(num_workers=1, **FORK)
    rg.manual_seed(1)
    for options in ({"num_workers": 3}, {"num_workers": 2, "batch_size": 4}):
        np.testing.assert_array_equal(drawn(**options, **FORK), first)
    assert len(np.unique(first)) == first.size == 2 * 12 * 8
    assert not np.isin(drawn(num_workers=2, rng=1, **FORK), first).any()


@spawns
@forks
def test_draws_are_the_same_however_processes_start():
    first = drawn(num_workers=1, **FORK)
    np.testing.assert_array_equal(drawn(num_workers=1, multiprocessing_context="spawn"), first)


@forks
def test_the_generators_of_this_process_stay_as_they_are():
    rng, dataset = np.random.default_rng(0), Drawing()
    states = [rng.bit_generator.state, rg.random.generator().bit_generator.state, random.getstate()]
    own = dataset.other.bit_generator.state["state"]["key"].tolist()
    assert len(list(DataLoader(dataset, 5, rng=rng, num_workers=2, **FORK))) == 3
    after = [rng.bit_generator.state, rg.random.generator().bit_generator.state, random.getstate()]
    assert after == states
    assert dataset.other.bit_generator.state["state"]["key"].tolist() == own


def test_generators_are_found_wherever_an_object_reaches_them():
    made = [np.random.default_rng() for _ in range(5)]
    lonely = np.random.default_rng()
    dataset = Drawing()

    class Holder:
        def method(self):
            return lonely

    holder = Holder()
    holder.itself, holder.steps, holder.data = holder, ({"a": [made[0], None]},), np.zeros(3)
    holder.again, holder.many = made[0], [np.random.default_rng()] * 101
    holder.part = functools.partial(max, made[1], key=lambda: made[2])
    holder.default = lambda rng=made[3]: rng
    dataset.bound, dataset.cls = holder.method, Holder
    found = generators_in([dataset, "text", 3])
    own = [dataset.steps[0]["rng"], dataset.steps[1], dataset.legacy, dataset.other, BESIDE]
    wanted = [*own, made[0], made[1], made[2], made[3], lonely]
    # what the lambdas close over is a list: all of it
    assert {*map(id, found)} == {*map(id, [*wanted, made[4]])}
    assert len(found) == len(wanted) + 1


@given(seed=st.integers(0, 2**63 - 1), index=st.integers(0, 2**40))
def test_a_state_follows_from_seed_and_index(seed, index):
    rng = [np.random.Generator(kind(0)) for kind in (np.random.PCG64, np.random.Philox)]
    kept = rg.random.generator().bit_generator.state, random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        found = []
        for s, i in ((seed, index), (seed, index + 1), (seed + 1, index), (seed, index)):
            rng[0].integers(10, dtype=np.int32)  # keeps half a draw
            Draws(s, rng)(i)
            found.append([(each.integers(2**31, dtype=np.int32), each.random()) for each in rng])
        assert found[0] == found[3]
        assert len({draw for each in found[:3] for draw in each}) == 6
    finally:
        rg.random.generator().bit_generator.state = kept[0]
        random.setstate(kept[1])
        np.random.set_state(kept[2])  # noqa: NPY002
