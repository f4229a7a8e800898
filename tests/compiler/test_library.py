"""Functions of libraries that a function names: others in their place are seen at once."""

from __future__ import annotations

import math

import numpy as np
import pytest

import retrograd as rg
import retrograd.nn.functional as F
from compiler.parts import assert_seen_at_once
from retrograd.compiler.library import Library

X = np.array([1.0, 2.0, 3.0])


def helper(x):
    return F.relu(x)


REPLACED = {
    "of NumPy": (lambda x: np.tanh(x), np, "tanh", np.exp),
    "inside NumPy": (lambda x: x * np.linalg.norm(np.ones(3)), np.linalg, "norm", lambda x: 9.0),
    "of this library": (lambda x: F.relu(x), F, "relu", np.exp),
    "in a helper": (lambda x: helper(x), F, "relu", np.exp),
    "through packages": (lambda x: rg.nn.functional.relu(x), F, "relu", np.exp),
    "of Python": (lambda x: x * math.sqrt(2.0), math, "sqrt", lambda x: 9.0),
    "a number": (lambda x: x * math.pi, math, "pi", 3.0),
    "inside itself": (lambda x: x * math.sqrt(math.floor(2.5)), math, "floor", math.ceil),
}


@pytest.mark.parametrize("calls", [1, 3, 5])
@pytest.mark.parametrize("name", [*REPLACED])
def test_a_function_of_a_library_that_is_replaced_is_seen_at_once(name, calls, monkeypatch):
    fn, module, key, other = REPLACED[name]
    assert_seen_at_once(fn, lambda: monkeypatch.setattr(module, key, other), X, calls)


def test_each_function_is_watched_once_by_the_names_that_a_reader_knows():
    library = Library()
    library.add("np", np)
    assert library.look_for({"mean", "linalg", "no such name"}) == [("np.linalg", np.linalg)]
    library.add("np.linalg", np.linalg)
    assert library.look_for({"mean", "norm"}) == []
    assert [entry.name for entry in library.functions()] == ["np.mean", "np.linalg.norm"]
    assert not any(entry.has_changed() for entry in library.functions())
