import numpy as np
import pytest

from retrograd.checks import per_axis
from retrograd.nn.functional.windows import columns, fit_windows, fold

RNG = np.random.default_rng(0)


def test_columns_are_windows_with_the_batch_last():
    x = np.arange(10.0).reshape(2, 1, 5)
    windows = fit_windows("conv1d", (5,), (3,), (2,), (1,), ((0, 0),))
    # rows are the places in a window; columns the windows, each of all samples
    np.testing.assert_array_equal(
        columns(x, windows=windows), [[0, 5, 2, 7], [1, 6, 3, 8], [2, 7, 4, 9]]
    )


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "pads"),
    [
        ((2, 3), (1, 1), (1, 1), ((0, 0), (0, 0))),
        ((2, 2), (2, 1), (1, 2), ((1, 1), (0, 1))),
        ((1, 3), (3, 2), (2, 1), ((0, 2), (2, 0))),
    ],
)
def test_fold_is_the_adjoint_of_columns(kernel, stride, dilation, pads):
    x = RNG.normal(size=(2, 3, 5, 6))
    windows = fit_windows("conv2d", (5, 6), kernel, stride, dilation, pads)
    cols = columns(x, windows=windows)
    y = RNG.normal(size=cols.shape)
    np.testing.assert_allclose(np.sum(cols * y), np.sum(x * fold(y, x.shape, windows)))


def test_a_number_for_all_axes_may_be_numpys():
    assert per_axis("stride", np.int64(2), 2, 1) == (2, 2)
    assert per_axis("stride", (1, np.int64(3)), 2, 1) == (1, 3)
