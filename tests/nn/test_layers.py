import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "sizes", [(0, 2), (2, 0), (-1, 2), (2.0, 2), ("3", 2)], ids=[str(i) for i in range(5)]
)
def test_linear_takes_positive_numbers_of_features(sizes):
    with pytest.raises(ValueError, match="features"):
        nn.Linear(*sizes)


def test_linear_names_both_shapes_where_they_do_not_fit():
    with pytest.raises(ValueError, match=r"\(5, 4\).*\(2, 3\)"):
        nn.Linear(3, 2)(np.ones((5, 4)))
    with pytest.raises(ValueError, match=r"\(\)"):
        nn.Linear(3, 2)(rg.Tensor(1.0))


def test_sizes_may_be_numpys_integers():
    n = np.array([1, 3]).max()
    assert rg.nn.Linear(2, n)(np.ones((5, 2))).shape == (5, 3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.Embedding(3, 2, padding_idx=3), "padding_idx 3"),
        (lambda: nn.Embedding(0, 2), "num_embeddings of at least 1"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_bias_may_be_left_out():
    layer = nn.Linear(3, 2, bias=False, rng=0)
    x = RNG.normal(size=(5, 3))
    assert list(layer.state_dict()) == ["weight"]
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data.T)


@pytest.mark.parametrize("make", [nn.Linear, lambda *args, rng: nn.Conv1d(*args, 1, rng=rng)])
def test_initial_values_are_uniform_within_one_over_the_root_of_fan_in(make):
    layer = make(100, 200, rng=0)
    for parameter in layer.parameters():
        assert np.abs(parameter.data).max() <= 0.1
        assert np.abs(parameter.data).max() > 0.095


def test_the_padding_row_of_an_embedding_is_zero_and_stays_so():
    layer = nn.Embedding(5, 3, padding_idx=-2, rng=0)
    assert layer.padding_idx == 3
    np.testing.assert_array_equal(layer.weight.data[3], np.zeros(3))
    layer(np.array([3, 1])).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad[3], np.zeros(3))
    np.testing.assert_array_equal(layer.weight.grad[1], np.ones(3))


def test_flatten_and_unflatten_undo_each_other():
    x = RNG.normal(size=(2, 3, 4, 5))
    flat = nn.Flatten(1, 2)(x)
    assert flat.shape == (2, 12, 5)
    np.testing.assert_array_equal(nn.Unflatten(1, (3, -1))(flat), x)
    np.testing.assert_array_equal(nn.Unflatten(-2, [3, 4])(flat), x)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_dropout_layer_takes_a_probability(p):
    with pytest.raises(ValueError, match="Dropout takes a probability"):
        nn.Dropout(p)


def test_dropout_with_a_seed_draws_anew_at_each_call():
    layer, x = nn.Dropout(0.5, rng=0), np.ones(100)
    first, second = layer(x), layer(x)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(nn.Dropout(0.5, rng=0)(x), first)
    assert nn.Dropout().rng is None  # which is the default generator, whenever it is seeded
