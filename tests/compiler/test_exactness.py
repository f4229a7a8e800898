"""A program gives what NumPy gives, to the bit and in its dtype."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import retrograd as rg

SINGLE = np.linspace(-1, 2, 7).astype(np.float32)
POSITIVE = np.abs(SINGLE)
MANY = np.tile(SINGLE, 20)
HALVES = np.full(2000, 100, np.float16)
WHOLE = np.arange(5, dtype=np.int32)
BYTES = np.arange(5, dtype=np.uint8)
MASK = np.array([True, False, True])
WIDE = np.float64(0.1)

CASES = {
    "a float64 scalar": (lambda x: (x / np.sqrt(3.0), x - WIDE, WIDE * x), SINGLE),
    "a threshold": (lambda x: np.where(x > WIDE, 1.0, 0.0), SINGLE),
    "limits": (lambda x: (np.maximum(x, WIDE), np.maximum(x, 0.1), np.minimum(x, WIDE)), MANY),
    "scalars of halves": (lambda x: (x * np.float32(0.1), x + WIDE, x + np.int64(3)), HALVES),
    "whole scalars": (lambda x: (x * np.int64(3), x + np.int32(3), x * np.int8(3)), SINGLE),
    "0-d arrays": (lambda x: (x * np.array(0.1), np.maximum(x, np.array(0.1))), SINGLE),
    "filled arrays": (lambda x: x * np.full(7, 0.1), SINGLE),
    "float_power": (lambda x: (np.float_power(x, 0.1), np.float_power(0.1, x)), POSITIVE),
    "powers": (lambda x: (x ** np.float64(2), x**3, np.float64(2) ** x, x**0.5), POSITIVE),
    "hypot": (lambda x: (np.hypot(x, np.float64(1)), np.arctan2(x, 1)), SINGLE),
    "remainders": (lambda x: (x // 0.3, x % np.float64(0.3), np.fmod(x, 0.7)), SINGLE),
    "where": (lambda x: (np.where(x > 0, x, 0.1), np.where(x > 0, WIDE, x)), SINGLE),
    "clip": (lambda x: (np.clip(x, 0.1, 0.5), np.clip(x, WIDE, 1)), SINGLE),
    "signs of zero": (lambda x: (x * -0.0, x + (-0.0), np.copysign(1.0, x * -0.0)), SINGLE),
    "a mean of halves": (lambda x: (np.mean(x), np.sum(x / 100), x.mean(axis=0)), HALVES),
    "means of halves": (
        lambda x: (np.mean(x, axis=1), np.sum(x / 100, axis=1), np.var(x, axis=0), np.max(x)),
        HALVES.reshape(50, 40),
    ),
    "other accumulators": (lambda x: (np.sum(x, dtype=float), np.mean(x, dtype=float)), SINGLE),
    "whole numbers": (lambda x: (np.mean(x), np.sum(x), x * 2.5, x / 2, x**2, x // 2), WHOLE),
    "large whole numbers": (lambda x: (x + 2**40, x * 1.1), np.arange(3, dtype=np.int64) * 2**53),
    "bytes": (lambda x: (np.sum(x), x + 200, x > 300, x < -1, x > 2.5, x * 1.5), BYTES),
    "a mask": (lambda x: (np.sum(x), np.mean(x), x * 2, x * 1.5, x + True, ~x), MASK),
    "numbers of dot products": (lambda x: ((x @ x) * WIDE, (x @ x) / np.sqrt(3.0)), SINGLE),
    "a broadcast array": (lambda x: np.sin(np.broadcast_to(np.exp(x), (1, 7))), SINGLE),
    "one of broadcast arrays": (lambda x: np.sin(np.broadcast_to(np.exp(x), (3, 7))[1]), SINGLE),
    "a diagonal": (lambda x: np.sin(np.diagonal(np.exp(x))), np.ones((5, 5))),
}


@pytest.mark.parametrize(("fn", "x"), CASES.values(), ids=CASES.keys())
def test_a_program_gives_the_bits_that_numpy_gives(fn, x):
    with np.errstate(over="ignore"):
        expected = rg.tree.leaves(fn(rg.Tensor(x)))
        step = rg.compile(fn)
        for _ in range(4):
            found = rg.tree.leaves(step(x))
            for e, f in zip(expected, found, strict=True):
                assert (f.dtype, f.shape) == (e.dtype, e.shape)
                assert f.data.tobytes() == e.data.tobytes()
    assert len(step.programs) == 1


@dataclasses.dataclass(frozen=True)
class Options:
    scale: float


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (0.0, -0.0),
        (1, True),
        (1.0, 1),
        (complex(0.0, 1.0), complex(-0.0, 1.0)),
        (frozenset({1}), frozenset({True})),
        (Options(0.0), Options(-0.0)),
        (Options(1), Options(True)),
    ],
)
def test_equal_values_that_differ_have_programs_of_their_own(first, second):
    step = rg.compile(lambda x, value: (x * 2, repr(value)))
    for _ in range(3):
        for value in (first, second):
            assert step(SINGLE, value)[1] == repr(value)
    assert len(step.programs) == 2


def test_nan_is_one_value():
    step = rg.compile(lambda x, value: x * value)
    for _ in range(5):
        assert np.isnan(step(SINGLE, float("nan")).data).all()
    assert len(step.programs) == 1


def test_masked_arrays_are_refused_as_everywhere():
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    step = rg.compile(lambda x: x * 2)
    step(np.ones(2))
    for _ in range(4):
        with pytest.raises(TypeError, match="masked arrays are not supported"):
            step(masked)


def test_the_states_of_a_cell_may_be_averaged_over_time():
    cell = rg.nn.RNNCell(4, 5, rng=0)

    def states(x):
        h, found = np.zeros((3, 5)), []
        for t in range(x.shape[0]):
            h = cell(x[t], h)
            found.append(h)
        loss = np.mean(np.stack(found).mean(axis=0) ** 2)
        cell.zero_grad()
        loss.backward()
        return loss, cell.weight_hh.grad

    step = rg.compile(states)
    rng = np.random.default_rng(0)
    for _ in range(4):
        x = rng.normal(size=(4, 3, 4))
        loss, grad = step(x)
        expected, expected_grad = states(rg.Tensor(x))
        np.testing.assert_allclose(loss.data, expected.data, rtol=1e-12)
        np.testing.assert_allclose(grad.data, expected_grad, rtol=1e-12)
