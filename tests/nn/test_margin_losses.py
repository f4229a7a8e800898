import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


X, Y, Z = (rg.Tensor(x) for x in RNG.normal(size=(3, 6, 4)))
SIGNS = np.array([1, -1, 1, -1, -1, 1])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "function", "inputs", "options"),
    [
        ("HingeEmbeddingLoss", F.hinge_embedding_loss, (X[:, 0], SIGNS), {"margin": 3.0}),
        ("MarginRankingLoss", F.margin_ranking_loss, (X[:, 0], Y[:, 0], SIGNS), {"margin": 3.0}),
        ("CosineEmbeddingLoss", F.cosine_embedding_loss, (X, Y, SIGNS), {"margin": -1.0}),
        ("TripletMarginLoss", F.triplet_margin_loss, (X, Y, Z), {"margin": 9.0}),
        ("TripletMarginLoss", F.triplet_margin_loss, (X, Y, Z), {"p": 1.0}),
        ("TripletMarginLoss", F.triplet_margin_loss, (X, Y, Z), {"eps": 0.5}),
        ("TripletMarginLoss", F.triplet_margin_loss, (X, Y, Z), {"swap": True}),
    ],
)
def test_a_loss_with_a_margin_hands_its_options_to_its_function(
    name, function, inputs, options, reduction
):
    kind = getattr(nn, name)
    out = kind(reduction=reduction, **options)(*inputs)
    expected = function(*inputs, reduction=reduction, **options)
    np.testing.assert_array_equal(out.data, expected.data)
    assert out.shape == ((6,) if reduction == "none" else ())
    assert not np.array_equal(out.data, kind(reduction=reduction)(*inputs).data)


def test_a_reduction_of_a_loss_with_a_margin_is_one_of_three():
    with pytest.raises(ValueError, match="'mean', 'sum', 'none'"):
        nn.TripletMarginLoss(reduction="batchmean")
