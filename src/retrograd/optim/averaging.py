"""Averages of a model's weights over training."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from retrograd.core import Array, Parameter, as_array, touch
from retrograd.mode import MODE
from retrograd.nn.module import Module, once
from retrograd.optim.optimizer import ensure


class AveragedModel(Module):
    """A copy of a model whose weights are a running average of the model's.

    Call `update_parameters(model)` after each `optimizer.step()`. The average is exponential,
    `decay * average + (1 - decay) * weight`, or with `decay=None` the mean of all (Izmailov et al.
    2018). The first update copies, as all do with buffers. It is called like the model.

    >>> model = rg.nn.Linear(1, 1)
    >>> average = rg.optim.AveragedModel(model, decay=0.75)
    >>> for value in (0.0, 1.0):
    ...     model.weight.data[...] = value
    ...     average.update_parameters(model)
    >>> average.module.weight
    Parameter([[0.25]], requires_grad=True)
    """

    n_averaged: Array

    def __init__(self, model: Module, decay: float | None = 0.999) -> None:
        ensure(decay is None or 0 <= decay < 1, "decay", "None, or from 0 to below 1", decay)
        self.module, self.decay = copy.deepcopy(model), decay
        self.register_buffer("n_averaged", np.array(0))

    def update_parameters(self, model: Module) -> None:
        """Take the weights of `model` into the average."""
        if tape := MODE.get().tape:
            tape.forbid("AveragedModel.update_parameters, whose first call differs,")
        own, other = self.module._state(), model._state()
        if names := ", ".join(sorted(own.keys() ^ other.keys())):
            raise ValueError(f"this is another model, the names differ: {names}")
        count = int(self.n_averaged)
        keep = count / (count + 1) if self.decay is None or not count else self.decay
        for name, average in once(own.items()):
            array, new = as_array(average), as_array(other[name])
            if isinstance(average, Parameter):
                array *= keep
                array += (1 - keep) * new
                touch(average)
            else:
                array[...] = new
        self.n_averaged += 1

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)
