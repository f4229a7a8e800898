"""Normalization as Modules: activations brought to mean 0 and variance 1, then scaled and shifted.

They differ in what mean and variance are taken over: a channel of the whole batch (BatchNorm), the
last axes of each sample (LayerNorm, RMSNorm), groups of channels of each sample (GroupNorm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.checks import check_not_negative, check_sizes
from retrograd.engine import Array, TensorLike, get_default_dtype, no_grad, wrap
from retrograd.nn import functional as F
from retrograd.nn.module import Module
from retrograd.nn.parameter import new_parameter
from retrograd.nn.reprs import ShowsArguments

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class _BatchNorm(ShowsArguments):
    """Batch normalization of inputs with one of the numbers of axes in `_axes`."""

    _axes: tuple[int, ...]
    running_mean: Array | None
    running_var: Array | None
    num_batches_tracked: Array | None

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, dtype: DTypeLike | None = None,
    ) -> None:  # fmt: skip
        check_sizes(type(self).__name__, num_features=num_features)
        check_not_negative(type(self).__name__, eps=eps)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape, dtype = (num_features,), dtype or get_default_dtype()
        self.weight = new_parameter(shape, dtype, 1.0) if affine else None
        self.bias = new_parameter(shape, dtype) if affine else None
        starts = {
            "running_mean": np.zeros(shape, dtype), "running_var": np.ones(shape, dtype),
            "num_batches_tracked": np.array(0),
        }  # fmt: skip
        for name, start in starts.items():
            self.register_buffer(name, start if track_running_stats else None)

    def forward(self, input: TensorLike) -> TensorLike:
        n = self.num_features
        if input.ndim not in self._axes or input.shape[1] != n:
            raise ValueError(
                f"{type(self).__name__} takes an input (N, {n}, ...) of "
                f"{' or '.join(map(str, self._axes))} axes, not {input.shape}"
            )
        momentum: Any = self.momentum
        training = self.training
        if self.running_mean is None:
            training = True
        elif training:
            momentum = self._count_batch()
        buffers = self.running_mean, self.running_var
        return F.batch_norm(input, *buffers, self.weight, self.bias, training, momentum, self.eps)

    def _count_batch(self) -> Any:
        """Count one more batch, and return how far the running values move towards it."""
        # Through Tensors, as a compiled step does both again in each of its runs.
        with no_grad():
            count: Any = wrap(self.num_batches_tracked)  # type: ignore[arg-type]
            count += 1
            if self.momentum is not None:
                return self.momentum
            return 1 / count.astype(self.running_mean.dtype)  # type: ignore[union-attr]


class BatchNorm1d(_BatchNorm):
    """Brings each channel to mean 0 and variance 1 over the batch, then scales and shifts it.

    In training `(x - mean) / sqrt(var + eps) * weight + bias` with the mean and the variance of the
    batch, towards which the running ones move:
    `running = (1 - momentum) * running + momentum * batch`, where the batch's variance has
    `count - 1` for its divisor. In evaluation (see `eval`) it is done with the running ones.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance (default 1e-5).
        momentum: How far the running mean and variance move in each step (default 0.1); None makes
            them the plain averages of all batches so far.
        affine: Whether there are `weight` and `bias` (default True).
        track_running_stats: Whether there are a running mean and variance (default True);
            otherwise those of the batch are used in evaluation too.
        dtype: Floating dtype of parameters and buffers; by default that of
            `rg.get_default_dtype()`.

    Shape:
        - input: `(N, C)` or `(N, C, L)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `(C,)`, at first 1; None without `affine`.
        bias: Parameter `(C,)`, at first 0; None without `affine`.
        running_mean: Buffer `(C,)`, at first 0; None without `track_running_stats`.
        running_var: Buffer `(C,)`, at first 1; None without `track_running_stats`.
        num_batches_tracked: Buffer `()`, the number of batches seen in training; None without
            `track_running_stats`.

    Raises:
        ValueError: if `num_features` is no whole number of at least 1, or `eps` is negative; when
            called, if the shape does not fit, or in training a channel has a single value.

    Ioffe and Szegedy 2015, "Batch normalization".

    >>> norm = rg.nn.BatchNorm1d(1)
    >>> norm(np.array([[1.0], [3.0]])).data.round(4).tolist()
    [[-1.0], [1.0]]
    >>> norm.running_mean, norm.running_var
    (array([0.2]), array([1.1]))
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Brings each channel of images to mean 0 and variance 1 over the batch and both axes.

    In training `(x - mean) / sqrt(var + eps) * weight + bias` with the mean and the variance of the
    batch, towards which the running ones move:
    `running = (1 - momentum) * running + momentum * batch`, where the batch's variance has
    `count - 1` for its divisor. In evaluation (see `eval`) it is done with the running ones.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance (default 1e-5).
        momentum: How far the running mean and variance move in each step (default 0.1); None makes
            them the plain averages of all batches so far.
        affine: Whether there are `weight` and `bias` (default True).
        track_running_stats: Whether there are a running mean and variance (default True);
            otherwise those of the batch are used in evaluation too.
        dtype: Floating dtype of parameters and buffers; by default that of
            `rg.get_default_dtype()`.

    Shape:
        - input: `(N, C, H, W)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `(C,)`, at first 1; None without `affine`.
        bias: Parameter `(C,)`, at first 0; None without `affine`.
        running_mean: Buffer `(C,)`, at first 0; None without `track_running_stats`.
        running_var: Buffer `(C,)`, at first 1; None without `track_running_stats`.
        num_batches_tracked: Buffer `()`, the number of batches seen in training; None without
            `track_running_stats`.

    Raises:
        ValueError: if `num_features` is no whole number of at least 1, or `eps` is negative; when
            called, if the shape does not fit, or in training a channel has a single value.

    Ioffe and Szegedy 2015, "Batch normalization".

    >>> norm = rg.nn.BatchNorm2d(3)
    >>> out = norm(np.random.default_rng(0).normal(5.0, 2.0, size=(8, 3, 4, 4)))
    >>> out.shape
    (8, 3, 4, 4)
    >>> np.allclose(out.data.mean(axis=(0, 2, 3)), 0)
    True
    """

    _axes = (4,)


class LayerNorm(ShowsArguments):
    """Brings the last axes of each sample to mean 0 and variance 1, then scales and shifts them.

    `(x - mean) / sqrt(var + eps) * weight + bias`, where mean and variance (with the number of
    elements for its divisor) are over the last axes, in training and evaluation alike.

    Args:
        normalized_shape: The lengths of the last axes, or the length of the last one.
        eps: Added to the variance (default 1e-5).
        elementwise_affine: Whether there are `weight` and `bias` (default True).
        bias: Whether there is `bias`, if there is `weight` (default True).
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.

    Shape:
        - input: `(..., *normalized_shape)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `normalized_shape`, at first 1; None without `elementwise_affine`.
        bias: Parameter `normalized_shape`, at first 0; None without `elementwise_affine` or
            `bias`.

    Raises:
        ValueError: if a length is no whole number of at least 1, or `eps` is negative; when
            called, if the last axes are others.

    Ba et al. 2016, "Layer normalization".

    >>> rg.nn.LayerNorm(2)(np.array([[1.0, 3.0], [5.0, 25.0]])).data.round(4).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...] | list[int], eps: float = 1e-5,
        elementwise_affine: bool = True, bias: bool = True, dtype: DTypeLike | None = None,
    ) -> None:  # fmt: skip
        self.normalized_shape = shape = _shape_of(self, normalized_shape)
        check_not_negative("LayerNorm", eps=eps)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = new_parameter(shape, dtype, 1.0) if elementwise_affine else None
        self.bias = new_parameter(shape, dtype) if elementwise_affine and bias else None

    def forward(self, input: TensorLike) -> TensorLike:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(ShowsArguments):
    """Brings the last axes of each sample to mean square 1, then scales them.

    `x / sqrt(mean(x ** 2) + eps) * weight`, where the mean is over the last axes: a `LayerNorm`
    that leaves the mean as it is.

    Args:
        normalized_shape: The lengths of the last axes, or the length of the last one.
        eps: Added to the mean square; by default the eps of the input's dtype (`np.finfo`).
        elementwise_affine: Whether there is `weight` (default True).
        dtype: Floating dtype of `weight`; by default that of `rg.get_default_dtype()`.

    Shape:
        - input: `(..., *normalized_shape)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `normalized_shape`, at first 1; None without `elementwise_affine`.

    Raises:
        ValueError: if a length is no whole number of at least 1, or `eps` is negative; when
            called, if the last axes are others.

    Zhang and Sennrich 2019, "Root mean square layer normalization".

    >>> rg.nn.RMSNorm(2)(np.array([[1.0, 7.0]])).data.round(4).tolist()
    [[0.2, 1.4]]
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...] | list[int], eps: float | None = None,
        elementwise_affine: bool = True, dtype: DTypeLike | None = None,
    ) -> None:  # fmt: skip
        self.normalized_shape = shape = _shape_of(self, normalized_shape)
        check_not_negative("RMSNorm", eps=eps)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = new_parameter(shape, dtype, 1.0) if elementwise_affine else None

    def forward(self, input: TensorLike) -> TensorLike:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)


def _shape_of(module: Module, lengths: int | tuple[int, ...] | list[int]) -> tuple[int, ...]:
    """Return one length or several as a tuple; ValueError for what is no length."""
    shape = (lengths,) if isinstance(lengths, int) else tuple(lengths)
    for length in shape:
        check_sizes(type(module).__name__, normalized_shape=length)
    return shape


class GroupNorm(ShowsArguments):
    """Brings groups of channels of each sample to mean 0 and variance 1, then scales and shifts.

    `(x - mean) / sqrt(var + eps) * weight + bias`, where mean and variance (with the number of
    elements for its divisor) are over all elements of a group, in training and evaluation alike.

    Args:
        num_groups: Number of groups, which divides `num_channels`.
        num_channels: Number of channels C.
        eps: Added to the variance (default 1e-5).
        affine: Whether there are `weight` and `bias` (default True).
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.

    Shape:
        - input: `(N, C, ...)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `(C,)`, at first 1; None without `affine`.
        bias: Parameter `(C,)`, at first 0; None without `affine`.

    Raises:
        ValueError: if a number is no whole number of at least 1, the groups do not divide the
            channels, or `eps` is negative; when called, if the input has other channels.

    Wu and He 2018, "Group normalization".

    >>> rg.nn.GroupNorm(2, 4)(np.array([[1.0, 3.0, 5.0, 25.0]])).data.round(4).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:  # fmt: skip
        check_sizes(type(self).__name__, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups of {num_channels} channels")
        check_not_negative("GroupNorm", eps=eps)
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self.weight = new_parameter((num_channels,), dtype, 1.0) if affine else None
        self.bias = new_parameter((num_channels,), dtype) if affine else None

    def forward(self, input: TensorLike) -> TensorLike:
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm of {self.num_channels} channels got {input.shape}")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
