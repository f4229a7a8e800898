"""What is kept of the arguments of a first call: enough to record a function again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.engine import Array, Tensor, wrap

_KEPT = 64  # elements: as many are kept of each argument


@dataclass(slots=True)
class Sample:
    """What is kept of the arguments of a first call, to record a function again.

    Args:
        structure: the tree of the arguments.
        leaves: its leaves; of an array some elements, its shape, and the Tensor if it is one.
    """

    structure: Any
    leaves: list[Any]

    @classmethod
    def of(cls, structure: Any, leaves: Sequence[Any]) -> Sample:
        """Return what is kept of some arguments."""
        return cls(structure, [_Part.of(leaf) for leaf in leaves])

    def arrays(self) -> list[_Part]:
        """Return what is kept of those arguments that are arrays."""
        return [leaf for leaf in self.leaves if isinstance(leaf, _Part)]

    def make(self, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """Return leaves whose arrays have other shapes."""
        found = iter(shapes)
        return [v.make(next(found)) if isinstance(v, _Part) else v for v in self.leaves]


@dataclass(slots=True)
class _Part:
    """Some elements of an array."""

    values: Array
    shape: tuple[int, ...]
    trains: bool
    has_grad: bool

    @classmethod
    def of(cls, leaf: Any) -> Any:
        if not isinstance(leaf, (np.ndarray, np.generic, Tensor)):
            return leaf
        array = leaf._array if isinstance(leaf, Tensor) else np.asarray(leaf)
        trains = isinstance(leaf, Tensor) and leaf.requires_grad
        has_grad = isinstance(leaf, Tensor) and trains and leaf._grad is not None
        return cls(array.flat[:_KEPT].copy(), array.shape, trains, has_grad)

    def make(self, shape: tuple[int, ...]) -> Any:
        array = np.resize(self.values, shape) if self.values.size else np.empty(shape)
        array = array.astype(self.values.dtype, copy=False)
        if not self.trains:
            return array
        t = wrap(array)
        t.requires_grad, t._grad = True, np.zeros_like(array) if self.has_grad else None
        return t
