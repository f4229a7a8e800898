import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("layer", "function", "args", "options"),
    [
        (nn.MaxPool1d(3, 2, 1, 2), F.max_pool1d, (3, 2, 1, 2), {}),
        (nn.MaxPool2d((2, 3), 2, 1), F.max_pool2d, ((2, 3), 2, 1), {}),
        (nn.AvgPool1d(3, 2, 1), F.avg_pool1d, (3, 2, 1), {}),
        (
            nn.AvgPool1d(3, 2, 1, count_include_pad=False),
            F.avg_pool1d,
            (3, 2, 1),
            {"count_include_pad": False},
        ),
        (
            nn.AvgPool2d(2, padding=(1, 0), count_include_pad=False),
            F.avg_pool2d,
            (2, None, (1, 0)),
            {"count_include_pad": False},
        ),
        (nn.AdaptiveAvgPool1d(3), F.adaptive_avg_pool1d, (3,), {}),
        (nn.AdaptiveAvgPool2d((None, 2)), F.adaptive_avg_pool2d, ((None, 2),), {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_pooling_hands_its_options_to_its_function(layer, function, args, options):
    x = RNG.normal(size=(2, 3, 7, 8) if "2d" in type(layer).__name__ else (2, 3, 7))
    np.testing.assert_array_equal(layer(x), function(x, *args, **options))
    np.testing.assert_array_equal(layer(rg.Tensor(x)).data, layer(x))


def test_windows_are_as_far_apart_as_they_are_long_unless_it_is_said():
    assert nn.MaxPool2d((2, 3)).stride == (2, 3)
    assert nn.AvgPool1d(4).stride == 4
    assert nn.AvgPool1d(4, 1).stride == 1


@pytest.mark.parametrize("make", [nn.MaxPool1d, nn.AvgPool1d])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 1, 0), (3, 2, 1), (4, 3, 2)])
def test_lengths_come_out_as_their_formulas_say(make, kernel, stride, padding):
    layer, n = make(kernel, stride, padding), 11
    assert layer(np.ones((2, 3, n))).shape == (2, 3, (n + 2 * padding - kernel) // stride + 1)


def test_windows_that_do_not_fit_are_a_value_error():
    with pytest.raises(ValueError, match="do not fit"):
        nn.MaxPool2d(4)(np.ones((1, 1, 3, 3)))
