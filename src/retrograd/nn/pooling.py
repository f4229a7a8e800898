"""Pooling as Modules: the largest or the mean of each window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrograd.engine import TensorLike, TensorT
from retrograd.nn import functional as F
from retrograd.nn.reprs import ShowsArguments

if TYPE_CHECKING:
    from retrograd.nn.functional.windows import Sizes


class _MaxPool(ShowsArguments):
    """The arguments that `max_pool1d` and `max_pool2d` share."""

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1, return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def _options(self) -> tuple[Any, ...]:
        """Return the arguments of the function, in its order."""
        sizes = self.kernel_size, self.stride, self.padding, self.dilation
        return (*sizes, self.ceil_mode, self.return_indices)


class MaxPool1d(_MaxPool):
    """The largest element of each window along the last axis.

    Of equal elements in a window the first one gets the gradient.

    Args:
        kernel_size: Number of elements in a window.
        stride: How far windows are apart; by default `kernel_size`.
        padding: How far the first window begins before the input and the last ends behind it, at
            most half of `kernel_size` (default 0). What lies there is never the largest.
        dilation: How far the elements of a window are apart (default 1).
        return_indices: Whether to put out also where the largest elements are (default False).
        ceil_mode: Whether a last window may begin in the input and end behind the padding (default
            False): M is rounded up then.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, C, M)` or `(C, M)`, where
          `M = (L + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`; with
          `return_indices` a pair of that and integers of its shape, places in L.

    Raises:
        ValueError: when called, if an argument is no whole number of its kind, or the windows do
            not fit.

    >>> rg.nn.MaxPool1d(2)(np.array([[1.0, 3.0, 2.0, 0.0]]))
    array([[3., 2.]])
    """

    def forward(self, input: TensorLike) -> Any:
        return F.max_pool1d(input, *self._options())


class MaxPool2d(_MaxPool):
    """The largest element of each window over the last two axes.

    Of equal elements in a window the first one gets the gradient.

    Args:
        kernel_size: Length of a window along both axes, or a pair, one for each.
        stride: How far windows are apart, for both axes or a pair; by default `kernel_size`.
        padding: How far the first windows begin before the input and the last end behind it, at
            most half of `kernel_size`, for both axes or a pair (default 0). What lies there is
            never the largest.
        dilation: How far the elements of a window are apart, for both axes or a pair (default 1).
        return_indices: Whether to put out also where the largest elements are (default False).
        ceil_mode: Whether a last window may begin in the input and end behind the padding (default
            False): lengths are rounded up then.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, C, H', W')` or `(C, H', W')`; from a length L comes
          `(L + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`; with
          `return_indices` a pair of that and integers of its shape, places in the image, row by
          row.

    Raises:
        ValueError: when called, if an argument is no whole number of its kind, or the windows do
            not fit.

    >>> rg.nn.MaxPool2d(2)(np.ones((2, 3, 8, 6))).shape
    (2, 3, 4, 3)
    """

    def forward(self, input: TensorLike) -> Any:
        return F.max_pool2d(input, *self._options())


class AvgPool1d(ShowsArguments):
    """The mean of each window along the last axis.

    Args:
        kernel_size: Number of elements in a window.
        stride: How far windows are apart; by default `kernel_size`.
        padding: How many zeros are put on both sides, at most half of `kernel_size` (default 0).
        ceil_mode: Whether a last window may begin in the input and end behind the padding, which is
            not counted there (default False): M is rounded up then.
        count_include_pad: Whether those zeros count as elements of a window (default True);
            otherwise the sum is divided by the number of the others.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, C, M)` or `(C, M)`, where
          `M = (L + 2 * padding - kernel_size) // stride + 1`.

    Raises:
        ValueError: when called, if an argument is no whole number of its kind, or the windows do
            not fit.

    >>> rg.nn.AvgPool1d(2)(np.array([[1.0, 3.0, 2.0, 0.0]]))
    array([[2., 1.]])
    """

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: TensorT) -> TensorT:
        options = self.padding, self.ceil_mode, self.count_include_pad
        return F.avg_pool1d(input, self.kernel_size, self.stride, *options)


class AvgPool2d(ShowsArguments):
    """The mean of each window over the last two axes.

    Args:
        kernel_size: Length of a window along both axes, or a pair, one for each.
        stride: How far windows are apart, for both axes or a pair; by default `kernel_size`.
        padding: How many zeros are put on both sides, at most half of `kernel_size`, for both axes
            or a pair (default 0).
        ceil_mode: Whether a last window may begin in the input and end behind the padding, which is
            not counted there (default False): lengths are rounded up then.
        count_include_pad: Whether those zeros count as elements of a window (default True);
            otherwise the sum is divided by the number of the others.
        divisor_override: What the sums are divided by instead; by default the number of elements.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, C, H', W')` or `(C, H', W')`; from a length L comes
          `(L + 2 * padding - kernel_size) // stride + 1`.

    Raises:
        ValueError: when called, if an argument is no whole number of its kind, or the windows do
            not fit.

    >>> rg.nn.AvgPool2d(2)(np.ones((2, 3, 8, 6))).shape
    (2, 3, 4, 3)
    """

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: TensorT) -> TensorT:
        options = self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        return F.avg_pool2d(input, self.kernel_size, self.stride, *options)


class AdaptiveAvgPool1d(ShowsArguments):
    """The means of as many windows along the last axis as are asked for.

    Window i of M is from `floor(i * L / M)` to before `ceil((i + 1) * L / M)`.

    Args:
        output_size: Their number.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, C, output_size)` or `(C, output_size)`.

    Raises:
        ValueError: when called, if `output_size` is no whole number of at least 1.

    >>> rg.nn.AdaptiveAvgPool1d(2)(np.array([[1.0, 3.0, 2.0, 0.0]]))
    array([[2., 1.]])
    """

    def __init__(self, output_size: Sizes) -> None:
        self.output_size = output_size

    def forward(self, input: TensorT) -> TensorT:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(ShowsArguments):
    """The means of as many windows over the last two axes as are asked for.

    With `output_size=1` it is the mean of each channel. Window i of M along an axis of length L is
    from `floor(i * L / M)` to before `ceil((i + 1) * L / M)`.

    Args:
        output_size: Their number along both axes, or a pair, one for each; None in a pair leaves
            the axis as it is.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, C, H', W')` or `(C, H', W')`, the new lengths being `output_size`.

    Raises:
        ValueError: when called, if `output_size` is no whole number of at least 1.

    >>> rg.nn.AdaptiveAvgPool2d((1, None))(np.ones((2, 3, 8, 6))).shape
    (2, 3, 1, 6)
    """

    def __init__(self, output_size: int | tuple[int | None, int | None]) -> None:
        self.output_size = output_size

    def forward(self, input: TensorT) -> TensorT:
        return F.adaptive_avg_pool2d(input, self.output_size)
