import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrograd as rg
from retrograd.data.sampler import MIXED


@given(count=st.integers(0, 300), block=st.integers(1, 9))
def test_an_order_of_blocks_has_every_sample_once_and_few_blocks_at_a_time(count, block):
    order = rg.data.Sampler(True, 0, block).order(count)
    assert sorted(order.tolist()) == list(range(count))
    at_once = MIXED * block
    for start in range(0, count, at_once):
        # a shorter last block shifts the borders of mixtures by what it lacks
        assert len({*(order[start : start + at_once] // block)}) <= 2 * MIXED


def test_orders_of_blocks_differ_between_epochs_and_mix_their_samples():
    sampler = rg.data.Sampler(True, 0, 10)
    first, second = sampler.order(200), sampler.order(200)
    assert (first != second).any()
    assert len({*(first[:10] // 10)}) > 3


def test_without_shuffle_there_is_no_order():
    assert rg.data.Sampler().order(3) is None


def test_what_cannot_be_is_refused():
    with pytest.raises(TypeError, match="shuffle is True or False, not a TensorDataset"):
        rg.data.Sampler(rg.data.TensorDataset(np.ones(3)))
    with pytest.raises(ValueError, match="block_size must be a whole number of at least 1"):
        rg.data.Sampler(block_size=0)
    data = rg.data.TensorDataset(np.ones(3))
    with pytest.raises(ValueError, match="the sampler decides"):
        rg.data.DataLoader(data, shuffle=True, sampler=rg.data.Sampler())
    with pytest.raises(TypeError, match="sampler is a Sampler, not list"):
        rg.data.DataLoader(data, sampler=[2, 1])


def test_a_part_of_each_batch_is_what_a_sampler_says():
    class Last(rg.data.Sampler):
        def part(self, batch):
            return batch[2:]

    class Words(list):
        pass

    loader = rg.data.DataLoader(rg.data.TensorDataset(np.arange(5)), 3, sampler=Last())
    assert [x.tolist() for (x,) in loader] == [[2], []]
    first, second = rg.data.DataLoader(Words([(1.0, 2)] * 5), 3, sampler=Last())
    assert [a.shape for a in (*first, *second)] == [(1,), (1,), (0,), (0,)]
