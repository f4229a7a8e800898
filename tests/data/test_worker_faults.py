"""What fails in a worker fails in its place, and however a loop ends, no process is left."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from data.processes import FORK, LIMIT, WAYS, assert_a_fork_is_told, forks, spawns
from data.samples import Drawing, Faulty, HangsAndIsKilled, Squares, row_and_sum
from retrograd.data import DataLoader

# What fails


@pytest.mark.parametrize("way", WAYS)
def test_what_fails_in_a_worker_fails_in_its_place_and_says_where(way):
    loader = DataLoader(Faulty("raise"), 2, num_workers=2, multiprocessing_context=way)
    with pytest.raises(FileNotFoundError, match="no such picture") as caught:
        list(loader)
    assert caught.value.filename == "7.png"
    (note,) = caught.value.__notes__
    assert "worker 1 of 2 failed at the sample at index 7" in note
    assert "samples.py" in note
    assert 'raise FileNotFoundError(2, "no such picture", "7.png")' in note


def take(loader, seen):
    """Fill a list with the batches, one by one, as long as they come."""
    for batch in loader:
        seen.append(batch.item())


@forks
def test_batches_before_a_fault_come_first():
    seen = []
    with pytest.raises(FileNotFoundError):
        take(DataLoader(Faulty("raise"), num_workers=3, **FORK), seen)
    assert seen == list(range(7))


@forks
@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("raise two", RuntimeError, "at the sample at index 7:(?s:.*)TwoWordsError: broken pict"),
        (
            "kill",
            RuntimeError,
            "was ended by SIGKILL while it read the sample at index 7; .*memory",
        ),
        ("exit", RuntimeError, "exit code 3 while it read the sample at index 7; num_workers=0"),
        ("graph", TypeError, r"cannot be sent from its worker: RuntimeError: .* use t.detach"),
        ("function", TypeError, "cannot be sent from its worker"),
    ],
)
def test_faults_are_told(fault, error, message):
    collate = list if fault == "function" else None
    loader = DataLoader(Faulty(fault), 2, num_workers=3, collate=collate, **FORK)
    with pytest.raises(error, match=message):
        list(loader)
    with pytest.raises(error, match=message):  # and again
        list(loader)


@forks
def test_the_end_of_one_worker_is_told_while_another_one_is_awaited():
    loader = DataLoader(HangsAndIsKilled(2), num_workers=2, **FORK)
    with pytest.raises(RuntimeError, match=r"worker 1 of 2 .* while it read the sample at index 1"):
        list(loader)


@forks
def test_a_worker_that_is_killed_while_it_sends_is_told():
    class Large(Squares):
        def __getitem__(self, index):
            return np.zeros(1_000_000)

    def kill_all(loader):
        for _ in loader:
            for process in multiprocessing.active_children():
                process.kill()
                process.join(LIMIT)

    with pytest.raises(RuntimeError, match="ended by SIGKILL"):
        kill_all(DataLoader(Large(100), 1, num_workers=2, **FORK))


@spawns
def test_what_cannot_be_pickled_is_told_before_processes_start():
    class Local(Squares):
        pass

    options = {"num_workers": 1, "multiprocessing_context": "spawn"}
    with pytest.raises(TypeError, match=r"dataset cannot be sent .*'spawn'.*top of a module"):
        list(DataLoader(Local(), **options))
    with pytest.raises(TypeError, match="collate cannot be sent"):
        list(DataLoader(Squares(), collate=lambda samples: samples, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": -1}, "num_workers must be a whole number of at least 0"),
        ({"num_workers": 1.0}, "num_workers must be"),
        ({"multiprocessing_context": "spawn"}, "give num_workers too"),
        ({"num_workers": 1, "multiprocessing_context": "thread"}, "'spawn'.* here, not 'thread'"),
    ],
)
def test_bad_arguments_get_a_clear_error(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(Squares(), **options)


@forks
def test_a_forked_process_is_told_that_the_workers_are_not_its_own():
    iterator = iter(DataLoader(Squares(100), 1, num_workers=2, **FORK))
    next(iterator)
    assert_a_fork_is_told(iterator)
    assert len(list(iterator)) == 99


# How they end


@pytest.mark.parametrize("way", WAYS)
def test_no_process_is_left_where_a_loop_is_left(way):
    loader = DataLoader(Squares(), 2, num_workers=2, multiprocessing_context=way)
    for _ in loader:
        assert len(multiprocessing.active_children()) == 2
        break
    assert not multiprocessing.active_children()
    with pytest.raises(AttributeError):
        take(loader, [])  # the batches are dicts
    assert not multiprocessing.active_children()


@forks
def test_no_process_is_left_where_fit_fails():
    def broken(y, target):
        raise ArithmeticError

    model = rg.nn.Linear(8, 1, rng=0)
    loader = DataLoader(Drawing(), 5, num_workers=2, collate=row_and_sum, **FORK)
    with pytest.raises(ArithmeticError):
        rg.fit(model, loader, broken, rg.optim.SGD(model.parameters()), epochs=1, progress=False)
    assert not multiprocessing.active_children()


@forks
def test_a_worker_that_hangs_does_not_keep_a_loop_from_being_left():
    for _ in DataLoader(Faulty("hang"), 2, num_workers=2, prefetch=8, **FORK):
        break
    assert not multiprocessing.active_children()


@forks
def test_no_more_processes_start_than_there_are_batches():
    for _ in DataLoader(Squares(4), 2, num_workers=9, **FORK):
        assert len(multiprocessing.active_children()) <= 2
    loader = DataLoader(Squares(0), 2, num_workers=9, **FORK)
    assert list(loader) == []


def environment():
    """Return the variables for a process that finds this library and the tests' data sets."""
    paths = [str(Path(rg.__file__).parents[1]), str(Path(__file__).parents[1])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def script(code, *arguments):
    """Start a script in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True, env=environment(),
    )  # fmt: skip


ENDLESS = """
import multiprocessing, sys
from data.samples import Faulty, Squares
from retrograd.data import DataLoader
if __name__ == "__main__":
    way, dataset = sys.argv[1], Squares(10**6) if sys.argv[2] == "busy" else Faulty("hang")
    try:
        for i, batch in enumerate(
            DataLoader(dataset, 2, num_workers=2, multiprocessing_context=way)
        ):
            if i == 2:
                print("ready", flush=True)
    finally:
        print(len(multiprocessing.active_children()), "left", flush=True)
"""


def ends(process):
    """Return what a script and the workers that share its pipes say until the last of them ends."""
    try:
        return process.communicate(timeout=LIMIT)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no groups of processes")
@pytest.mark.parametrize("state", ["busy", "waiting"])
@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_ctrl_c_ends_all_with_one_traceback(way, state):
    process = script(ENDLESS, way, state)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    os.killpg(process.pid, 2)
    out, err = ends(process)
    assert out == "0 left\n"
    assert err.count("KeyboardInterrupt") == err.count("Traceback") == 1, err


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_end_where_their_process_is_killed(way):
    process = script(ENDLESS, way, "busy")
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    process.kill()
    # the workers have the other ends of its pipes: they are read to the end when all have ended
    ends(process)


UNGUARDED = """
from data.samples import Squares
from retrograd.data import DataLoader
list(DataLoader(Squares(), num_workers=1, multiprocessing_context="spawn"))
"""


def test_a_script_without_a_guard_is_told_to_have_one(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, path], env=environment(), capture_output=True, text=True, timeout=LIMIT,
        check=False,
    )  # fmt: skip
    assert "has ended with exit code 1" in done.stderr
    assert "if __name__ == '__main__'" in done.stderr.splitlines()[-1]


TYPED = """
from retrograd.data import DataLoader
class Typed(list):
    pass
list(DataLoader(Typed([1.0]), num_workers=1, multiprocessing_context="spawn"))
"""


@spawns
def test_a_class_that_only_this_process_has_is_told_to_be_in_a_module():
    _, err = ends(script(TYPED))
    assert "TypeError: the data set cannot be made anew in a worker" in err
    assert "Put its class into a module" in err


def test_processes_are_loaded_on_first_use():
    process = script(
        "import sys; from retrograd.data import DataLoader; list(DataLoader([1.0], prefetch=1)); "
        "print(any(name.split('.')[0] == 'multiprocessing' for name in sys.modules))"
    )
    assert ends(process) == ("False\n", "")
