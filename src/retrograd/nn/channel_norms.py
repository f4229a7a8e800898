"""Normalization of channels as Modules: over the whole batch, or each sample by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.checks import check_device, check_not_negative, check_sizes
from retrograd.engine import Array, TensorLike, get_default_dtype, no_grad, wrap
from retrograd.nn import functional as F
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
        affine: bool = True, track_running_stats: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        check_sizes(type(self).__name__, num_features=num_features)
        check_not_negative(type(self).__name__, eps=eps)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape, dtype = (num_features,), dtype or get_default_dtype()
        self.weight = new_parameter(shape, dtype, 1.0) if affine else None
        self.bias = new_parameter(shape, dtype) if affine and bias else None
        starts = {
            "running_mean": np.zeros(shape, dtype), "running_var": np.ones(shape, dtype),
            "num_batches_tracked": np.array(0, np.int64),
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
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of parameters and buffers; by default that of
            `rg.get_default_dtype()`.
        bias: Whether there is `bias`, if there is `weight` (default True).

    Shape:
        - input: `(N, C)` or `(N, C, L)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `(C,)`, at first 1; None without `affine`.
        bias: Parameter `(C,)`, at first 0; None without `affine` or `bias`.
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
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of parameters and buffers; by default that of
            `rg.get_default_dtype()`.
        bias: Whether there is `bias`, if there is `weight` (default True).

    Shape:
        - input: `(N, C, H, W)`.
        - output: the same shape.

    Attributes:
        weight: Parameter `(C,)`, at first 1; None without `affine`.
        bias: Parameter `(C,)`, at first 0; None without `affine` or `bias`.
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


class _InstanceNorm(_BatchNorm):
    """Instance normalization of inputs with one of the numbers of axes in `_axes`, batch or not."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = False, track_running_stats: bool = False,
        device: str | None = None, dtype: DTypeLike | None = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: TensorLike) -> TensorLike:
        alone = input.ndim == self._axes[0]
        x = input[None] if alone else input
        if input.ndim not in self._axes or x.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__} takes an input (N, {self.num_features}, ...) of "
                f"{self._axes[1]} axes, or one sample, not {input.shape}"
            )
        by_input = self.training or self.running_mean is None
        out = F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, by_input,
            self.momentum or 0.0, self.eps,
        )  # fmt: skip
        return out[0] if alone else out


class InstanceNorm1d(_InstanceNorm):
    """Brings each channel of each of the signals to mean 0 and variance 1.

    `(x - mean) / sqrt(var + eps) * weight + bias`, where mean and variance (with the number of
    elements for its divisor) are over the elements of a channel of one sample, in training and
    evaluation alike, unless `track_running_stats`.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance (default 1e-5).
        momentum: How far the running mean and variance move in each step (default 0.1); None leaves
            them as they are.
        affine: Whether there are `weight` and `bias` (default False).
        track_running_stats: Whether there are a running mean and variance, which are used in
            evaluation (default False).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of parameters and buffers; by default that of
            `rg.get_default_dtype()`.
        bias: Whether there is `bias`, if there is `weight` (default True).

    Shape:
        - input: `(N, C, L)`, or `(C, L)` for one signal.
        - output: the same shape.

    Attributes:
        weight: Parameter `(C,)`, at first 1; None without `affine`.
        bias: Parameter `(C,)`, at first 0; None without `affine` or `bias`.
        running_mean: Buffer `(C,)`, at first 0; None without `track_running_stats`.
        running_var: Buffer `(C,)`, at first 1; None without `track_running_stats`.
        num_batches_tracked: Buffer `()`, as PyTorch has it there: 0; None without
            `track_running_stats`.

    Raises:
        ValueError: if `num_features` is no whole number of at least 1, or `eps` is negative; when
            called, if the shape does not fit, or a channel has a single value.

    Ulyanov et al. 2016, "Instance normalization: the missing ingredient for fast stylization".

    >>> norm = rg.nn.InstanceNorm1d(2)
    >>> norm(np.array([[[1.0, 3.0], [5.0, 25.0]]])).round(4)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """

    _axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Brings each channel of each of the images to mean 0 and variance 1.

    `(x - mean) / sqrt(var + eps) * weight + bias`, where mean and variance (with the number of
    elements for its divisor) are over the elements of a channel of one sample, in training and
    evaluation alike, unless `track_running_stats`.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance (default 1e-5).
        momentum: How far the running mean and variance move in each step (default 0.1); None leaves
            them as they are.
        affine: Whether there are `weight` and `bias` (default False).
        track_running_stats: Whether there are a running mean and variance, which are used in
            evaluation (default False).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of parameters and buffers; by default that of
            `rg.get_default_dtype()`.
        bias: Whether there is `bias`, if there is `weight` (default True).

    Shape:
        - input: `(N, C, H, W)`, or `(C, H, W)` for one image.
        - output: the same shape.

    Attributes:
        weight: Parameter `(C,)`, at first 1; None without `affine`.
        bias: Parameter `(C,)`, at first 0; None without `affine` or `bias`.
        running_mean: Buffer `(C,)`, at first 0; None without `track_running_stats`.
        running_var: Buffer `(C,)`, at first 1; None without `track_running_stats`.
        num_batches_tracked: Buffer `()`, as PyTorch has it there: 0; None without
            `track_running_stats`.

    Raises:
        ValueError: if `num_features` is no whole number of at least 1, or `eps` is negative; when
            called, if the shape does not fit, or a channel has a single value.

    Ulyanov et al. 2016, "Instance normalization: the missing ingredient for fast stylization".

    >>> norm = rg.nn.InstanceNorm2d(3)
    >>> out = norm(np.random.default_rng(0).normal(5.0, 2.0, size=(8, 3, 4, 4)))
    >>> np.allclose(out.mean(axis=(2, 3)), 0)
    True
    """

    _axes = (3, 4)
