import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional


def test_dropout_of_channels_drops_whole_channels():
    rng = np.random.default_rng(0)
    for layer, shape in (
        (nn.Dropout1d(0.5, rng=rng), (50, 4, 3)), (nn.Dropout1d(0.5, rng=rng), (100, 3)),
        (nn.Dropout2d(0.5, rng=rng), (50, 4, 3, 2)), (nn.Dropout2d(0.5, rng=rng), (50, 4, 3)),
    ):  # fmt: skip
        out = layer(np.ones(shape))
        channels = out.reshape(-1, 3) if "1d" in type(layer).__name__ else out.reshape(200, -1)
        assert {*channels.ravel()} == {0.0, 2.0}
        np.testing.assert_array_equal(np.ptp(channels, axis=1), 0.0)
        assert 0.3 < (channels > 0).mean() < 0.7


def test_one_channel_of_one_signal_is_dropped_as_one():
    assert {tuple(row) for row in F.dropout1d(np.ones((20, 3)), rng=1)} == {(0,) * 3, (2,) * 3}


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_alpha_dropout_keeps_mean_and_variance(p):
    x = np.random.default_rng(0).normal(size=200_000)
    out = F.alpha_dropout(x, p, training=True, rng=1)
    assert abs(out.mean()) < 0.02
    assert abs(out.var() - 1) < 0.03
    np.testing.assert_array_equal(F.alpha_dropout(x, p), x)
    np.testing.assert_array_equal(F.alpha_dropout(x, 1.0, training=True), 0 * x)


def test_gradients_of_what_is_dropped_are_zero():
    x = rg.Tensor(np.ones((1, 6, 2)), requires_grad=True)
    out = nn.Dropout1d(0.5, rng=0)(x)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad, out.data)
    x = rg.Tensor(np.zeros(8), requires_grad=True)
    out = nn.AlphaDropout(0.5, rng=0)(x)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad > 0, out.data > 0)


def test_other_axes_and_no_probabilities_are_errors():
    for call in (
        lambda: F.dropout1d(np.ones(3)), lambda: F.dropout2d(np.ones((3, 2))),
        lambda: F.alpha_dropout(np.ones(3), 1.5), lambda: F.dropout1d(np.ones((3, 2)), -0.1),
        lambda: nn.AlphaDropout(2.0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"dropout|Dropout"):
            call()
