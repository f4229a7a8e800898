import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.NLLLoss()])
def test_a_class_is_a_whole_number_within_the_classes(loss):
    x = rg.Tensor(np.zeros((2, 3)), requires_grad=True)
    with pytest.raises(TypeError, match="float64"):
        loss(x, np.zeros(2))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        loss(x, np.zeros(3, int))
    with pytest.raises(IndexError):
        loss(x, np.array([0, 3]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.KLDivLoss("average"), "batchmean"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("NLLLoss", F.nll_loss, {"weight": np.array([1.0, 2.0, 0.5])}),
        ("NLLLoss", F.nll_loss, {"ignore_index": 1}),
        ("CrossEntropyLoss", F.cross_entropy, {"weight": np.array([1.0, 2.0, 0.5])}),
        ("CrossEntropyLoss", F.cross_entropy, {"ignore_index": 1}),
        ("CrossEntropyLoss", F.cross_entropy, {"label_smoothing": 0.2}),
    ],
)
def test_a_loss_of_classes_hands_its_options_to_its_function(name, function, options, reduction):
    kind = getattr(nn, name)
    input, target = rg.Tensor(RNG.normal(size=(4, 3))), np.array([0, 1, 2, 1])
    out = kind(reduction=reduction, **options)(input, target)
    expected = function(input, target, reduction=reduction, **options)
    np.testing.assert_array_equal(out.data, expected.data)
    assert out.shape == ((4,) if reduction == "none" else ())
    assert not np.array_equal(out.data, kind(reduction=reduction)(input, target).data)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_a_divergence_hands_its_options_to_its_function(reduction, log_target):
    input, target = rg.Tensor(np.log(RNG.uniform(size=(4, 3)))), RNG.uniform(size=(4, 3))
    out = nn.KLDivLoss(reduction, log_target)(input, target)
    expected = F.kl_div(input, target, reduction=reduction, log_target=log_target)
    np.testing.assert_array_equal(out.data, expected.data)


def test_a_target_may_hold_probabilities():
    scores, classes = rg.Tensor(RNG.normal(size=(4, 3))), np.array([0, 1, 2, 1])
    one = nn.CrossEntropyLoss()(scores, classes)
    other = nn.CrossEntropyLoss()(scores, np.eye(3)[classes])
    np.testing.assert_allclose(one.data, other.data)
