"""Draws: from a generator, a seed, or the default generator, and from nothing else."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.random import generator

ONES = rg.Tensor(np.ones(50))


def drawn(rng=None):
    return rg.nn.functional.dropout(ONES, 0.5, rng=rng).data


def test_the_default_generator_repeats_after_a_seed():
    rg.manual_seed(3)
    first, second = drawn(), drawn()
    assert not np.array_equal(first, second)
    rg.manual_seed(np.int64(3))
    np.testing.assert_array_equal(drawn(), first)


def test_a_seed_or_generator_of_ones_own_leaves_the_default_one_alone():
    rg.manual_seed(3)
    first = drawn()
    rg.manual_seed(3)
    np.testing.assert_array_equal(drawn(7), drawn(np.random.default_rng(7)))
    np.testing.assert_array_equal(drawn(), first)


def test_numpys_global_state_is_neither_read_nor_written():
    state = np.random.get_state()  # noqa: NPY002
    rg.manual_seed(3)
    drawn()
    rg.nn.Linear(3, 3)
    for before, after in zip(state, np.random.get_state(), strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("rng", ["seed", 1.5, True, np.random.RandomState(0)])
def test_what_is_no_generator_is_named(rng):
    with pytest.raises(TypeError, match=type(rng).__name__):
        generator(rng)
    with pytest.raises(TypeError, match="rng"):
        drawn(rng)


@pytest.mark.parametrize(("seed", "error"), [(None, TypeError), ("3", TypeError),
                                             (1.5, TypeError), (True, TypeError),
                                             (-1, ValueError)])  # fmt: skip
def test_a_bad_seed_is_refused_and_changes_nothing(seed, error):
    rg.manual_seed(3)
    first = drawn()
    rg.manual_seed(3)
    with pytest.raises(error, match="manual_seed"):
        rg.manual_seed(seed)
    np.testing.assert_array_equal(drawn(), first)


@pytest.mark.parametrize("draw", [rg.random.uniform, rg.random.normal])
def test_a_compiled_function_draws_what_the_function_draws(draw):
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    compiled = rg.compile(lambda x: x + draw(rng, x.shape, np.float32))
    for i in range(6):
        x = np.full((2, 3), float(i), np.float32)
        np.testing.assert_array_equal(compiled(x).data, x + draw(other, x.shape, np.float32))


def test_draws_are_of_the_default_generator_and_dtype_unless_told():
    rg.manual_seed(4)
    first = rg.random.normal(shape=(2,))
    rg.manual_seed(4)
    np.testing.assert_array_equal(rg.random.normal(shape=(2,)), first)
    assert first.dtype == np.float64
    assert rg.random.uniform(3, (2,), np.float16).dtype == np.float16
    assert rg.random.normal(3).shape == ()


def test_normal_draws_are_normal():
    drawn = rg.random.normal(0, (100_000,))
    assert np.isfinite(drawn).all()
    moments = [np.mean(drawn**k) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.05)
