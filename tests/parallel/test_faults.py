"""Where one rank fails, all end in bounded time, with its message; a late one is waited for."""

import subprocess
import sys

import pytest

from parallel.launch import LIMIT, environment, launch, mpiexec, needs_mpi

pytestmark = needs_mpi

SOON = 20.0  # seconds, the start and a loaded machine included


@pytest.mark.parametrize(
    ("fault", "messages"),
    [
        ("raise", ["rank 1 of 3 fails", "ArithmeticError: the brew is cold"]),
        ("nan", ["epoch 2, batch 1: the loss or its gradients are not finite: on rank 1 the "
                 "input has nan at (0, 2). Model and optimizer are as they were"]),
        ("exit", ["rank 1 has ended, and rank", "waits for it", "all ranks end"]),
    ],
    ids=["an exception", "a nan", "an early end"],
)  # fmt: skip
def test_a_fault_of_one_rank_ends_all_with_its_message(fault, messages, tmp_path):
    done = launch(3, "fitting.py", tmp_path / "h.npz", "", 3, fault, 5, check=False)
    assert done.code != 0
    assert done.seconds < SOON
    for message in messages:
        assert message in done.err


LATE = """
import sys, time
import numpy as np
import retrograd as rg
w = rg.nn.Parameter([1.0])
late, timeout = map(float, sys.argv[1:])
optimizer = rg.parallel.DataParallel(rg.optim.SGD([w], lr=1.0), timeout=timeout)
if rg.parallel.rank() == 1:
    time.sleep(late)
w.grad = np.array([1.0 + rg.parallel.rank()])
optimizer.step()
assert w.data[0] == -0.5
"""


@pytest.fixture(scope="module", autouse=True)
def patient():
    """Start a run with a rank that is 10 s late, beside the other tests."""
    command = [mpiexec(), "-n", "2", sys.executable, "-W", "error", "-c", LATE, "10", "100"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    yield process
    process.kill()
    process.wait()


def test_a_rank_that_does_not_come_within_the_timeout_ends_all():
    done = launch(2, LATE, 50, 1.5, check=False)
    assert done.code != 0
    assert done.seconds < SOON
    assert "rank 0 has waited 2 s for the other ranks" in done.err


DIFFERENT = """
import numpy as np
import retrograd as rg

rank = rg.parallel.rank()

def tell(make):
    try:
        make()
    except rg.parallel.RanksDifferError as error:
        if rank == 0:
            print(error)
    else:
        raise AssertionError("nobody has told")

def model(width):
    return rg.nn.Linear(2, width, rng=0)

def parallel(net, lr=0.1):
    return rg.parallel.DataParallel(rg.optim.SGD(net.parameters(), lr=lr), net)

tell(lambda: parallel(model(1 + rank)))
tell(lambda: parallel(model(1), lr=0.1 + rank))

net = model(1)
optimizer = parallel(net)
net.weight.grad = np.ones((1, 2))
if rank:
    net.bias.grad = np.ones(1)
tell(optimizer.step)

def loss(x):
    return abs(x).sum() if rank else (x * x).sum()

@rg.compile
def step(x):
    optimizer.zero_grad()
    value = loss(net(x))
    value.backward()
    optimizer.step()
    return value

before = net.weight.data.copy()
tell(lambda: step(np.ones((3, 2))))
assert np.array_equal(before, net.weight.data)

tell(lambda: rg.parallel.broadcast(1) if rank else rg.parallel.allreduce(1.0))
# later, sums are compared when they are new
optimizer.group.count = 10_000
tell(lambda: rg.parallel.allreduce(np.zeros((2, 3) if rank else (3, 2))))
"""


def test_ranks_that_differ_are_told_at_the_first_step():
    found = launch(2, DIFFERENT).out.splitlines()
    said = [
        "the shapes of parameters: rank 0 has [[(1, 2, 'float64'), (1, 'float64')]]; rank 1 has",
        "the optimizer: rank 0 has ('SGD', [{'lr': 0.1,",
        "rank 0: allreduce of gradients of 1 parameters",
        "the ranks run other programs: rank 1 calls absolute where rank 0 calls multiply",
        "rank 1: broadcast of values of rank 0",
        "rank 0: allreduce of (3, 2) of float64: 6 numbers of float64; rank 1: allreduce of (2, 3)",
    ]
    assert len(found) == len(said)
    for line, part in zip(found, said, strict=True):
        assert part in line


LATER = """
import sys
import numpy as np
import retrograd as rg
w = [rg.nn.Parameter(np.ones(40)), rg.nn.Parameter(np.ones(30))]
optimizer = rg.parallel.DataParallel(rg.optim.SGD(w))
group, rank = optimizer.group, rg.parallel.rank()
what = sys.argv[1]
for i in range(4):
    if i == 1:
        group.count = 10_000
    if i == 2 and rank == 0:
        if what == "barrier":
            rg.parallel.barrier()
        elif what == "broadcast":
            rg.parallel.broadcast(1.0)
    for p in w[: 1 if (what, rank, i) == ("gradient", 1, 2) else 2]:
        p.grad = np.ones(p.shape)
    optimizer.step()
    optimizer.zero_grad()
"""


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("gradient", "the ranks wait for each other: rank"),
        ("barrier", "the ranks wait for each other: rank"),
        ("broadcast", "sums up gradients of 2 parameters"),
    ],
)
def test_ranks_that_come_to_differ_later_end_too(what, message):
    done = launch(3, LATER, what, check=False)
    assert done.code != 0
    assert done.seconds < SOON
    assert message in done.err


def test_processes_that_cannot_find_each_other_are_told():
    code = "import sys; sys.modules['mpi4py'] = None; import retrograd as rg; rg.parallel.size()"
    done = launch(2, code, check=False)
    assert "this is one of 2 processes, which need mpi4py to work together" in done.err


def test_a_rank_that_is_ten_seconds_late_is_waited_for(patient):
    _, err = patient.communicate(timeout=LIMIT)
    assert patient.returncode == 0, err
