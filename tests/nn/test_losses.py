import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize("loss", [nn.MSELoss, nn.BCELoss, nn.BCEWithLogitsLoss])
def test_a_loss_of_two_shapes_names_both(loss):
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3,\)"):
        loss()(rg.Tensor(np.full((3, 1), 0.5)), np.zeros(3))


@pytest.mark.parametrize(
    "loss", [nn.MSELoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss, nn.NLLLoss]
)
def test_a_reduction_is_one_of_three(loss):
    x = rg.Tensor(np.full((2, 3), 0.5))
    target = np.zeros(2, int) if loss in (nn.CrossEntropyLoss, nn.NLLLoss) else np.zeros((2, 3))
    with pytest.raises(ValueError, match="reduction"):
        loss(reduction="avg")(x, target)


@pytest.mark.parametrize("logit", [3.0, -2.0])
def test_a_loss_of_probabilities_says_what_to_do_with_logits(logit):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="with_logits"):
        nn.BCELoss()(x(2, 1) * logit, np.ones((2, 1)))
    assert np.isnan(nn.BCELoss()(x(2, 1) * np.nan, np.ones((2, 1))).item())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.L1Loss("total"), "'mean', 'sum', 'none'"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


WEIGHT = np.array([1.0, 2.0, 0.5, 3.0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("MSELoss", F.mse_loss, {}),
        ("L1Loss", F.l1_loss, {}),
        ("HuberLoss", F.huber_loss, {"delta": 0.1}),
        ("SmoothL1Loss", F.smooth_l1_loss, {"beta": 0.1}),
        ("BCELoss", F.binary_cross_entropy, {"weight": WEIGHT}),
        ("BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, {"weight": WEIGHT}),
        ("BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, {"pos_weight": WEIGHT}),
        ("PoissonNLLLoss", F.poisson_nll_loss, {"log_input": False, "eps": 0.1}),
        ("PoissonNLLLoss", F.poisson_nll_loss, {"full": True}),
    ],
)
def test_a_loss_hands_its_options_to_its_function(name, function, options, reduction):
    kind = getattr(nn, name)
    input = rg.Tensor(RNG.uniform(0.1, 0.9, size=(3, 4)))
    target = RNG.integers(0, 2, size=(3, 4)) + (2.0 if name == "PoissonNLLLoss" else 0.0)
    out = kind(reduction=reduction, **options)(input, target)
    expected = function(input, target, reduction=reduction, **options)
    np.testing.assert_array_equal(out.data, expected.data)
    assert out.shape == ((3, 4) if reduction == "none" else ())
    usual = kind(reduction=reduction)(input, target)
    assert not options or not np.array_equal(out.data, usual.data)


@pytest.mark.parametrize("options", [{"full": True}, {"eps": 1.0}])
def test_a_gaussian_loss_hands_its_options_to_its_function(options):
    input, target = rg.Tensor(RNG.normal(size=(3, 4))), RNG.normal(size=(3, 4))
    var = RNG.uniform(0.2, 0.5, size=(3, 4))
    out = nn.GaussianNLLLoss(**options)(input, target, var)
    assert out == F.gaussian_nll_loss(input, target, var, **options)
    assert out != nn.GaussianNLLLoss()(input, target, var)


def test_the_weights_of_a_loss_are_buffers():
    loss = nn.BCEWithLogitsLoss(pos_weight=[1, 2])
    assert list(loss.state_dict()) == ["pos_weight"]
    assert nn.BCELoss().weight is None
