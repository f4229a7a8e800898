"""What functions and layers refuse: the error says what was called and what would fit."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.linear(x(2, 3), x(3)), r"\(out, in\), not \(2, 3\) and \(3,\)"),
        (lambda: F.linear(x(2, 3), x(3, 2)), r"not \(2, 3\) and \(3, 2\)"),
        (lambda: F.linear(x(1, 2, 3), x(3, 2)), r"not \(1, 2, 3\) and \(3, 2\)"),
        (lambda: rg.optim.Adam([x(1)], betas=(0.9,)), "betas must be two numbers"),
        (lambda: rg.optim.Adam([x(1)], betas=0.9), "betas must be two numbers"),
        (lambda: F.prelu(x(2, 3), x(2)), r"\(2,\) for input \(2, 3\)"),
        (lambda: F.glu(x(2, 3)), r"even, shape is \(2, 3\)"),
        (lambda: F.gelu(x(2), "fast"), "fast"),
        (lambda: F.softmax(x(2), axis=3), "axis"),
        (lambda: nn.Hardtanh(1.0, 1.0), "min_val below max_val"),
        (lambda: F.l1_loss(x(2), x(3)), r"\(2,\) and \(3,\)"),
        (lambda: F.huber_loss(x(2), x(2, 1)), r"\(2, 1\)"),
        (lambda: F.smooth_l1_loss(x(2), x(2), beta=-1.0), "beta"),
        (lambda: F.gaussian_nll_loss(x(2, 3), x(2, 3), x(3)), r"var \(2, 3\), not \(3,\)"),
        (lambda: F.cross_entropy(x(2, 3), np.zeros(2, int), weight=x(2)), r"\(3,\), not \(2,\)"),
        (lambda: F.cross_entropy(x(2, 3), np.zeros(2, int), label_smoothing=2.0), "2.0"),
        (lambda: nn.L1Loss("total"), "'mean', 'sum', 'none'"),
        (lambda: nn.KLDivLoss("average"), "batchmean"),
        (lambda: F.unflatten(x(2, 6), 1, (4, 2)), r"length 6, into \(4, 2\)"),
        (lambda: F.unflatten(x(2, 6), 1, (-1, -1)), "into"),
        (lambda: F.embedding(np.array([0]), x(3)), r"\(3,\)"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), "padding_idx 3"),
        (lambda: nn.Embedding(0, 2), "num_embeddings of at least 1"),
        (lambda: F.one_hot(np.array([3]), 3), "from 0 to 2"),
        (lambda: F.one_hot(np.array([], int)), "num_classes"),
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
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "groups=2 must divide"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "mirror"),
        (lambda: F.max_pool2d(x(2, 3), 2), r"not \(2, 3\)"),
        (lambda: F.max_pool2d(x(1, 1, 3, 3), 4), "do not fit"),
        (lambda: F.avg_pool1d(x(1, 1, 3), 2, padding=2), "half of the window"),
        (lambda: F.adaptive_avg_pool2d(x(1, 1, 3, 3), 0), "output_size"),
        (lambda: F.pad(x(2, 3), (1,)), "pairs"),
        (lambda: F.pad(x(2, 3), (3, 0), mode="reflect"), "length 3"),
        (lambda: F.pad(x(2, 3), (1, 0), mode="mirror"), "mirror"),
        (lambda: F.interpolate(x(1, 1, 3)), "either size or scale_factor"),
        (lambda: F.interpolate(x(1, 1, 3), size=2, mode="bilinear"), "bilinear"),
        (lambda: F.interpolate(x(1, 1, 3), scale_factor=0.1), r"\(0,\)"),
        (lambda: F.layer_norm(x(2, 3), (2,)), "the last axes differ"),
        (lambda: F.layer_norm(x(2, 3), (3,), x(2)), r"weight \(3,\), not \(2,\)"),
        (lambda: F.group_norm(x(2, 3), 2), "2 groups"),
        (lambda: F.batch_norm(x(1, 3), None, None, training=True), "more than one value"),
        (lambda: nn.BatchNorm1d(3)(x(2, 4)), r"\(N, 3, ...\)"),
        (lambda: nn.BatchNorm2d(3)(x(2, 3)), "4 axes"),
        (lambda: nn.GroupNorm(2, 3), "2 groups of 3"),
        (lambda: nn.LayerNorm(0), "0"),
        (lambda: F.scaled_dot_product_attention(x(2, 3), x(2, 4), x(2, 3)), r"\(2, 4\)"),
        (lambda: nn.MultiheadAttention(6, 4), "4 heads of 6"),
        (lambda: nn.MultiheadAttention(4, 2)(x(3, 1, 4), x(3, 2, 4), x(3, 2, 4)), r"\(T, N, 4\)"),
        (
            lambda: nn.MultiheadAttention(4, 2)(
                *[x(3, 1, 4)] * 3, attn_mask=np.zeros((2, 3), bool)
            ),
            r"not \(2, 3\)",
        ),
        (
            lambda: nn.MultiheadAttention(4, 2)(
                *[x(3, 1, 4)] * 3, key_padding_mask=np.zeros((3, 1), bool)
            ),
            r"\(1, 3\), not \(3, 1\)",
        ),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), "tanh"),
        (lambda: nn.LSTM(3, 4)(x(5, 2, 2)), r"\(T, N, 3\) or \(T, 3\), not \(5, 2, 2\)"),
        (lambda: nn.LSTM(3, 4)(x(5, 2, 3), (x(1, 2, 4), x(1, 2, 3))), r"\(1, 2, 4\)"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), "sin"),
        (lambda: nn.GRU(3, 4)(x(0, 2, 3)), "no steps"),
        (lambda: nn.GRUCell(3, 4)(x(2, 4)), r"\(N, 3\), not \(2, 4\)"),
        (lambda: nn.LSTM(3, 4, dropout=2.0), "2.0"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.embedding(np.array([0.5]), x(3, 2)), "float64"),
        (lambda: F.one_hot(np.array([0.5]), 3), "float64"),
        (lambda: F.nll_loss(x(2, 3), np.zeros(2)), "float64"),
    ],
)
def test_numbers_of_rows_and_classes_are_integers(call, says):
    with pytest.raises(TypeError, match=says):
        call()


@pytest.mark.parametrize("logit", [3.0, -2.0])
def test_a_loss_of_probabilities_says_what_to_do_with_logits(logit):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="with_logits"):
        nn.BCELoss()(x(2, 1) * logit, np.ones((2, 1)))
    assert np.isnan(nn.BCELoss()(x(2, 1) * np.nan, np.ones((2, 1))).item())


@pytest.mark.parametrize("number", [-1, 3])
def test_an_embedding_has_no_row_for_other_numbers(number):
    with pytest.raises(IndexError, match=str(number)):
        F.embedding(np.array([0, number]), x(3, 2))


def test_a_query_that_may_attend_to_nothing_gives_zero_and_no_nan():
    q, k, v = x(2, 3), x(4, 3), x(4, 2)
    out = F.scaled_dot_product_attention(q, k, v, np.array([[False] * 4, [True] * 4]))
    np.testing.assert_array_equal(out.data, [[0, 0], [1, 1]])
    out.sum().backward()
    assert all(np.isfinite(t.grad).all() for t in (q, k, v))


def test_an_ignored_target_may_be_any_number():
    logits = x(3, 2)
    loss = F.cross_entropy(logits, np.array([-7, 1, 0]), ignore_index=-7)
    loss.backward()
    np.testing.assert_array_equal(logits.grad[0], [0, 0])
    np.testing.assert_allclose(loss.item(), np.log(2))


def test_a_mask_of_integers_is_refused_as_it_would_mask_nothing():
    mask = np.tril(np.ones((3, 3), int))
    with pytest.raises(TypeError, match=r"booleans.*not int64.*\.astype\(bool\)"):
        F.scaled_dot_product_attention(*[x(1, 3, 4)] * 3, attn_mask=mask)
    for masks in ({"attn_mask": mask}, {"key_padding_mask": np.zeros((1, 3), int)}):
        with pytest.raises(TypeError, match=r"booleans.*not int64"):
            nn.MultiheadAttention(4, 2)(*[x(3, 1, 4)] * 3, **masks)


def test_masked_logits_leave_the_cross_entropy_finite():
    logits = rg.Tensor([[0.0, -np.inf, 1.0]], requires_grad=True)
    F.cross_entropy(logits, np.array([0])).backward()
    assert np.isfinite(logits.grad).all()


def test_an_upsampled_image_keeps_its_corners():
    image = np.arange(4.0).reshape(1, 1, 2, 2)
    out = F.interpolate(image, size=(5, 3), mode="bilinear", align_corners=True)
    np.testing.assert_allclose(out[0, 0, ::4, ::2], image[0, 0])


def test_batches_and_windows_of_nothing_give_nothing():
    assert F.conv2d(x(0, 1, 4, 4), x(2, 1, 3, 3)).shape == (0, 2, 2, 2)
    assert F.max_pool2d(x(0, 1, 4, 4), 2).shape == (0, 1, 2, 2)
    assert F.embedding(np.zeros((0, 2), int), x(3, 4)).shape == (0, 2, 4)
    empty = x(0, 3)
    F.linear(empty, x(2, 3)).sum().backward()
    assert empty.grad.shape == (0, 3)
