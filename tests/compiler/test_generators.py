"""Generators that a compiled function draws from: its program draws from those that are there."""

from __future__ import annotations

import types

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler import TraceError

X = np.ones(3)


def made(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def add_noise(x, first, second):
    return x + 2 * rg.random.normal(first, (3,)) + rg.random.uniform(second, (3,))


def changes():
    """Return by name what is done to the two generators of a namespace between calls."""
    return {
        "replaced": lambda s: setattr(s, "first", np.random.default_rng(5)),
        "swapped": lambda s: vars(s).update(first=s.second, second=s.first),
        "one for both": lambda s: setattr(s, "second", s.first),
        "set back": lambda s: setattr(
            s.first.bit_generator, "state", np.random.default_rng(7).bit_generator.state
        ),
        "drawn from": lambda s: s.first.normal(),
    }


@pytest.mark.parametrize("name", [*changes()])
@pytest.mark.parametrize("calls", [1, 3, 6])
def test_a_program_draws_from_the_generators_that_are_there(name, calls):
    found = []
    for make in (lambda fn: fn, rg.compile):
        s = types.SimpleNamespace(**dict(zip(("first", "second"), made(0, 1), strict=True)))
        fn = make(lambda x, s=s: add_noise(x, s.first, s.second))
        values = []
        for _ in range(3):
            values += [fn(rg.Tensor(X)).data.copy() for _ in range(calls)]
            changes()[name](s)
        values += [fn(rg.Tensor(X)).data.copy() for _ in range(4)]
        found.append(values)
    np.testing.assert_array_equal(found[1], found[0])


def test_a_program_draws_from_the_generators_that_are_passed():
    fn, mine, twins = rg.compile(add_noise), made(0, 1, 2), made(0, 1, 2)
    for i in range(12):
        pick = [(0, 1), (1, 0), (2, 2)][i % 3]
        expected = add_noise(rg.Tensor(X), *[twins[k] for k in pick])
        np.testing.assert_array_equal(fn(X, *[mine[k] for k in pick]).data, expected.data)


def test_a_generator_that_is_made_inside_is_refused_with_what_to_write():
    def noisy(x):
        return x + rg.random.normal(np.random.default_rng(0), (3,))

    compiled = rg.compile(noisy)
    compiled(X)
    with pytest.raises(TraceError, match="make the generator once, outside"):
        compiled(X)
