"""The test of the tests: every kind of broken rule is caught, and a good one is not."""

import numpy as np
import pytest

import retrograd as rg
from rules.checking import Array, check, positive

SEEN = []


def first_mask(x):
    """Return the mask of the first array that was ever seen."""
    SEEN.append(getattr(x, "_array", x) > 0)
    return SEEN[0]


def scale_in_place(g, x):
    g *= x
    return g


RIGHT = {
    "square": (lambda x: x * x, lambda g, out, x: g * 2 * x),
    "a sum": (
        lambda x: np.sum(x, axis=0),
        lambda g, out, x: np.broadcast_to(g, x.shape),
    ),
}
BROKEN = {
    "wrong formula": (lambda x: x * x, lambda g, out, x: g * 3 * x),
    "wrong in second order only": (
        lambda x: x * x * x,
        lambda g, out, x: g * 3 * np.abs(x) * np.abs(getattr(x, "_array", x)),
    ),
    "writes into g": (lambda x: x * x * 0.5, lambda g, out, x: scale_in_place(g, x)),
    "writes into its argument": (
        lambda x: x * x,
        lambda g, out, x: np.multiply(x, 2 * g, out=x if isinstance(x, np.ndarray) else None),
    ),
    "escapes to .data": (lambda x: np.exp(x), lambda g, out, x: g * np.exp(np.asarray(x.data))),
    "branches on a value": (
        lambda x: np.sum(np.abs(x)) * x,
        lambda g, out, x: (
            g * np.sum(np.abs(x)) + np.sign(x) * np.sum(g * x) if np.sum(g * g) > -1 else g
        ),
    ),
    "a NumPy scalar as constant": (lambda x: np.exp2(x), lambda g, out, x: g * out * np.log(2.0)),
    "forgotten axis": (
        lambda x: np.mean(x, axis=0),
        lambda g, out, x: np.broadcast_to(g, x.shape) / x.size,
    ),
    "frozen mask": (
        lambda x: np.maximum(x, 0.0),
        lambda g, out, x: np.where(first_mask(x), g, 0.0),
    ),
    "lost gradient": (lambda x: x * x, lambda g, out, x: 0.0 * g),
}
DOMAINS = {"a NumPy scalar as constant": positive}


def primitive_of(body, vjp):
    fn = rg.primitive(body)
    rg.defvjp(fn, vjp)
    return fn


@pytest.mark.parametrize("name", RIGHT)
def test_a_good_rule_passes(name):
    check(primitive_of(*RIGHT[name]), [Array((3, 2))], seed=1)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_caught(name):
    SEEN.clear()
    fn = primitive_of(*BROKEN[name])
    with pytest.raises((AssertionError, RuntimeError, ValueError, TypeError)):
        check(fn, [Array((3, 2))], seed=1)


def test_a_frozen_mask_is_caught_by_the_replay_alone():
    fn = primitive_of(
        lambda x: np.maximum(x, 0.0),
        lambda g, out, x: np.where(getattr(x, "_array", x) > 0, g, 0.0),
    )
    with pytest.raises(RuntimeError, match="compile"):
        check(fn, [Array((4,))], seed=1)
