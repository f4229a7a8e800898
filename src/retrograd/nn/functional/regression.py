"""Losses of numbers, torch's formulas; `reduction` is as in `losses`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.nn.functional.losses import reduced, same_shape, share
from retrograd.registry import defvjp


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return the distance of `input` and `target`, which have one shape; its slope at 0 is 0.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.l1_loss(np.array([1.0, 4.0]), np.array([1.0, 1.0])))
    1.5
    """
    same_shape("l1_loss", input, target)
    return reduced(np.abs(input - target), reduction)


@primitive
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Return half the squared difference, beyond `delta` a line: `delta * (|d| - delta / 2)`.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    same_shape("huber_loss", input, target)
    size = np.abs(input - target)
    near = np.minimum(size, delta)
    return reduced(near * (size - 0.5 * near), reduction)


def _huber_dx(
    g: Any, out: Any, input: Any, target: Any, reduction: str = "mean", delta: float = 1.0
) -> Any:
    return share(g, input, reduction) * np.clip(input - target, -delta, delta)


defvjp(huber_loss, _huber_dx, lambda *args, **options: -_huber_dx(*args, **options))


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Return the `huber_loss` with `delta = beta`, divided by `beta`; for `beta=0` the `l1_loss`.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> F.smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss takes beta of at least 0, not {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction=reduction, delta=beta) / beta


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Any:
    """Return minus the log-probability of counts `target` at rates `exp(input)`.

    Without `log_input`, `input` is the rate itself, and `eps` keeps its logarithm finite. `full`
    adds Stirling's approximation of `log(target!)` where the count is above 1.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.poisson_nll_loss(np.array([0.0]), np.array([2.0])))
    1.0
    """
    if log_input:
        values = np.exp(input) - target * input
    else:
        values = input - target * np.log(input + eps)
    if full:
        many = np.maximum(target, 1.0)
        stirling = many * np.log(many) - many + 0.5 * np.log(2 * math.pi * many)
        values = values + np.where(target > 1, stirling, 0.0)
    return reduced(values, reduction)


def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """Return minus the log-density of `target` at mean `input` and variance `var`.

    `var` has the shape of `input`, or 1 on the last axis, or lacks that axis; it counts as at
    least `eps`. `full` adds the constant `log(2 pi) / 2`.

    >>> import numpy as np, retrograd.nn.functional as F
    >>> float(F.gaussian_nll_loss(np.array([2.0]), np.array([0.0]), np.array([1.0])))
    2.0
    """
    if var.shape == input.shape[:-1] and var.shape != input.shape:
        var = np.expand_dims(var, -1)
    elif var.shape not in (input.shape, (*input.shape[:-1], 1)):
        raise ValueError(f"gaussian_nll_loss takes var {input.shape}, not {var.shape}")
    var = np.maximum(var, eps)
    values = 0.5 * (np.log(var) + np.square(input - target) / var)
    if full:
        values = values + 0.5 * math.log(2 * math.pi)
    return reduced(values, reduction)
