"""Where one rank fails, all end in bounded time, with its message; a late one is waited for."""

import os
import subprocess
import sys

import pytest

from parallel.launch import LIMIT, environment, launch, mpiexec, needs_mpi, needs_shared_memory

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


# lengths of which gradients are added up by messages, and in shared memory
LENGTHS = [1, 20_000]

NOT_FINITE = """
import sys
import numpy as np
import retrograd as rg
length, rank = int(sys.argv[1]), rg.parallel.rank()
w = rg.nn.Parameter(np.ones(length, np.float32))
optimizer = rg.parallel.DataParallel(rg.optim.SGD([w], lr=1.0))
largest = np.finfo(np.float32).max
for wrong in ([0.0, np.nan], [0.0, np.inf], [-np.inf, np.inf], [largest, largest]):
    w.grad = np.zeros(length, np.float32)
    w.grad[-1] = wrong[rank]
    try:
        optimizer.step()
    except rg.parallel.NotFiniteError as error:
        if rank == 0:
            print(error)
assert (w.data == 1).all()
# large, but finite: the sum of squares is not
w.grad[-1] = largest / 4
optimizer.step()
assert np.isclose(w.data[-1], -largest / 4)
"""


@pytest.mark.parametrize("length", LENGTHS)
def test_numbers_that_are_not_finite_are_told_on_all_ranks(length):
    lines = launch(2, NOT_FINITE, length).out.splitlines()
    said = ["rank 1 has 1", "rank 1 has 1", "rank 0 has 1, rank 1 has 1", "their sum overflows"]
    assert len(lines) == len(said)
    for line, part in zip(lines, said, strict=True):
        assert part in line


LATE = """
import sys, time
import numpy as np
import retrograd as rg
length = int(sys.argv[1])
w = rg.nn.Parameter(np.ones(length))
late, timeout = map(float, sys.argv[2:])
optimizer = rg.parallel.DataParallel(rg.optim.SGD([w], lr=1.0), timeout=timeout)
if rg.parallel.rank() == 1:
    time.sleep(late)
w.grad = np.full(length, 1.0 + rg.parallel.rank())
optimizer.step()
assert (w.data == -0.5).all()
"""


@pytest.fixture(scope="module", autouse=True)
def patient():
    """Start runs with a rank that is 10 s late, beside the other tests."""
    start = [mpiexec(), "-n", "2", sys.executable, "-W", "error", "-c", LATE]
    runs = {
        length: subprocess.Popen(
            [*start, str(length), "10", "100"],
            stderr=subprocess.PIPE, text=True, env=environment(),
        )
        for length in LENGTHS
    }  # fmt: skip
    yield runs
    for process in runs.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("length", LENGTHS)
def test_a_rank_that_does_not_come_within_the_timeout_ends_all(length):
    done = launch(2, LATE, length, 50, 1.5, check=False)
    assert done.code != 0
    assert done.seconds < SOON
    assert "rank 0 has waited 2 s for the other ranks" in done.err


WITHIN = """
import os, signal, sys, threading, time
import numpy as np
import retrograd as rg
from retrograd.parallel import exchange

fault, step = sys.argv[1:]
rank = rg.parallel.rank()
w = rg.nn.Parameter(np.ones(20_000))
optimizer = rg.parallel.DataParallel(rg.optim.SGD([w]))

def add_up(terms, out):
    # between the two meetings of the ranks
    if rank == 1 and updates == int(step):
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "raise":
            raise ArithmeticError("the brew is cold")
        elif fault == "exit":
            os._exit(3)
        elif fault.startswith("interrupt"):
            signal.raise_signal(signal.SIGINT)
        elif fault == "sleep":
            time.sleep(50)
    return real(terms, out)

real, exchange.add_up = exchange.add_up, add_up

def interrupt(signal, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
for updates in range(4):
    w.grad = np.ones(20_000)
    if fault == "sleep" and rank == 0 and updates == int(step):
        signal.alarm(2)  # while it waits for the other
    try:
        optimizer.step()
    except KeyboardInterrupt:
        if fault == "sleep":
            raise
        if fault == "interrupt and end":
            break
"""


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("kill", ""),
        ("raise", "the sum of gradients of 1 parameters"),
        ("exit", ""),
        ("interrupt", "rank 1 of 3 was interrupted in allreduce, call"),
        ("interrupt and end", "rank 1 has ended, and rank"),
        ("sleep", "KeyboardInterrupt"),
    ],
)
@needs_shared_memory
@pytest.mark.parametrize("step", [0, 2])
def test_a_fault_between_the_meetings_ends_all(fault, message, step):
    before = set(os.listdir("/dev/shm"))
    done = launch(3, WITHIN, fault, step, check=False)
    assert done.code != 0
    assert done.seconds < SOON
    assert message in done.err
    left = set(os.listdir("/dev/shm")) - before
    assert not [name for name in left if name.startswith("retrograd")]


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
w = [rg.nn.Parameter(np.ones(int(sys.argv[2]))), rg.nn.Parameter(np.ones(30))]
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
@pytest.mark.parametrize("length", LENGTHS)
def test_ranks_that_come_to_differ_later_end_too(what, length, message):
    done = launch(3, LATER, what, length, check=False)
    assert done.code != 0
    assert done.seconds < SOON
    assert message in done.err


def test_processes_that_cannot_find_each_other_are_told():
    code = "import sys; sys.modules['mpi4py'] = None; import retrograd as rg; rg.parallel.size()"
    done = launch(2, code, check=False)
    assert "this is one of 2 processes, which need mpi4py to work together" in done.err


@pytest.mark.parametrize("length", LENGTHS)
def test_a_rank_that_is_ten_seconds_late_is_waited_for(patient, length):
    _, err = patient[length].communicate(timeout=LIMIT)
    assert patient[length].returncode == 0, err
