"""What updates of parameters are made of, for arrays and for Tensors that record them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from retrograd.engine import Tensor

# The options of a param group, by name.
Options: TypeAlias = Mapping[str, Any]


def gradient(p: Any, g: Any, options: Options, lr: Any) -> Any:
    """Return the gradient to descend along, after `maximize` and `weight_decay`; for an `update`.

    A `decoupled_weight_decay` is taken off `p` here instead, in place.
    """
    if options["maximize"]:
        g = -g
    if options["weight_decay"]:
        if options.get("decoupled_weight_decay"):
            p *= 1 - lr * options["weight_decay"]
        else:
            g = g + options["weight_decay"] * p
    return g


def average(mean: Any, x: Any, beta: float) -> None:
    """Move a running mean towards `x` in place; for an `update`."""
    mean *= beta
    mean += (1 - beta) * x


def write_to(x: Any, ufunc: np.ufunc, other: Any) -> None:
    """Write `ufunc(x, other)` into `x`; for an `update`."""
    if isinstance(x, Tensor):
        x._update(ufunc, other)
    else:
        ufunc(x, other, out=x)
