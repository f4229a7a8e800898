"""Batch normalization by the statistics of all ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import TensorLike, no_grad
from retrograd.nn.channel_norms import BatchNorm1d, BatchNorm2d
from retrograd.nn.functional.normalization import move_towards
from retrograd.nn.functional.windows import batch_first, batch_last
from retrograd.nn.module import Module
from retrograd.parallel.functions import sum_over_ranks
from retrograd.parallel.group import Group, group_of
from retrograd.parallel.sums import constant

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class SyncBatchNorm(BatchNorm1d):
    """Batch normalization by mean and variance of the whole batch, that of all ranks together.

    In training each rank sums its part of the batch, and two Allreduces of C numbers make the mean
    and the variance of the whole: first the mean, then the mean square about it, as one process
    would. So do two more for the gradients. The ranks' gradients are weighted by their numbers of
    samples: pass these to the optimizer's `step(batch_size=...)`. In evaluation it is `BatchNorm1d`
    or `BatchNorm2d`, and so it is in one process.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance (default 1e-5).
        momentum: How far the running mean and variance move in each step (default 0.1); None makes
            them the plain averages of all batches so far.
        affine: Whether there are `weight` and `bias` (default True).
        track_running_stats: Whether there are a running mean and variance (default True).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of parameters and buffers; by default that of
            `rg.get_default_dtype()`.
        bias: Whether there is `bias`, if there is `weight` (default True).
        comm: A communicator of mpi4py (default: all ranks).

    Shape:
        - input: `(N, C)`, `(N, C, L)` or `(N, C, H, W)`; N may be 0 on some ranks.
        - output: the same shape.

    Raises:
        ValueError: as `BatchNorm1d` does.

    Ioffe and Szegedy 2015, "Batch normalization".

    >>> norm = rg.parallel.SyncBatchNorm(1)
    >>> norm(np.array([[1.0], [3.0]])).data.round(4).tolist()  # in one process
    [[-1.0], [1.0]]
    """

    _axes = (2, 3, 4)  # type: ignore[assignment]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, device: str | None = None,
        dtype: DTypeLike | None = None, *, bias: bool = True, comm: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.comm = comm

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, comm: Any = None) -> Module:
        """Put a `SyncBatchNorm` in the place of each batch normalization in a model.

        They have the parameters and buffers of those that they replace.

        Args:
            module: the model, which is changed; or a batch normalization itself.
            comm: a communicator of mpi4py (default: all ranks).

        Returns:
            The model; of a batch normalization what replaces it.

        >>> net = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.BatchNorm1d(3))
        >>> type(rg.parallel.SyncBatchNorm.convert_sync_batchnorm(net)[1]).__name__
        'SyncBatchNorm'
        """
        if type(module) in (BatchNorm1d, BatchNorm2d):
            return cls._like(module, comm)
        for name, child in [*module.named_children()]:
            made = cls.convert_sync_batchnorm(child, comm)
            if made is not child:
                module.add_module(name, made)
        return module

    @classmethod
    def _like(cls, module: Any, comm: Any) -> SyncBatchNorm:
        made = cls(
            module.num_features, module.eps, module.momentum, module.affine,
            module.track_running_stats, bias=module.bias is not None, comm=comm,
        )  # fmt: skip
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(made, name, getattr(module, name))
        return made.train(module.training)

    def forward(self, input: TensorLike) -> TensorLike:
        group = group_of(self.comm)
        if group.size == 1 or not (self.training or self.running_mean is None):
            return super().forward(input)
        if input.ndim not in self._axes or input.shape[1] != self.num_features:
            return super().forward(input)  # which raises
        momentum = self._count_batch() if self.training and self.running_mean is not None else None
        rows = batch_last(input).reshape((self.num_features, -1))
        out, mean, square, count = _standardize(rows, len(input), self.eps, group)
        if momentum is not None:
            with no_grad():
                move_towards(self.running_mean, mean, momentum)
                move_towards(self.running_var, square / np.maximum(count - 1, 1), momentum)
        if self.weight is not None:
            out = out * self.weight.reshape(-1, 1)
        if self.bias is not None:
            out = out + self.bias.reshape(-1, 1)
        shape = (self.num_features, *input.shape[2:], len(input))
        found: TensorLike = batch_first(out.reshape(shape))
        return found


def _standardize(rows: Any, samples: int, eps: float, group: Group) -> tuple[Any, Any, Any, Any]:
    """Return rows of mean 0 and variance 1 over all ranks; mean, sum of squares and count of each.

    Args:
        rows: this rank's elements of each channel, `(C, n)`.
        samples: how many samples this rank has: how much its gradients count.
        eps: is added to the variance.
        group: the ranks.
    """
    weight = float(max(samples, 1))
    own = constant(rows.dtype, float(rows.shape[1]))
    total = sum_over_ranks(np.concatenate((np.sum(rows, axis=1), own)), group, weight)
    # while a program is recorded a rank has its own samples alone, none perhaps
    count = np.maximum(total[-1], 1.0)
    mean = total[:-1] / count
    rows = rows - mean.reshape(-1, 1)
    square = sum_over_ranks(np.sum(rows * rows, axis=1), group, weight)
    return rows / np.sqrt(square / count + eps).reshape(-1, 1), mean, square, count
