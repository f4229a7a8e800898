"""What no condition asks for is an error at the next audit, which names it."""

from __future__ import annotations

import functools
import time

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

X = np.array([1.0, 2.0, 3.0])


def written(folder):
    path = folder / "scale.txt"
    path.write_text("1.0")
    return path


def by_file(folder):
    path = written(folder)

    def fn(x):
        with open(path) as file:
            return x * float(file.read())

    return fn, lambda: path.write_text("2.0"), "'open' or 'read' reads of files"


def by_path(folder):
    path = written(folder)
    return (
        lambda x: x * float(path.read_text()),
        lambda: path.write_text("2.0"),
        "'read_text' reads of files",
    )


def by_array_file(folder):
    path = folder / "scale.npy"
    np.save(path, 1.0)
    return lambda x: x * np.load(path), lambda: np.save(path, 2.0), "'load' reads of files"


def by_cache(folder):
    path = written(folder)

    @functools.lru_cache
    def scale():
        return float(path.read_text())

    def change():
        path.write_text("2.0")
        scale.cache_clear()

    return lambda x: x * scale(), change, "'read_text' reads of files"


def by_what_a_cache_keeps(folder):
    @functools.cache
    def scales():
        return [1.0]

    return lambda x: x * scales()[0], lambda: scales().__setitem__(0, 2.0), "what 'scales' keeps"


def by_large_array(folder):
    table = np.ones(20_000)
    what = "'table', an array of 20000 elements, has changed"
    return lambda x: x * table[12_345], lambda: table.__setitem__(12_345, 2.0), what


def by_number_of_a_large_array(folder):
    table = np.ones((200, 100))
    what = "'table', an array of 20000 elements, has changed"
    return lambda x: x * table.max(), lambda: table.__setitem__((7, 8), 2.0), what


def by_long_list(folder):
    table = [1.0] * 5000
    what = "the entries of 'table', which has 5000"
    return lambda x: x * table[4321], lambda: table.__setitem__(4321, 2.0), what


def by_list_of_lists(folder):
    table = [[1.0] for _ in range(400)]
    what = "the entries of 'table', which has 400"
    return lambda x: x * table[321][0], lambda: table[321].__setitem__(0, 2.0), what


def by_method_of_the_library(folder):
    net = nn.ReLU()
    return net, lambda: setattr(nn.ReLU, "forward", lambda self, x: x * 2), "'ReLU.forward' has"


WAYS = [
    by_file, by_path, by_array_file, by_cache, by_what_a_cache_keeps, by_large_array,
    by_number_of_a_large_array, by_long_list, by_list_of_lists, by_method_of_the_library,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _as_it_was():
    forward = nn.ReLU.forward
    yield
    nn.ReLU.forward = forward


@pytest.mark.parametrize("calls", [3, 5, 9])
@pytest.mark.parametrize("way", WAYS)
def test_an_audit_names_what_nobody_watches(way, calls, tmp_path):
    fn, change, what = way(tmp_path)
    step = rg.compile(fn)
    for _ in range(calls):
        np.testing.assert_array_equal(step(X).data, X)
    change()
    audit = next(n for n in (4, 8, 16) if n > calls)
    for _ in range(calls + 1, audit):
        step(X)
    with pytest.raises(rg.TraceError, match="no more what was recorded") as refusal:
        step(X)
    assert what in str(refusal.value)
    for _ in range(20):
        np.testing.assert_array_equal(step(X).data, X * 2)


def test_what_differs_in_the_second_run_is_named():
    beginning = time.time()
    step = rg.compile(lambda x: x * (time.time() - beginning))
    step(X)
    with pytest.raises(rg.TraceError, match="what 'time' tells of the time"):
        step(X)
    steps = iter(range(9))
    step = rg.compile(lambda x: x * next(steps))
    with pytest.raises(rg.TraceError, match="'steps'"):
        [step(X) for _ in range(2)]


def test_an_audit_that_finds_nothing_goes_on_though_what_is_not_watched_has_changed():
    table = np.ones(20_000)
    step = rg.compile(lambda x: x * table[12_345])
    for number in range(20):
        table[9] = number
        np.testing.assert_array_equal(step(X).data, X)
    assert len(step.programs) == 1
