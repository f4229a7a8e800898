"""Vectors are added up in shared memory as by messages: the same on all ranks, bit for bit."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel.launch import launch, needs_mpi, needs_shared_memory
from retrograd.parallel import exchange

vectors_of_three = st.lists(st.integers(-99, 99), min_size=3, max_size=3)


@given(st.lists(st.tuples(vectors_of_three, st.integers(0, 4)), min_size=1))
def test_a_weighted_sum_is_made_but_for_its_factor(terms):
    vectors = [np.array(values, float) for values, _ in terms]
    weights = [float(weight) for _, weight in terms]
    whole = sum(w * v for v, w in zip(vectors, weights, strict=True))
    first = vectors[0].copy()
    for vector, weight in zip(vectors, weights, strict=True):
        vector[:] = vector if weight else np.nan
    out = np.empty(3)
    factor = exchange.add_up([*zip(vectors, weights, strict=True)], out)
    np.testing.assert_allclose(factor * out, whole, atol=1e-9)
    np.testing.assert_array_equal(vectors[0], first if weights[0] else np.nan)  # read only


def test_who_waits_long_asks_seldom(monkeypatch):
    class Clock:
        def __init__(self):
            self.now, self.asked = 0.0, 0

        def perf_counter(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds

        def Test(self):
            self.asked += 1
            self.now += 1e-6
            return self.now >= self.end

    for end, most, late in [(0.0005, 600, 2e-6), (0.1, 1100, 0.0125), (10.0, 2200, 0.011)]:
        clock = Clock()
        clock.end = end
        monkeypatch.setattr(exchange, "time", clock)
        exchange.wait_for(clock)
        assert clock.asked < most
        assert end <= clock.now < end + late


def test_where_memory_has_no_room_no_file_is_left(monkeypatch, tmp_path):
    monkeypatch.setattr(exchange, "FOLDER", str(tmp_path))

    def refuse(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    assert exchange.make_file(100) == ""
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr(exchange, "FOLDER", str(tmp_path / "nowhere"))
    assert exchange.make_file(100) == ""


SUMS = """
import sys
import numpy as np
import retrograd as rg
from retrograd.parallel import exchange
from retrograd.parallel.group import world

group, rank, size = world(), rg.parallel.rank(), rg.parallel.size()
rng = np.random.default_rng(0)  # the same on all ranks

def check(n, dtype, weights, way, mean):
    every = rng.normal(size=(size, n)).astype(dtype)
    whole = np.einsum("r,rn->n", np.array(weights), every.astype(float))
    if mean:
        whole /= max(sum(weights), 1)
    mine = every[rank].copy()
    if weights[rank] == 0:
        mine[:] = np.nan
    before, out = mine.copy(), np.full(n, np.nan, dtype)
    square = way(mine, out, 7.0, weights[rank], mean)
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(out, whole, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(mine, before)
    assert np.isclose(square, out.dot(out), rtol=1e-4)
    assert {*group.gather((out.tobytes(), square))} == {(out.tobytes(), square)}

assert group._memory.has_room(80_000)
for way in (group._memory, group._messages):
    for n in (1, 2, 5, 64, 1000, 3001, 10_000):
        for dtype in (np.float32, np.float64):
            check(n, dtype, [1.0] * size, way, False)
            for weights in ([8.0] * size, [*range(3, 3 + size)], [*range(size)], [0] * size):
                check(n, dtype, [*map(float, weights)], way, True)

# vectors of other lengths follow at once, while others may still read the sums of the last
sums = []
lengths = rng.integers(1, 10_000, 300)
for i, n in enumerate(lengths):
    x, out = np.arange(n) + float(i), np.empty(n)
    group._memory(x * (rank + 1), out, 7.0, 1.0, False)
    np.testing.assert_array_equal(out, x * (size * (size + 1) // 2))

try:
    group._memory(x, out, 7.0 + rank, 1.0, False)
except exchange.DifferentSums:
    pass
else:
    raise AssertionError("nobody has told")
"""


@needs_mpi
@needs_shared_memory
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_sums_in_shared_memory_are_those_of_numpy(ranks):
    launch(ranks, SUMS)


NOTHING_LEFT = """
import numpy as np
import retrograd as rg

def maps():
    with open("/proc/self/maps") as file:
        return [line for line in file if "/dev/shm/retrograd" in line]

for i in range(30):
    w = rg.nn.Parameter(np.ones(20_000 + 1000 * i))
    optimizer = rg.parallel.DataParallel(rg.optim.SGD([w], lr=1.0))
    w.grad = np.ones(w.shape)
    optimizer.step()
    assert not w.data.any()
    assert len(maps()) == 1, maps()
    # memory of the last vector, a box for each two ranks, and nothing else
    start, end = (int(part, 16) for part in maps()[0].split()[0].split("-"))
    assert end - start < 2 * w.data.nbytes + 5000
    assert maps()[0].rstrip().endswith("(deleted)")
"""


@needs_mpi
@needs_shared_memory
def test_memory_grows_with_the_vectors_and_leaves_nothing():
    launch(2, NOTHING_LEFT)


NO_MEMORY = """
import sys
import numpy as np
import retrograd as rg
from retrograd.parallel import exchange

fault, rank = sys.argv[1], rg.parallel.rank()
if fault == "nowhere":
    exchange.FOLDER = "/no/such/folder"
elif rank == 1:  # as on another machine
    exchange.map_file = lambda path, nbytes: None
w = rg.nn.Parameter(np.ones(20_000))
optimizer = rg.parallel.DataParallel(rg.optim.SGD([w], lr=1.0))
for i in range(2):
    w.grad = np.full(w.shape, 1.0 + rank)
    optimizer.step(batch_size=1 + rank)
np.testing.assert_allclose(w.data, 1 - 2 * 5 / 3)
"""


@needs_mpi
@pytest.mark.parametrize("fault", ["nowhere", "another machine"])
def test_ranks_that_share_no_memory_send_messages(fault):
    launch(2, NO_MEMORY, fault)
