import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.BatchNorm1d(3)(x(2, 4)), r"\(N, 3, ...\)"),
        (lambda: nn.BatchNorm2d(3)(x(2, 3)), "4 axes"),
        (lambda: nn.GroupNorm(2, 3), "2 groups of 3"),
        (lambda: nn.LayerNorm(0), "0"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_running_values_move_towards_the_batch_in_training_only():
    norm, batch = nn.BatchNorm1d(2, momentum=0.5), RNG.normal(3.0, 2.0, size=(6, 2))
    norm(batch)
    np.testing.assert_allclose(norm.running_mean, 0.5 * batch.mean(axis=0))
    np.testing.assert_allclose(norm.running_var, 0.5 + 0.5 * batch.var(axis=0, ddof=1))
    assert norm.num_batches_tracked == 1
    before = norm.state_dict()
    out = norm.eval()(batch)
    expected = (batch - norm.running_mean) / np.sqrt(norm.running_var + norm.eps)
    np.testing.assert_allclose(out.data, expected)
    for name, array in norm.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_without_momentum_running_values_are_averages_of_all_batches():
    norm, batches = nn.BatchNorm2d(2, momentum=None), RNG.normal(size=(3, 4, 2, 3, 3))
    for batch in batches:
        norm(batch)
    np.testing.assert_allclose(norm.running_mean, batches.mean(axis=(0, 1, 3, 4)))
    assert norm.num_batches_tracked == 3


def test_without_running_values_evaluation_takes_those_of_the_batch():
    norm, batch = nn.BatchNorm1d(2, track_running_stats=False), RNG.normal(size=(6, 2))
    assert norm.running_mean is None
    assert list(norm.state_dict()) == ["weight", "bias"]
    np.testing.assert_array_equal(norm.eval()(batch).data, norm.train()(batch).data)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: nn.BatchNorm1d(3, affine=False, track_running_stats=False), []),
        (lambda: nn.LayerNorm(3), ["weight", "bias"]),
        (lambda: nn.LayerNorm(3, bias=False), ["weight"]),
        (lambda: nn.LayerNorm(3, elementwise_affine=False), []),
        (lambda: nn.RMSNorm((2, 3)), ["weight"]),
        (lambda: nn.RMSNorm(3, elementwise_affine=False), []),
        (lambda: nn.GroupNorm(1, 3), ["weight", "bias"]),
        (lambda: nn.GroupNorm(1, 3, affine=False), []),
    ],
)
def test_scale_and_shift_may_be_left_out(make, names):
    assert [name for name, _ in make().named_parameters()] == names
