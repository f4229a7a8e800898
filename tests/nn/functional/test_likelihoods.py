import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.testing import gradgradcheck

RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


def test_a_variance_of_another_shape_is_a_value_error():
    for shape in ((3,), (1, 1), (3, 2), (2, 3, 1)):
        with pytest.raises(ValueError, match=r"var \(2, 3\), .*not \("):
            F.gaussian_nll_loss(x(2, 3), x(2, 3), x(*shape))


@pytest.mark.parametrize("wrap", [lambda fn: fn, rg.compile], ids=["eager", "compiled"])
def test_a_negative_variance_is_a_value_error(wrap):
    def loss(var):
        return F.gaussian_nll_loss(x(2), x(2), var)

    loss = wrap(loss)
    loss(x(2))
    with pytest.raises(ValueError, match=r"var from 0, it has -0\.5"):
        loss(rg.Tensor([1.0, -0.5]))
    with pytest.raises(ValueError, match="var from 0"):
        F.gaussian_nll_loss(x(2), x(2), -1.0)


def test_float32_stays_so_with_a_number_for_the_variance():
    y = np.ones(2, np.float32)
    assert F.gaussian_nll_loss(y, y, 0.5).dtype == np.float32


def test_a_variance_may_lack_the_last_axis():
    x, y, var = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.uniform(0.5, 1, size=3)
    assert F.gaussian_nll_loss(x, y, var) == F.gaussian_nll_loss(x, y, var[:, None])


def test_a_loss_of_target_gradients_has_them():
    x, y = RNG.uniform(0.1, 0.9, size=(2, 4))
    weight = np.array([1.0, 2.0, 0.5, 3.0])
    assert gradgradcheck(lambda x, y: F.binary_cross_entropy(x, y, weight), x, y)
    assert gradgradcheck(
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, weight, weight[::-1].copy()), x, y
    )
