"""What a run changes outside without a recorded call is refused at the first call, by its name."""

from __future__ import annotations

import collections
import itertools
import random

import numpy as np
import pytest

import retrograd as rg

X = np.arange(3.0)


class Slotted:
    __slots__ = ("n",)


def counted(x):
    counted.calls += 1
    return x


def effects():
    """Return by name: what changes something outside, and how the error calls that."""
    dictionary, slotted = collections.UserDict(n=0), Slotted()
    slotted.n = counted.calls = 0
    bits, ordered = bytearray(3), collections.OrderedDict(a=1, b=2)
    large, strided = np.zeros(1_500_000), np.zeros((1_200_000, 2))[:, 0]
    rng, old, own = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
    weight = rg.Parameter(np.ones(3))
    optimizer = rg.optim.SGD([weight], lr=1.0)
    numbers, entries, counter = (i for i in range(10**6)), iter([1.0] * 100), itertools.count()

    def toggle():
        weight.requires_grad = not weight.requires_grad

    return {
        "attribute of a function": (lambda: counted(X), "counted.calls"),
        "slot": (lambda: setattr(slotted, "n", slotted.n + 1), "slotted.n"),
        "UserDict": (lambda: dictionary.update(n=dictionary["n"] + 1), "dictionary"),
        "bytes": (lambda: bits.append(1), "bits"),
        "order of a dict": (lambda: ordered.move_to_end(next(iter(ordered))), "ordered"),
        "large array": (lambda: large.__setitem__(7, large[7] + 1), "large"),
        "part of a larger one": (lambda: strided.__setitem__(7, strided[7] + 1), "strided"),
        "draw": (lambda: rng.normal(), "rng"),
        "draw of an old kind": (lambda: old.rand(), "old"),
        "draw of Python": (lambda: own.random(), "own"),
        "draw of NumPy's own": (lambda: np.random.rand(), "np.random"),  # noqa: NPY002
        "draw of Python's own": (lambda: random.random(), "random"),
        "requires_grad": (toggle, "weight.requires_grad"),
        "learning rate": (
            lambda: optimizer.param_groups[0].update(lr=optimizer.param_groups[0]["lr"] / 2),
            'SGD.param_groups[0]["lr"]',
        ),
        "generator": (lambda: next(numbers), "numbers"),
        "iterator": (lambda: next(entries), "entries"),
        "count": (lambda: next(counter), "counter"),
    }


@pytest.mark.parametrize("kind", [*effects()])
def test_an_effect_is_refused_by_name_at_the_first_call(kind):
    change, name = effects()[kind]

    def step(x):
        change()
        return x * 2

    with pytest.raises(rg.TraceError) as refusal:
        rg.compile(step)(X)
    assert repr(name) in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "name"),
    [(lambda: rg.manual_seed(1), "manual_seed"), (lambda: rg.set_default_dtype("f4"), "dtype")],
)
def test_settings_of_the_library_are_not_changed_in_a_recording(change, name):
    def step(x):
        change()
        return x * 2

    with pytest.raises(rg.TraceError, match=name):
        rg.compile(step)(X)
    assert rg.get_default_dtype() == np.float64


def test_draws_that_a_program_does_again_are_no_effect():
    rng, twin = np.random.default_rng(0), np.random.default_rng(0)
    step = rg.compile(lambda x: x + rg.random.normal(rng, (3,)))
    for _ in range(9):
        np.testing.assert_array_equal(step(X).data, (X + rg.random.normal(twin, (3,))).data)
    assert rng.bit_generator.state == twin.bit_generator.state
