"""Running averages of a model's weights, which often predict better than the last ones."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from retrograd.checks import ensure
from retrograd.engine import Array, as_array, touch, unrecorded
from retrograd.nn.module import Module, once
from retrograd.nn.parameter import Parameter


class AveragedModel(Module):
    """A copy of a model, called like it, whose weights are a running average of the model's.

    Call `update_parameters(model)` after each `optimizer.step()`. The first update copies the
    weights; each further one makes them `decay * average + (1 - decay) * weight`. Buffers, such as
    running statistics, are copied every time.

    Args:
        model: the model, which is left alone.
        decay: how much of the average stays at an update, from 0 to below 1 (default 0.999); None
            for the mean of all weights so far.

    Attributes:
        module: the copy, with the averages as its weights.
        n_averaged: how often it was updated, an array of shape `()`.

    Shape:
        Those of the model: the arguments and the output are its own.

    Raises:
        ValueError: if `decay` is outside its bounds.

    Polyak & Juditsky 1992; for `decay=None` Izmailov et al. 2018, "Averaging weights leads to
    wider optima and better generalization".

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
        good = decay is None or 0 <= decay < 1
        ensure(good, "decay", "None, or from 0 to below 1", decay)
        self.module, self.decay = copy.deepcopy(model), decay
        self.register_buffer("n_averaged", np.array(0, np.int64))

    def update_parameters(self, model: Module) -> None:
        """Move the average towards the present weights of a model.

        Args:
            model: the model that was copied, or one with the same names and shapes.

        Raises:
            ValueError: if names or shapes differ.
        """
        unrecorded("AveragedModel.update_parameters")
        own, other = self.module._state(), model._state()
        if names := ", ".join(sorted(own.keys() ^ other.keys())):
            raise ValueError(f"another model, the names differ: {names}")
        if names := ", ".join(n for n in own if np.shape(own[n]) != np.shape(other[n])):
            raise ValueError(f"another model, the shapes differ: {names}")
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
