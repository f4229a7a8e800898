"""What functions and layers refuse: the error says what was called and what would fit."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: rg.optim.Adam([x(1)], betas=(0.9,)), "betas must be two numbers"),
        (lambda: rg.optim.Adam([x(1)], betas=0.9), "betas must be two numbers"),
        (lambda: nn.Hardtanh(1.0, 1.0), "min_val below max_val"),
        (lambda: nn.L1Loss("total"), "'mean', 'sum', 'none'"),
        (lambda: nn.KLDivLoss("average"), "batchmean"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), "padding_idx 3"),
        (lambda: nn.Embedding(0, 2), "num_embeddings of at least 1"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "groups=2 must divide"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "mirror"),
        (lambda: nn.BatchNorm1d(3)(x(2, 4)), r"\(N, 3, ...\)"),
        (lambda: nn.BatchNorm2d(3)(x(2, 3)), "4 axes"),
        (lambda: nn.GroupNorm(2, 3), "2 groups of 3"),
        (lambda: nn.LayerNorm(0), "0"),
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


@pytest.mark.parametrize("logit", [3.0, -2.0])
def test_a_loss_of_probabilities_says_what_to_do_with_logits(logit):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="with_logits"):
        nn.BCELoss()(x(2, 1) * logit, np.ones((2, 1)))
    assert np.isnan(nn.BCELoss()(x(2, 1) * np.nan, np.ones((2, 1))).item())


def test_a_mask_of_integers_is_refused_as_it_would_mask_nothing():
    mask = np.tril(np.ones((3, 3), int))
    for masks in ({"attn_mask": mask}, {"key_padding_mask": np.zeros((1, 3), int)}):
        with pytest.raises(TypeError, match=r"booleans.*not int64"):
            nn.MultiheadAttention(4, 2)(*[x(3, 1, 4)] * 3, **masks)
