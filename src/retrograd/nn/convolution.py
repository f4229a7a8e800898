"""Convolutions as Modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrograd.checks import check_device, check_sizes, ensure, one_of, per_axis
from retrograd.engine import Tensor, TensorLike
from retrograd.nn import functional as F
from retrograd.nn.functional.convolution import padding_pairs
from retrograd.nn.layers import init_affine
from retrograd.nn.module import Module
from retrograd.nn.parameter import new_parameter
from retrograd.nn.reprs import unusual
from retrograd.random import RngLike

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from retrograd.nn.functional.windows import Sizes

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What convolutions over `_axes` axes share: arguments, parameters and the repr."""

    _axes: int
    padding: Any

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: str | None = None, dtype: DTypeLike | None = None,
        rng: RngLike = None,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        check_device(name, device)
        check_sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: {groups=} must divide {in_channels} and {out_channels} channels"
            )
        if padding_mode not in PADDING_MODES:
            raise ValueError(
                f"{name} takes a padding_mode of {PADDING_MODES}, not {padding_mode!r}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = self._per_axis("kernel_size", kernel_size)
        self.stride = self._per_axis("stride", stride)
        self.dilation = self._per_axis("dilation", dilation)
        self.padding_mode, self.padding = padding_mode, padding
        if not isinstance(padding, str):
            self.padding = self._per_axis("padding", padding, 0)
        self.weight = new_parameter((*self._channels(), *self.kernel_size), dtype)
        self.bias = new_parameter((out_channels,), dtype) if bias else None
        init_affine(self.weight, self.bias, rng)

    def _per_axis(self, name: str, value: Sizes, at_least: int = 1) -> tuple[int, ...]:
        return per_axis(name, value, self._axes, at_least)

    def _channels(self) -> tuple[int, int]:
        """Return the first two lengths of `weight`."""
        return self.out_channels, self.in_channels // self.groups

    def _pad(self, input: TensorLike) -> TensorLike:
        """Return the input padded with what a `padding_mode` other than "zeros" says."""
        options = self.padding, self.kernel_size, self.stride, self.dilation
        pads = padding_pairs(type(self).__name__, *options)
        return F.pad(input, [n for pair in reversed(pads) for n in pair], self.padding_mode)

    def extra_repr(self) -> str:
        one, zero = (1,) * self._axes, (0,) * self._axes
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += unusual(
            self, stride=one, padding=zero, dilation=one, groups=1, padding_mode="zeros"
        )
        return text if self.bias is not None else text + ", bias=False"


class Conv1d(_Conv):
    """Slides filters along the last axis and gives their dot products with what they cover.

    `output[n, o, l] = bias[o] + sum over c, k of
    weight[o, c, k] * padded input[n, c, l * stride + k * dilation]`: a cross-correlation, as nets
    have it.

    Args:
        in_channels: Number of channels C of the input.
        out_channels: Number of filters O, each of which makes a channel of the output.
        kernel_size: Length of the filters.
        stride: How far a filter goes from one place to the next (default 1).
        padding: How many elements are put on both sides of the input (default 0), or "valid" for
            none, or "same" for as many as keep the length (with stride 1).
        dilation: How far the elements that a filter covers are apart (default 1).
        groups: Number of groups into which the channels are divided; a filter sees the channels of
            its own group only (default 1).
        bias: Whether a bias is added (default True).
        padding_mode: What is put there: "zeros" (the default), "reflect" (the input mirrored at its
            ends), "replicate" (its last element) or "circular" (its other end).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, O, M)` or `(O, M)`, where
          `M = (L + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`.

    Attributes:
        weight: Parameter `(O, C / groups, kernel_size)`, at first uniform within `1 / sqrt(fan_in)`
            of 0, where `fan_in = C / groups * kernel_size`.
        bias: Parameter `(O,)`, at first drawn like `weight`; None without `bias`.

    Raises:
        ValueError: if a size is no whole number of its kind, `groups` does not divide the channels
            or a padding is not known; when called, if the input has other channels, or is shorter
            than a filter.

    >>> rg.nn.Conv1d(3, 8, 5, padding="same")(np.ones((2, 3, 10))).shape
    (2, 8, 10)
    """

    _axes = 1

    def forward(self, input: TensorLike) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = self._pad(input), 0
        options = self.stride, padding, self.dilation, self.groups
        return F.conv1d(input, self.weight, self.bias, *options)


class Conv2d(_Conv):
    """Slides filters over images and gives their dot products with what they cover.

    `output[n, o, y, x] = bias[o] + sum over c, i, j of weight[o, c, i, j] *
    padded input[n, c, y * stride + i * dilation, x * stride + j * dilation]`: a cross-correlation,
    as nets have it. Where an argument may be a pair, its first number is for the height.

    Args:
        in_channels: Number of channels C of the input.
        out_channels: Number of filters O, each of which makes a channel of the output.
        kernel_size: Height and width of the filters, one number or a pair.
        stride: How far a filter goes from one place to the next, one number or a pair (default 1).
        padding: How many elements are put on all sides of the input, one number or a pair (default
            0), or "valid" for none, or "same" for as many as keep height and width (with stride 1).
        dilation: How far the elements that a filter covers are apart, one number or a pair (default
            1).
        groups: Number of groups into which the channels are divided; a filter sees the channels of
            its own group only (default 1).
        bias: Whether a bias is added (default True).
        padding_mode: What is put there: "zeros" (the default), "reflect" (the input mirrored at its
            ends), "replicate" (its last element) or "circular" (its other end).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, O, H', W')` or `(O, H', W')`; from a length L comes
          `(L + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`.

    Attributes:
        weight: Parameter `(O, C / groups, height, width)`, at first uniform within
            `1 / sqrt(fan_in)` of 0, where `fan_in = C / groups * height * width`.
        bias: Parameter `(O,)`, at first drawn like `weight`; None without `bias`.

    Raises:
        ValueError: if a size is no whole number of its kind, `groups` does not divide the channels
            or a padding is not known; when called, if the input has other channels, or is smaller
            than a filter.

    >>> layer = rg.nn.Conv2d(1, 8, 3, stride=2)
    >>> layer
    Conv2d(1, 8, kernel_size=(3, 3), stride=(2, 2))
    >>> layer(np.ones((2, 1, 9, 9))).shape
    (2, 8, 4, 4)
    """

    _axes = 2

    def forward(self, input: TensorLike) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = self._pad(input), 0
        options = self.stride, padding, self.dilation, self.groups
        return F.conv2d(input, self.weight, self.bias, *options)


class _ConvTranspose(_Conv):
    """What transposed convolutions share: arguments, and what size comes out."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, bias: bool = True,
        dilation: Sizes = 1, padding_mode: str = "zeros", device: str | None = None,
        dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        one_of("padding_mode", padding_mode, "zeros", where=type(self).__name__)
        self.output_padding = self._per_axis("output_padding", output_padding, 0)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            device=device, dtype=dtype, rng=rng,
        )  # fmt: skip

    def _channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def _options(self, input: TensorLike, output_size: Any) -> tuple[Any, ...]:
        """Return the arguments of the function behind the bias, for an output of a size."""
        extra = self.output_padding
        if output_size is not None:
            here = input.shape[-self._axes :]
            extra = self._output_padding(here, output_size)
        return self.stride, self.padding, extra, self.groups, self.dilation

    def _output_padding(self, here: tuple[int, ...], output_size: Any) -> tuple[int, ...]:
        """Return how many elements must be added at the ends of what comes out."""
        wanted = (output_size,) * self._axes if isinstance(output_size, int) else output_size
        wanted = tuple(wanted)[-self._axes :]
        axes = zip(here, self.kernel_size, self.stride, self.dilation, self.padding, strict=True)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, d, p in axes)
        most = tuple(low + s - 1 for low, s in zip(least, self.stride, strict=True))
        good = len(wanted) == self._axes and all(
            low <= size <= high for low, size, high in zip(least, wanted, most, strict=True)
        )
        ensure(good, "output_size", f"from {least} to {most}", output_size, type(self).__name__)
        return tuple(size - low for size, low in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """Makes signals longer where a `Conv1d` of the same arguments makes them shorter.

    It is the adjoint of that convolution, which its backward pass does to gradients: every element
    of the input adds its filter, times itself, to what it would have covered.

    Args:
        in_channels: Number of channels C of the input.
        out_channels: Number of channels O of the output.
        kernel_size: Length of the filters.
        stride: How far apart neighbours in the input add their filters (default 1).
        padding: How many elements are cut off on both sides of the output (default 0).
        output_padding: How many elements are added at the end of the output, below `stride` or
            `dilation` (default 0): with a stride, signals of several lengths become one length, and
            this says which of them it was.
        groups: Number of groups into which the channels are divided, each by itself (default 1).
        bias: Whether a bias is added (default True).
        dilation: How far the elements of a filter are apart (default 1).
        padding_mode: "zeros": nothing else is there.
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output_size: length of the output, in the place of `output_padding`, a number or
          `(..., M)`; by default `output_padding` decides.
        - output: `(N, O, M)` or `(O, M)`, where `M = (L - 1) * stride - 2 * padding + dilation *
          (kernel_size - 1) + output_padding + 1`.

    Attributes:
        weight: Parameter `(C, O / groups, kernel_size)`, at first uniform within
            `1 / sqrt(fan_in)` of 0, where `fan_in = O / groups * kernel_size`.
        bias: Parameter `(O,)`, at first drawn like `weight`; None without `bias`.

    Raises:
        ValueError: if a size is no whole number of its kind or `groups` does not divide the
            channels; when called, if the input has other channels, `output_padding` is too large,
            or nothing is left.

    Zeiler et al. 2010, "Deconvolutional networks".

    >>> rg.nn.ConvTranspose1d(8, 1, 2, stride=2)(np.ones((2, 8, 4))).shape
    (2, 1, 8)
    """

    _axes = 1

    def forward(self, input: TensorLike, output_size: int | Sequence[int] | None = None) -> Tensor:
        options = self._options(input, output_size)
        return F.conv_transpose1d(input, self.weight, self.bias, *options)


class ConvTranspose2d(_ConvTranspose):
    """Makes images larger where a `Conv2d` of the same arguments makes them smaller.

    It is the adjoint of that convolution, which its backward pass does to gradients: every element
    of the input adds its filter, times itself, to what it would have covered. Where an argument may
    be a pair, its first number is for the height.

    Args:
        in_channels: Number of channels C of the input.
        out_channels: Number of channels O of the output.
        kernel_size: Height and width of the filters, one number or a pair.
        stride: How far apart neighbours in the input add their filters, one number or a pair
            (default 1).
        padding: How many elements are cut off on all sides of the output, one number or a pair
            (default 0).
        output_padding: How many elements are added at the end of each axis of the output, below
            `stride` or `dilation`, one number or a pair (default 0): with a stride, images of
            several sizes become one size, and this says which of them it was.
        groups: Number of groups into which the channels are divided, each by itself (default 1).
        bias: Whether a bias is added (default True).
        dilation: How far the elements of a filter are apart, one number or a pair (default 1).
        padding_mode: "zeros": nothing else is there.
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output_size: height and width of the output, in the place of `output_padding`, a pair or
          `(..., H', W')`; by default `output_padding` decides.
        - output: `(N, O, H', W')` or `(O, H', W')`; from a length L comes `(L - 1) * stride -
          2 * padding + dilation * (kernel_size - 1) + output_padding + 1`.

    Attributes:
        weight: Parameter `(C, O / groups, height, width)`, at first uniform within
            `1 / sqrt(fan_in)` of 0, where `fan_in = O / groups * height * width`.
        bias: Parameter `(O,)`, at first drawn like `weight`; None without `bias`.

    Raises:
        ValueError: if a size is no whole number of its kind or `groups` does not divide the
            channels; when called, if the input has other channels, `output_padding` is too large,
            or nothing is left.

    Zeiler et al. 2010, "Deconvolutional networks".

    >>> rg.nn.ConvTranspose2d(8, 1, 2, stride=2)(np.ones((2, 8, 4, 4))).shape
    (2, 1, 8, 8)
    """

    _axes = 2

    def forward(self, input: TensorLike, output_size: int | Sequence[int] | None = None) -> Tensor:
        options = self._options(input, output_size)
        return F.conv_transpose2d(input, self.weight, self.bias, *options)
