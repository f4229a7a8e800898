"""Normalization as modules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import get_default_dtype, wrap
from retrograd.mode import no_grad
from retrograd.nn import functional as F
from retrograd.nn.init import ones_
from retrograd.nn.layers import at_least_1
from retrograd.nn.module import Module, new_parameter


class _BatchNorm(Module):
    _axes: tuple[int, ...]
    _shown = ("num_features", "eps", "momentum", "affine", "track_running_stats")
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = None,
    ) -> None:
        at_least_1(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape, dtype = (num_features,), dtype or get_default_dtype()
        self.weight = ones_(new_parameter(shape, dtype)) if affine else None
        self.bias = new_parameter(shape, dtype) if affine else None
        tracked = track_running_stats
        self.register_buffer("running_mean", np.zeros(shape, dtype) if tracked else None)
        self.register_buffer("running_var", np.ones(shape, dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if tracked else None)

    def forward(self, input: Any) -> Any:
        """Apply `functional.batch_norm`."""
        if input.ndim not in self._axes or input.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}({self.num_features}) takes an input (N, "
                f"{self.num_features}, ...) of {' or '.join(map(str, self._axes))} axes, not "
                f"{input.shape}"
            )
        momentum: Any = self.momentum
        if self.training and self.running_mean is not None:
            with no_grad():
                count = wrap(self.num_batches_tracked)
                count += 1
                if momentum is None:
                    momentum = 1 / count.astype(self.running_mean.dtype)
        training = self.training or self.running_mean is None
        buffers = self.running_mean, self.running_var
        return F.batch_norm(input, *buffers, self.weight, self.bias, training, momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """Channels of mean 0 and variance 1 over the batch: `(N, C)` or `(N, C, L)`.

    In evaluation the running mean and variance are used, which training moves towards the
    batch's by `momentum` (None: their plain average so far).

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.BatchNorm1d(1)(np.array([[1.0], [3.0]])).data.round(4).tolist()
    [[-1.0], [1.0]]
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Channels of mean 0 and variance 1 over the batch and the image: `(N, C, H, W)`.

    In evaluation the running mean and variance are used, which training moves towards the
    batch's by `momentum` (None: their plain average so far).

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.BatchNorm2d(3)(np.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _axes = (4,)


class LayerNorm(Module):
    """The last axes, of `normalized_shape`, with mean 0 and variance 1, scaled and shifted.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.LayerNorm(2)(np.array([[1.0, 3.0]])).data.round(4).tolist()
    [[-1.0, 1.0]]
    """

    _shown = ("normalized_shape", "eps", "elementwise_affine")

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...] | list[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        affine = elementwise_affine
        self.weight = ones_(new_parameter(self.normalized_shape, dtype)) if affine else None
        self.bias = new_parameter(self.normalized_shape, dtype) if affine and bias else None

    def forward(self, input: Any) -> Any:
        """Apply `functional.layer_norm`."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(Module):
    """The last axes, of `normalized_shape`, with mean square 1, scaled.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.RMSNorm(2)(np.array([[1.0, 7.0]])).data.round(4).tolist()
    [[0.2, 1.4]]
    """

    _shown = ("normalized_shape", "eps", "elementwise_affine")

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...] | list[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        affine = elementwise_affine
        self.weight = ones_(new_parameter(self.normalized_shape, dtype)) if affine else None

    def forward(self, input: Any) -> Any:
        """Apply `functional.rms_norm`."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)


class GroupNorm(Module):
    """Groups of channels of `(N, C, ...)` with mean 0 and variance 1, scaled and shifted.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.GroupNorm(2, 4)(np.ones((3, 4, 5))).shape
    (3, 4, 5)
    """

    _shown = ("num_groups", "num_channels", "eps", "affine")

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: Any = None,
    ) -> None:
        at_least_1("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups of {num_channels} channels")
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self.weight = ones_(new_parameter((num_channels,), dtype)) if affine else None
        self.bias = new_parameter((num_channels,), dtype) if affine else None

    def forward(self, input: Any) -> Any:
        """Apply `functional.group_norm`."""
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm of {self.num_channels} channels got {input.shape}")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def _shape(given: int | tuple[int, ...] | list[int]) -> tuple[int, ...]:
    shape = (given,) if isinstance(given, int) else tuple(given)
    if math.prod(shape) < 1:
        raise ValueError(f"normalized_shape is {given}: it must hold an element")
    return shape
