import numpy as np
import pytest

from retrograd import nn


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


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(3, 2, bias=False), nn.Dropout(0.1), nn.Flatten(0, 1), nn.Unflatten(1, [2, 3]),
        nn.ELU(0.5), nn.Hardtanh(), nn.GELU("tanh"), nn.LogSoftmax(0), nn.PReLU(3),
        nn.MaxPool1d(3, 2), nn.AvgPool2d((2, 3), count_include_pad=False), nn.AdaptiveAvgPool2d(2),
        nn.CrossEntropyLoss(label_smoothing=0.1), nn.HuberLoss("sum", 2.0), nn.KLDivLoss(),
        nn.TripletMarginLoss(swap=True), nn.PoissonNLLLoss(full=True), nn.BatchNorm2d(3),
        nn.LayerNorm((2, 3), eps=0.1), nn.GroupNorm(2, 4), nn.Conv1d(2, 4, 3, groups=2),
        nn.Conv2d(1, 2, 3, padding_mode="reflect"), nn.LSTM(2, 3, 2), nn.GRUCell(2, 3),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_a_repr_is_a_call_that_makes_a_layer_with_the_same_repr(layer):
    assert repr(eval(f"nn.{layer!r}")) == repr(layer)
