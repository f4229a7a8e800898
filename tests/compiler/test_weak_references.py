"""What a function finds by weak references is watched and not kept alive."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import retrograd as rg

X = np.array([1.0, 2.0, 3.0])


class Held:
    def __init__(self):
        self.scale = 2.0


def ways(held):
    """Return by name functions that find an object by a weak reference."""
    reference = weakref.ref(held)
    named = weakref.WeakValueDictionary(held=held)
    proxy = weakref.proxy(held)
    several = weakref.WeakSet([held])

    def by_reference(x):
        found = reference()
        return x * 1 if found is None else x * found.scale

    def by_whether_there_is_one(x):
        return x * (1 if reference() is None else 2)

    def by_name(x):
        found = named.get("held")
        return x * (1 if found is None else found.scale)

    def by_proxy(x):
        try:
            return x * proxy.scale
        except ReferenceError:
            return x * 1

    def by_set(x):
        for found in several:
            x = x * found.scale
        return x * 1

    every = (by_reference, by_whether_there_is_one, by_name, by_proxy, by_set)
    return {fn.__name__: fn for fn in every}


@pytest.mark.parametrize("calls", [1, 3, 5])
@pytest.mark.parametrize("name", [*ways(Held())])
def test_an_object_that_is_gone_is_seen_at_once(name, calls):
    held = Held()
    fn = ways(held)[name]
    step = rg.compile(fn)
    for _ in range(calls):
        np.testing.assert_array_equal(step(X).data, X * 2)
    gone = weakref.ref(held)
    del held
    gc.collect()
    assert gone() is None
    for _ in range(12):
        np.testing.assert_array_equal(step(X).data, X)


@pytest.mark.parametrize("name", ["by_reference", "by_name", "by_proxy", "by_set"])
def test_what_a_weak_reference_has_is_watched(name):
    held = Held()
    step = rg.compile(ways(held)[name])
    for number in range(12):
        held.scale = 2.0 + number // 4
        np.testing.assert_array_equal(step(X).data, X * held.scale)
    assert len(step.programs) == 3
