"""A run that is recorded: what is heard of it, and what is as it was if it fails."""

from __future__ import annotations

import types

import numpy as np
import pytest

import retrograd as rg
from retrograd import tree
from retrograd.compiler.recorder import record_run
from retrograd.engine import is_recording

X = np.arange(3.0)


def recorded(fn, *args):
    leaves, structure = tree.flatten((args, {}))
    return record_run(fn, "step", leaves, structure)


def test_arguments_are_heard_of_by_their_names_and_calls_in_order():
    tape, result = recorded(lambda x: np.exp(x) * 2, X)
    kinds = [event.kind for event in tape.log]
    assert kinds == ["argument", "call", "call"]
    assert tape.log[0].what[1] == "x"
    np.testing.assert_array_equal(result.data, np.exp(X) * 2)


def test_a_run_that_fails_leaves_all_as_it_was():
    kept = types.SimpleNamespace(h=rg.Tensor(X), mean=rg.Tensor(X * 1))
    w, before = rg.Parameter(X), kept.h

    def fails(x):
        np.sum(w * x).backward()
        with rg.no_grad():
            kept.mean[...] = 7.0
        kept.h = kept.h + x
        raise KeyError("no")

    with pytest.raises(KeyError):
        recorded(fails, X)
    assert not is_recording()
    assert kept.h is before
    assert w.grad is None
    np.testing.assert_array_equal(kept.mean.data, X)


def test_what_is_filled_once_is_filled_by_a_first_run():
    cache, runs = {}, []

    def step(x):
        if "table" not in cache:
            cache["table"] = np.arange(3.0)
            runs.append(1)
        return x * cache["table"]

    tape, _ = recorded(step, X)
    assert runs == [1]
    assert [event.kind for event in tape.log] == ["argument", "call"]
