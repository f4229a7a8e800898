import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.testing import gradgradcheck

RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.l1_loss(x(2), x(3)), r"\(2,\) and \(3,\)"),
        (lambda: F.huber_loss(x(2), x(2, 1)), r"\(2, 1\)"),
        (lambda: F.smooth_l1_loss(x(2), x(2), beta=-1.0), "beta"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_loss_of_target_gradients_has_them():
    x, y = RNG.uniform(0.1, 0.9, size=(2, 4))
    for loss in (F.mse_loss, F.huber_loss, F.l1_loss):
        assert gradgradcheck(loss, x, y)


def test_smooth_l1_with_beta_0_is_l1():
    x, y = RNG.normal(size=(2, 5))
    assert F.smooth_l1_loss(x, y, beta=0.0) == F.l1_loss(x, y)
