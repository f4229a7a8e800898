import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.max_pool2d(x(2, 3), 2), r"not \(2, 3\)"),
        (lambda: F.max_pool2d(x(1, 1, 3, 3), 4), "do not fit"),
        (lambda: F.avg_pool1d(x(1, 1, 3), 2, padding=2), "half of the window"),
        (lambda: F.adaptive_avg_pool2d(x(1, 1, 3, 3), 0), "output_size"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_batch_of_nothing_gives_nothing():
    assert F.max_pool2d(x(0, 1, 4, 4), 2).shape == (0, 1, 2, 2)


def test_the_first_of_equal_elements_gets_the_gradient():
    one = x(1, 4)
    F.max_pool1d(one, 2).sum().backward()
    np.testing.assert_array_equal(one.grad, [[1, 0, 1, 0]])
