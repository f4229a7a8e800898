import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.testing import gradcheck, gradgradcheck

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


WHOLE = {
    "mse_loss": F.mse_loss, "l1_loss": F.l1_loss, "huber_loss": F.huber_loss,
    "smooth_l1_loss": F.smooth_l1_loss, "poisson_nll_loss": F.poisson_nll_loss,
    "poisson_nll_loss in full": lambda x, y, **r: F.poisson_nll_loss(x, y, full=True, **r),
    "gaussian_nll_loss": lambda x, y, **r: F.gaussian_nll_loss(x, y, np.ones_like(x), **r),
    "gaussian_nll_loss, a whole number for the variance":
        lambda x, y, **r: F.gaussian_nll_loss(x, y, np.ones(3, int), **r),
    "margin_ranking_loss": lambda x, y, **r: F.margin_ranking_loss(x, x * 2, 2 * y - 1, **r),
    "hinge_embedding_loss": lambda x, y, **r: F.hinge_embedding_loss(x, 2 * y - 1, **r),
    "cosine_embedding_loss":
        lambda x, y, **r: F.cosine_embedding_loss(x[:, None], x[:, None], 2 * y - 1, **r),
    "binary_cross_entropy": F.binary_cross_entropy,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "kl_div": F.kl_div, "cross_entropy": lambda x, y, **r: F.cross_entropy(x, y[0], **r),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["i1", "i4", "i8", "u1"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_as_targets_leave_float32_as_it_is(name, reduction, kind):
    x, y = np.array([0.25, 0.5, 0.75], np.float32), np.array([1, 0, 1], kind)
    if "embedding" in name or "ranking" in name:
        y = y.astype("i8") if kind == "u1" else y  # they have -1 for 0
    leaf = rg.Tensor(x, requires_grad=True)
    loss = WHOLE[name](leaf, y, reduction=reduction)
    assert loss.dtype == np.float32
    assert WHOLE[name](x, y, reduction=reduction).dtype == np.float32
    right = rg.Tensor(x.astype(float), requires_grad=True)
    exact = WHOLE[name](right, y, reduction=reduction)
    np.testing.assert_allclose(loss.data, exact.data, rtol=1e-5, atol=1e-6)
    np.sum(loss).backward()
    np.sum(exact).backward()
    np.testing.assert_allclose(leaf.grad, right.grad, rtol=1e-5, atol=1e-6)


LOGITS = np.array([[0.3, -1.2, 2.0], [1.5, 0.1, -0.4]])
CLASSES = np.array([2, 0])
SHARES = np.array([[0.2, 0.5, 0.3], [0.6, 0.0, 0.4]])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", [
    lambda x, w, r: F.binary_cross_entropy(F.sigmoid(x), SHARES, w, r),
    lambda x, w, r: F.binary_cross_entropy_with_logits(x, SHARES, w, 2 * w, r),
    lambda x, w, r: F.binary_cross_entropy_with_logits(x, SHARES, pos_weight=w, reduction=r),
    lambda x, w, r: F.nll_loss(F.log_softmax(x), CLASSES, w, reduction=r),
    lambda x, w, r: F.nll_loss(x[0], np.array(1), w, reduction=r),
    lambda x, w, r: F.cross_entropy(x, CLASSES, w, reduction=r),
    lambda x, w, r: F.cross_entropy(x, np.array([2, -100]), w, reduction=r),
    lambda x, w, r: F.cross_entropy(x, SHARES, w, reduction=r),
    lambda x, w, r: F.cross_entropy(x, CLASSES, w, reduction=r, label_smoothing=0.1),
    lambda x, w, r: F.multi_margin_loss(x, CLASSES, weight=w, reduction=r),
])  # fmt: skip
def test_weights_have_gradients_like_any_argument(loss, reduction):
    weights = np.array([0.5, 1.0, 2.0])
    assert gradcheck(lambda x, w: loss(x, w, reduction), LOGITS, weights)
    assert gradgradcheck(lambda x, w: loss(x, w, reduction), LOGITS, weights)


def test_weights_of_more_axes_than_the_losses_are_refused():
    with pytest.raises(ValueError, match=r"weight of shape \(4, 2, 3\) for losses of \(2, 3\)"):
        F.binary_cross_entropy_with_logits(LOGITS, SHARES, np.ones((4, 2, 3)))
