"""When what a function finds outside counts as the same."""

from __future__ import annotations

import types

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.places import MISSING, Contents, Place, is_alike, is_compiled, is_equal

ARRAY = np.ones(2)
TENSOR = rg.Tensor([1.0])


@pytest.mark.parametrize(
    ("x", "y", "equal"),
    [
        (1000, int("1000"), True),
        (1, 1.0, False),
        (1, True, False),
        (0.0, -0.0, False),
        (float("nan"), float("nan"), True),
        ("mean", "".join(["me", "an"]), True),
        ((1, (2.0, "a")), (1, (2.0, "a")), True),
        ((1, 2.0), (1, 2), False),
        ((0.0,), (-0.0,), False),
        (np.float64(2.0), np.float64(2.0), True),
        (np.float64(2.0), 2.0, False),
        (np.dtype("f4"), np.dtype("f4"), True),
        (slice(1, 2), slice(1, 2), True),
        (frozenset([1]), frozenset([1]), True),
        (1 + 0j, complex(1, -0.0), False),
        (ARRAY, ARRAY, True),
        (ARRAY, ARRAY.copy(), False),
        ([1], [1], False),
        (None, MISSING, False),
    ],
)
def test_plain_values_are_equal_to_the_bit_and_all_else_if_it_is_one(x, y, equal):
    assert is_equal(x, y) is equal


@pytest.mark.parametrize(
    ("x", "y", "alike"),
    [
        ([1, [2.0]], [1, [2.0]], True),
        ([1], [1, 2], False),
        ({"a": ARRAY}, {"a": ARRAY.copy()}, True),
        ({"a": ARRAY}, {"a": ARRAY * 2}, False),
        ({1, 2}, {2, 1}, True),
        (TENSOR, rg.Tensor([1.0]), False),
        ([TENSOR], [TENSOR], True),
        (types.SimpleNamespace(n=1), types.SimpleNamespace(n=1), True),
        (types.SimpleNamespace(n=1), types.SimpleNamespace(n=2), False),
        (rg.nn.ReLU(), rg.nn.ReLU(), False),
    ],
)
def test_containers_and_objects_are_alike_if_what_is_in_them_is(x, y, alike):
    assert is_alike(x, y) is alike


def test_a_place_takes_an_equal_value_for_the_one_that_was_there():
    owner = {"lam": 1000.0}
    place = Place('owner["lam"]', "item", owner, "lam", owner["lam"])
    assert place.holds()
    owner["lam"] = new = float("1000")
    assert place.value is not new
    assert place.holds()
    assert place.value is new
    owner["lam"] = 2.0
    assert not place.holds()
    del owner["lam"]
    assert place.read() is MISSING
    assert not place.holds()


@pytest.mark.parametrize("size", [1, 10_000, 1_000_000])
def test_other_contents_of_an_array_are_seen(size):
    array = np.zeros(size)
    contents = Contents("array", array)
    assert contents.holds()
    array[...] = 1.0
    assert not contents.holds()
    assert len(contents.looked_at) <= 10_000


def test_contents_of_arrays_in_any_layout_are_looked_at():
    for array in (np.array(1.0), np.zeros((0, 3)), np.zeros((3000, 5)).T, np.zeros((4, 5, 2000))):
        contents = Contents("array", array)
        assert contents.holds()
        array[...] = 2.0
        assert contents.holds() is (array.size == 0)


def test_compiled_functions_and_modules_are_told_from_others():
    assert is_compiled(rg.compile(np.exp))
    assert is_compiled(rg.compile(rg.nn.ReLU()))
    assert not is_compiled(rg.nn.ReLU())
    assert not is_compiled(np.exp)
