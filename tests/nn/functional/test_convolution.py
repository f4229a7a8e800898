import subprocess
import sys

import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F

RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.conv1d(x(2, 3, 5), x(4, 2, 3)), "channels"),
        (lambda: F.conv2d(x(2, 3, 5), x(4, 3, 3)), "4 axes"),
        (lambda: F.conv2d(x(1, 3, 5, 5), x(4, 3, 3, 3), x(3)), r"bias \(4,\), not \(3,\)"),
        (lambda: F.conv2d(x(1, 3, 5, 5), x(4, 3, 6, 3)), "does not fit into"),
        (lambda: F.conv2d(x(1, 3, 5, 5), x(4, 3, 3, 3), stride=0), "stride"),
        (lambda: F.conv2d(x(1, 3, 5, 5), x(4, 3, 3, 3), stride=2, padding="same"), "stride 1"),
        (lambda: F.conv2d(x(1, 3, 5, 5), x(4, 3, 3, 3), padding="full"), "full"),
        (lambda: F.conv2d(x(1, 3, 5, 5), x(4, 3, 3, 3), dilation=(1, 1, 1)), "dilation"),
        (lambda: F.conv_transpose2d(x(1, 3, 5, 5), x(3, 3, 3, 3), output_padding=1), "below"),
        (lambda: F.conv_transpose2d(x(1, 1, 1, 1), x(1, 1, 1, 1), padding=1), "nothing"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize(("stride", "dilation", "extra"), [(3, 1, 2), (1, 2, 1), (2, 3, (1, 2))])
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(stride, dilation, extra):
    w = RNG.normal(size=(2, 3, 2, 3))
    x = RNG.normal(size=(1, 2, 3, 4))
    up = F.conv_transpose2d(x, w, stride=stride, padding=1, output_padding=extra, dilation=dilation)
    y = RNG.normal(size=up.shape)
    down = F.conv2d(y, w, stride=stride, padding=1, dilation=dilation)
    np.testing.assert_allclose(np.sum(up * y), np.sum(x * down[:, :, :3, :4]))


def test_a_batch_of_nothing_gives_nothing():
    assert F.conv2d(x(0, 1, 4, 4), x(2, 1, 3, 3)).shape == (0, 2, 2, 2)


def test_importing_it_allocates_no_large_block():
    code = (
        "import tracemalloc, retrograd; tracemalloc.start(); import retrograd.nn.functional."
        "convolution; assert tracemalloc.get_traced_memory()[1] < 4 << 20"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
