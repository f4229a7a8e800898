"""A thread reads ahead: what comes, what fails and where a run stands are as without it."""

import sys
import threading

import numpy as np
import pytest

from data.processes import assert_a_fork_is_told
from retrograd.data import DataLoader, TensorDataset
from retrograd.data.prefetch import read_ahead


def threads():
    return [t for t in threading.enumerate() if t.name == "retrograd prefetch"]


def test_no_more_is_read_than_may_wait():
    taken, wanted = [], threading.Semaphore(0)

    def items():
        for i in range(10):
            taken.append(i)
            wanted.release()
            yield i

    ahead = read_ahead(items(), 2)
    assert next(ahead) == 0
    for _ in range(4):  # one handed out, two that wait, one that waits for a place
        assert wanted.acquire(timeout=10)
    assert not wanted.acquire(timeout=0.2)
    assert taken == [0, 1, 2, 3]
    assert list(ahead) == list(range(1, 10))
    assert not threads()


def test_the_thread_ends_where_the_iteration_does():
    for _ in DataLoader(TensorDataset(np.arange(100)), 1, prefetch=3):
        assert threads()
        break
    assert not threads()


def test_what_fails_fails_in_its_place():
    class Broken(list):
        def __getitem__(self, index):
            if index == 2:
                raise OSError("the disk is gone")
            return float(index)

    seen = []
    with pytest.raises(OSError, match="the disk is gone"):
        seen.extend(batch.item() for batch in DataLoader(Broken([0.0] * 4), 1, prefetch=2))
    assert not threads()
    assert not seen or seen == [0.0, 1.0]


def test_the_position_is_that_of_what_was_handed_out():
    loader = DataLoader(TensorDataset(np.arange(20)), 2, True, rng=0, prefetch=4)
    iterator = iter(loader)
    first = [next(iterator)[0].tolist() for _ in range(3)]
    state = loader.state_dict()
    assert state["position"] == 3
    rest = [x.tolist() for (x,) in iterator]
    again = DataLoader(TensorDataset(np.arange(20)), 2, True, rng=9, prefetch=4)
    again.load_state_dict(state)
    assert [x.tolist() for (x,) in again] == rest
    assert sorted(n for batch in first + rest for n in batch) == list(range(20))


@pytest.mark.skipif(sys.platform == "win32", reason="it has no fork")
def test_a_forked_process_is_told_that_nobody_reads_ahead_for_it():
    iterator = iter(DataLoader(TensorDataset(np.arange(100)), 1, prefetch=2))
    next(iterator)
    assert_a_fork_is_told(iterator)
    assert len(list(iterator)) == 99
