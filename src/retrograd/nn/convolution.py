"""Convolutions as modules."""

from __future__ import annotations

from typing import Any

from retrograd.nn import functional as F
from retrograd.nn.functional.convolution import Sizes, _pads, per_axis
from retrograd.nn.layers import at_least_1, init_affine, not_usual
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike


class _Conv(Module):
    _axes: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        name, axes = type(self).__name__, self._axes
        at_least_1(self, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f'{name} takes the padding_mode "zeros", "reflect", "replicate" or "circular", '
                f"not {padding_mode!r}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis("kernel_size", kernel_size, axes, 1)
        self.stride = per_axis("stride", stride, axes, 1)
        self.dilation = per_axis("dilation", dilation, axes, 1)
        self.padding_mode = padding_mode
        self.padding: Any = padding
        if not isinstance(padding, str):
            self.padding = per_axis("padding", padding, axes, 0)
        self.weight = new_parameter((*self._channels(), *self.kernel_size), dtype)
        self.bias = new_parameter((out_channels,), dtype) if bias else None
        init_affine(self.weight, self.bias, rng)

    def _channels(self) -> tuple[int, int]:
        return self.out_channels, self.in_channels // self.groups

    def forward(self, input: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            name = type(self).__name__
            pads = _pads(name, padding, self.kernel_size, self.stride, self.dilation)
            input = F.pad(input, [n for pair in reversed(pads) for n in pair], self.padding_mode)
            padding = 0
        function = F.conv1d if self._axes == 1 else F.conv2d
        options = (self.stride, padding, self.dilation, self.groups)
        return function(input, self.weight, self.bias, *options)

    def extra_repr(self) -> str:
        one, zero = (1,) * self._axes, (0,) * self._axes
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += not_usual(
            self, stride=one, padding=zero, dilation=one, groups=1, padding_mode="zeros"
        )
        return text if self.bias is not None else text + ", bias=False"


class Conv1d(_Conv):
    """Kernels slid along `(N, C, L)` or `(C, L)`: gives `(N, out_channels, L')`.

    `weight` is `(out_channels, in_channels / groups, kernel_size)`, kaiming_uniform with
    a = sqrt(5); `bias` is uniform within 1 / sqrt(fan in). `padding` is a number or "same".

    >>> rg.nn.Conv1d(3, 8, 5, padding="same")(np.ones((2, 3, 10))).shape
    (2, 8, 10)
    """

    _axes = 1


class Conv2d(_Conv):
    """Kernels slid over `(N, C, H, W)` or `(C, H, W)`: gives `(N, out_channels, H', W')`.

    As `Conv1d`, with a `weight` `(out_channels, in_channels / groups, k, k)`. Sizes are one
    number, or one for each axis.

    >>> rg.nn.Conv2d(1, 8, 3, stride=2)(np.ones((2, 1, 9, 9))).shape
    (2, 8, 4, 4)
    """

    _axes = 2


class ConvTranspose2d(_Conv):
    """The adjoint of a `Conv2d`, which makes `(N, C, H, W)` larger where that makes it smaller.

    `weight` is `(in_channels, out_channels / groups, k, k)`.

    >>> rg.nn.ConvTranspose2d(8, 1, 2, stride=2)(np.ones((2, 8, 4, 4))).shape
    (2, 1, 8, 8)
    """

    _axes = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, bias: bool = True,
        dilation: Sizes = 1, dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        self.output_padding = per_axis("output_padding", output_padding, 2, 0)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            dtype=dtype, rng=rng,
        )  # fmt: skip

    def _channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def forward(self, input: Any) -> Any:
        options: Any = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return F.conv_transpose2d(input, self.weight, self.bias, *options)
