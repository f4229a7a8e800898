"""Normalization as Modules: activations brought to mean 0 and variance 1, then scaled and shifted.

They differ in what mean and variance are taken over: here the last axes of each sample (LayerNorm,
RMSNorm) and groups of channels of each sample (GroupNorm); in `channel_norms` a channel of the
whole batch (BatchNorm), or of each sample (InstanceNorm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrograd.checks import check_device, check_sizes
from retrograd.engine import TensorLike
from retrograd.nn import functional as F
from retrograd.nn.module import Module
from retrograd.nn.parameter import new_parameter
from retrograd.nn.reprs import ShowsArguments

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class LayerNorm(ShowsArguments):
    """Brings the last axes of each sample to mean 0 and variance 1, then scales and shifts them.

    `(x - mean) / sqrt(var + eps) * weight + bias`, where mean and variance (with the number of
    elements for its divisor) are over the last axes, in training and evaluation alike.

    Args:
        normalized_shape: The lengths of the last axes, or the length of the last one.
        eps: Added to the variance (default 1e-5).
        elementwise_affine: Whether there are `weight` and `bias` (default True).
        bias: Whether there is `bias`, if there is `weight` (default True).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.

    Shape:
        - input: `(..., *normalized_shape)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `normalized_shape`, at first 1; None without `elementwise_affine`.
        bias: Parameter `normalized_shape`, at first 0; None without `elementwise_affine` or
            `bias`.

    Raises:
        ValueError: if a length is no whole number of at least 1; when called, if the last axes are
            others.

    Ba et al. 2016, "Layer normalization".

    >>> rg.nn.LayerNorm(2)(np.array([[1.0, 3.0], [5.0, 25.0]])).data.round(4).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...] | list[int], eps: float = 1e-5,
        elementwise_affine: bool = True, bias: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        self.normalized_shape = shape = _shape_of(self, normalized_shape)
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
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of `weight`; by default that of `rg.get_default_dtype()`.

    Shape:
        - input: `(..., *normalized_shape)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `normalized_shape`, at first 1; None without `elementwise_affine`.

    Raises:
        ValueError: if a length is no whole number of at least 1; when called, if the last axes are
            others.

    Zhang and Sennrich 2019, "Root mean square layer normalization".

    >>> rg.nn.RMSNorm(2)(np.array([[1.0, 7.0]])).data.round(4).tolist()
    [[0.2, 1.4]]
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...] | list[int], eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        self.normalized_shape = shape = _shape_of(self, normalized_shape)
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
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        bias: Whether there is `bias`, if there is `weight` (default True).

    Shape:
        - input: `(N, C, ...)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `(C,)`, at first 1; None without `affine`.
        bias: Parameter `(C,)`, at first 0; None without `affine` or `bias`.

    Raises:
        ValueError: if a number is no whole number of at least 1, or the groups do not divide the
            channels; when called, if the input has other channels.

    Wu and He 2018, "Group normalization".

    >>> rg.nn.GroupNorm(2, 4)(np.array([[1.0, 3.0, 5.0, 25.0]])).data.round(4).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        check_sizes(type(self).__name__, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups of {num_channels} channels")
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self.weight = new_parameter((num_channels,), dtype, 1.0) if affine else None
        self.bias = new_parameter((num_channels,), dtype) if affine and bias else None

    def forward(self, input: TensorLike) -> TensorLike:
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm of {self.num_channels} channels got {input.shape}")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
