"""Options of layers and functions that the golden numbers leave out."""

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


def test_reprs_show_what_is_not_usual():
    shown = {
        nn.Conv2d(1, 2, 3, stride=2, bias=False): "stride=(2, 2), bias=False",
        nn.LSTM(2, 3, num_layers=2, bidirectional=True): "num_layers=2, bidirectional=True",
        nn.GRUCell(2, 3): "GRUCell(2, 3)",
        nn.MaxPool2d(2): "kernel_size=2, stride=2, padding=0, dilation=1",
        nn.Embedding(3, 2, padding_idx=-1): "padding_idx=2",
        nn.BatchNorm1d(3): "num_features=3",
        nn.Dropout(0.1): "p=0.1",
    }
    for module, text in shown.items():
        assert text in repr(module)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_sequence_without_a_batch_may_start_from_a_state(name, batch_first):
    layer = getattr(nn, name)(3, 4, batch_first=batch_first, rng=0)
    x, states = RNG.normal(size=(5, 3)), tuple(RNG.normal(size=(1, 4)) for _ in range(2))
    one = states if name == "LSTM" else states[0]
    many = tuple(s[:, None] for s in states) if name == "LSTM" else states[0][:, None]
    axis = 0 if batch_first else 1
    alone, last = layer(x, one)
    batch, _ = layer(np.expand_dims(x, axis), many)
    np.testing.assert_allclose(alone.data, np.squeeze(batch.data, axis))
    assert (last[0] if name == "LSTM" else last).shape == (1, 4)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_a_cell_takes_one_sample(name):
    cell, x = getattr(nn, name)(3, 4, rng=0), RNG.normal(size=3)
    first = cell(x)
    again = cell(x, first)
    batch = cell(x[None], tuple(s[None] for s in first) if name == "LSTMCell" else first[None])
    one, many = (again[0], batch[0]) if name == "LSTMCell" else (again, batch)
    np.testing.assert_allclose(one.data, many.data[0])


def test_dropout_acts_on_attention_and_between_layers_in_training_only():
    x = rg.Tensor(np.ones((5, 2, 4)))
    attention = nn.MultiheadAttention(4, 2, dropout=0.5, rng=0)
    layers = nn.LSTM(4, 4, num_layers=2, dropout=0.5, rng=0)
    for call in (lambda: attention(x, x, x)[0], lambda: layers(x)[0]):
        assert not np.array_equal(call().data, call().data)
    attention.eval(), layers.eval()
    for call in (lambda: attention(x, x, x)[0], lambda: layers(x)[0]):
        np.testing.assert_array_equal(call().data, call().data)


def test_packed_weights_also_serve_three_different_inputs():
    attention = nn.MultiheadAttention(4, 2, batch_first=True, rng=0)
    x = rg.Tensor(RNG.normal(size=(2, 3, 4)))
    together, _ = attention(x, x, x)
    apart, _ = attention(x, x + 0, x + 0)
    np.testing.assert_allclose(together.data, apart.data)


def test_modules_and_parameters_are_registered_by_name():
    module = nn.Module()
    module.register_parameter("weight", nn.Parameter([1.0]))
    module.register_parameter("bias", None)
    module.add_module("0", nn.Linear(1, 1))
    assert list(module.state_dict()) == ["weight", "0.weight", "0.bias"]
    assert len(list(module.buffers())) == 0
    assert module.float().weight.dtype == np.float32


def test_an_activation_may_be_made_with_other_arguments_by_a_subclass():
    class Shifted(nn.ELU):
        def __init__(self, by):
            super().__init__(alpha=2.0)
            self.by = by

        def forward(self, input):
            return super().forward(input - self.by)

    layer = Shifted(1.0)
    np.testing.assert_allclose(layer(np.zeros(1)), 2 * np.expm1(-1.0))
    assert "by=1.0" in repr(layer)
    assert "alpha=2.0" in repr(layer)
