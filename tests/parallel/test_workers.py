"""Each rank has workers of its own, which end with it."""

import pytest

from parallel.launch import launch, needs_mpi

pytestmark = needs_mpi

SCRIPT = """
import multiprocessing, sys
import numpy as np
import retrograd as rg

class Data:
    def __len__(self):
        return 13

    def __getitem__(self, index):
        return index, rg.random.generator().random()

way, fault = sys.argv[1:]
if __name__ == "__main__":
    sampler = rg.parallel.DistributedSampler(rng=3)
    loader = rg.data.DataLoader(
        Data(), 4, sampler=sampler, num_workers=2, multiprocessing_context=way
    )
    samples = []
    for indices, draws in loader:
        samples += zip(indices.tolist(), draws.tolist(), strict=True)
        rg.parallel.allreduce(np.ones(1))
        if fault == "raise" and rg.parallel.rank() == 1:
            raise ArithmeticError("the brew is cold")
    found = [None] * rg.parallel.size()
    for rank in range(rg.parallel.size()):
        found[rank] = rg.parallel.broadcast(samples, rank)
    if rg.parallel.rank() == 0:
        print(sorted(sum(found, [])), multiprocessing.active_children())
"""


@pytest.fixture
def run(tmp_path):
    # processes that are spawned look for the class in a file
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return lambda ranks, way, fault="": launch(ranks, str(path), way, fault, check=not fault)


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_ranks_read_each_sample_once_with_the_draws_of_one_rank(run, way):
    alone = run(1, "fork").out
    assert alone.count("(") == 13
    assert run(3, way).out == alone


def test_the_workers_of_a_rank_that_fails_end_too(run):
    # the launcher ends when the last process that has its pipes does, in bounded time
    done = run(2, "fork", "raise")
    assert done.code != 0
    assert "ArithmeticError: the brew is cold" in done.err
