import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_convolution_pads_with_what_is_there(mode):
    layer = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode, rng=0)
    x = RNG.normal(size=(2, 2, 5, 6))
    name = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)), mode=name)
    np.testing.assert_allclose(layer(x).data, F.conv2d(padded, layer.weight, layer.bias).data)
    assert f"padding_mode='{mode}'" in repr(layer)


def test_one_image_without_a_batch_is_made_larger_too():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, rng=0)
    x = RNG.normal(size=(2, 3, 4))
    np.testing.assert_allclose(layer(x).data, layer(x[None]).data[0])


def test_a_convolution_does_not_depend_on_the_layout_of_its_input():
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 6))
    layer = nn.Conv2d(2, 4, 3, padding=1, rng=0)
    results = []
    for order in ((0, 1, 2, 3), (1, 2, 3, 0), (3, 2, 0, 1)):
        back = np.argsort(order)
        laid_out = np.ascontiguousarray(x.transpose(order)).transpose(back)
        leaf = rg.Tensor(laid_out, requires_grad=True)
        out = F.max_pool2d(F.relu(layer(leaf)), 2)
        (out * np.arange(out.size).reshape(out.shape)).sum().backward()
        results.append((out.data, leaf.grad))
    for out, grad in results[1:]:
        np.testing.assert_allclose(out, results[0][0], rtol=1e-12)
        np.testing.assert_allclose(grad, results[0][1], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "groups=2 must divide"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "mirror"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_the_sizes_of_a_convolution_may_be_numpys_integers():
    n = np.array([1, 3]).max()
    assert rg.nn.Conv2d(1, n, n)(np.ones((1, 1, 4, 4))).shape == (1, 3, 2, 2)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_lengths_come_out_as_their_formulas_say(stride, padding, dilation):
    n, k, options = 11, 3, {"stride": stride, "padding": padding, "dilation": dilation}
    m = (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    assert nn.Conv1d(4, 6, k, groups=2, **options)(np.ones((2, 4, n))).shape == (2, 6, m)
    assert nn.Conv2d(4, 6, (k, 1), **options)(np.ones((2, 4, n, n))).shape[:3] == (2, 6, m)
    back = nn.ConvTranspose2d(6, 4, (k, 1), **options)(np.ones((2, 6, m, m + 4)))
    assert back.shape[2] == (m - 1) * stride - 2 * padding + dilation * (k - 1) + 1


def test_one_signal_without_a_batch_is_convolved_too():
    layer, x = nn.Conv1d(2, 3, 3, padding="same", padding_mode="circular", rng=0), np.ones((2, 5))
    np.testing.assert_allclose(layer(x).data, layer(x[None]).data[0])
