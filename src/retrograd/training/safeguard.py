"""What keeps `fit` from destroying a model: updates that are not finite are taken back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.engine import Array, Tensor, as_array
from retrograd.nn.module import Module
from retrograd.optim.optimizer import Optimizer


class Safeguard:
    """Copies all that an update changes, so that one with values that are not finite is undone.

    Args:
        model: the model.
        optimizer: the optimizer of its parameters.
    """

    def __init__(self, model: Module, optimizer: Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        # Running statistics and the like, which a call of the model in training mode changes.
        self._buffers = [
            (module, name) for module in model.modules() for name, _ in module._own_buffers()
        ]
        self._copies: list[Array] = []

    def back_up(self) -> None:
        """Copy what the next update may change."""
        self.optimizer._back_up()
        self._copies = [array.copy() for array in self._present_buffers()]

    def undo_if_spoiled(self, loss: float, inputs: Sequence[Any], target: Any) -> str:
        """Take the update since `back_up` back if its loss or what it made is not finite.

        Args:
            loss: the loss before the update.
            inputs: the inputs of the batch.
            target: its target.

        Returns:
            What was not finite: the loss or the parameters, and where else there are such values,
            in the batch or in the gradients. An empty text if all is well.
        """
        finite = math.isfinite(loss)
        if finite and not self.optimizer._spoiled():
            return ""
        fault = "the update makes weights that are not finite" if finite else f"the loss is {loss}"
        self._undo()
        gradients = {f"the gradient of {n}": p.grad for n, p in self.model.named_parameters()}
        causes = list(_tell(self._values(inputs, target)))
        causes = causes or list(_tell(gradients if finite else {}))
        why = ", ".join(causes) or (
            "the data and the weights before it are finite; a lower learning rate or clip_norm may "
            "help"
        )
        self.model.zero_grad()
        return f"{fault}: {why}. Model and optimizer are as they were before this batch"

    def undo(self, inputs: Sequence[Any], target: Any) -> str:
        """Take back what an update has changed that failed, and tell what is not finite.

        Args:
            inputs: the inputs of the batch.
            target: its target.

        Returns:
            Where in the batch, the parameters or the gradients there are such values, or "".
        """
        self._undo()
        gradients = {f"the gradient of {n}": p.grad for n, p in self.model.named_parameters()}
        causes = [*_tell(self._values(inputs, target))] or [*_tell(gradients)]
        self.model.zero_grad()
        return ", ".join(causes)

    def _undo(self) -> None:
        self.optimizer._put_back()
        for array, copy in zip(self._present_buffers(), self._copies, strict=True):
            array[...] = copy

    def _present_buffers(self) -> Iterator[Array]:
        return (as_array(getattr(module, name)) for module, name in self._buffers)

    def _values(self, inputs: Sequence[Any], target: Any) -> dict[str, Any]:
        """Return a batch and the parameters, by what a message calls them."""
        names = [f"input {i}" for i in range(len(inputs))] if len(inputs) > 1 else ["the input"]
        batch = dict(zip(names, inputs, strict=True)) | {"the target": target}
        return batch | {f"parameter {n}": p for n, p in self.model.named_parameters()}


def _tell(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a text for each array with values that are not finite, with the first of them."""
    for name, value in values.items():
        if value is None:
            continue
        array = value._array if isinstance(value, Tensor) else np.asarray(value)
        if array.dtype.kind not in "fc" or np.isfinite(array).all():
            continue
        at = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        yield f"{name} has {array[at]} at {at}" if at else f"{name} is {array[()]}"
