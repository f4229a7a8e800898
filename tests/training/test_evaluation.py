"""Metrics are measured in evaluation mode, without gradients."""

import retrograd as rg
from training.parts import absolute, line


def test_validation_runs_without_gradients_and_leaves_the_modes_as_they_were():
    modes = []

    class Watch(rg.nn.Module):
        def __init__(self):
            self.inner = rg.nn.Linear(1, 1)
            self.inner.eval()

        def forward(self, x):
            modes.append((self.training, self.inner.training, rg.is_grad_enabled()))
            return self.inner(x)

    model = Watch()
    rg.evaluate(model, [line(3)[:]], {"error": absolute})
    assert modes == [(False, False, False)]
    assert (model.training, model.inner.training) == (True, False)
