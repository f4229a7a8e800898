import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.Hardtanh(1.0, 1.0), "min_val below max_val"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize(
    ("layer", "function", "options"),
    [
        (nn.ReLU(), F.relu, {}),
        (nn.LeakyReLU(0.3), F.leaky_relu, {"negative_slope": 0.3}),
        (nn.ELU(0.5), F.elu, {"alpha": 0.5}),
        (nn.SELU(), F.selu, {}),
        (nn.GELU(), F.gelu, {}),
        (nn.GELU("tanh"), F.gelu, {"approximate": "tanh"}),
        (nn.SiLU(), F.silu, {}),
        (nn.Mish(), F.mish, {}),
        (nn.Softplus(2.0, 1.0), F.softplus, {"beta": 2.0, "threshold": 1.0}),
        (nn.Sigmoid(), F.sigmoid, {}),
        (nn.LogSigmoid(), F.logsigmoid, {}),
        (nn.Tanh(), np.tanh, {}),
        (nn.Hardtanh(-0.5, 0.2), F.hardtanh, {"min_val": -0.5, "max_val": 0.2}),
        (nn.Softsign(), F.softsign, {}),
        (nn.Softmax(0), F.softmax, {"axis": 0}),
        (nn.LogSoftmax(0), F.log_softmax, {"axis": 0}),
        (nn.GLU(0), F.glu, {"axis": 0}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_an_activation_hands_its_options_to_its_function(layer, function, options):
    x = RNG.normal(size=(4, 6))
    np.testing.assert_array_equal(layer(x), function(x, **options))
    np.testing.assert_array_equal(layer(rg.Tensor(x)).data, function(x, **options))


def test_a_prelu_learns_a_slope_for_each_channel():
    layer, x = nn.PReLU(3, init=0.1), rg.Tensor(-np.ones((2, 3, 4)))
    with rg.no_grad():
        layer.weight += np.array([0.0, 1.0, 2.0])
    out = layer(x)
    np.testing.assert_allclose(out.data[0, :, 0], [-0.1, -1.1, -2.1])
    out.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, np.full(3, -8.0))
